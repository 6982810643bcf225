#!/bin/sh
# Gives the console's root user its password.
# Arguments: host and port of the manager's REST API; the file that holds the new password; the one that the manager
#   gives root by itself; how often in a row both must be refused for root to have a third; the seconds between two such
#   tries, which an answer may take too.
# - Requests go through the shell's own printf and standard input: an argument of a program shows in `ps`.
# - Debian's images have bash but no HTTP client, upstream's Alpine images busybox's nc but no bash.
# - nc's input stays open until the answer is there: at its end nc closes its half of the connection, which the manager
#   takes for a client that has gone.
# - A sign-in is answered 401 when the password is wrong, and when the manager's database is away too. A reset is
#   answered 401 only when the database was read and the old password is wrong, without the database 500: it is what
#   tells that the public password is gone. 422 is for a new password that the manager does not take.

trap 'exit 143' TERM INT
host="$1"
port="$2"
new=$(cat "$3")
public="$4"
convincing="$5"
patience="$6"

answer() {
  if command -v bash >/dev/null 2>&1; then
    timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"; cat >&3; head -n 1 <&3' "$host" "$port" 2>/dev/null
  else
    { cat; sleep "$patience"; } | timeout 5 nc "$host" "$port" 2>/dev/null | head -n 1
  fi
}

request() {
  printf 'POST /api/v1/users/%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n' "$1" "$host"
  printf 'Content-Length: %s\r\nConnection: close\r\n\r\n%s' "${#2}" "$2"
}

post() {
  request "$1" "$2" | answer | { read -r _ status _; echo "$status"; }
}

sign_in() {
  post signin "{\"name\":\"root\",\"password\":\"$new\"}"
}

refused=0
while true; do
  case "$(sign_in)" in
  200)
    echo "root signs in with this stack's password"
    exit 0
    ;;
  401)
    status=$(post 1/reset_password "{\"old_password\":\"$public\",\"new_password\":\"$new\"}")
    case "$status" in
    401)
      refused=$((refused + 1))
      if [ "$refused" -ge "$convincing" ]; then
        echo "root has a password that somebody has chosen in the console; it stays"
        exit 0
      fi
      sleep "$patience"
      continue
      ;;
    422)
      echo "the manager refuses the new password: HTTP status $status"
      exit 1
      ;;
    esac
    ;;
  esac
  refused=0
  sleep 0.2
done
