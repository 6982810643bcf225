#!/bin/sh
# Writes the hosts.toml files that lead a node's image pulls to the peer.
# Arguments: the instance, the directory's name on the node, then registry and file content in turn.
# - A file is ours when its first line says so and the rest has the checksum that the first line tells: what somebody
#   has changed since is not what we wrote.
# - `ln` and not `mv` puts it there: it fails where a file has come meanwhile.
# - A signal asks to leave and ends the pause; it never interrupts the writing of a file.

mark="# written by dragonfly $1, sha256"
path="$2"
unfinished=".hosts.toml-$(printf '%s' "$1" | tr / _)"
shift 2

ours() {
  [ -f "$1" ] && [ ! -L "$1" ] && [ ! -L "${1%/*}" ] || return 1
  first=$(head -n 1 "$1")
  case "$first" in "$mark "*) ;; *) return 1 ;; esac
  sum="${first#"$mark "}"
  [ "$(tail -n +2 "$1" | sha256sum | cut -d ' ' -f 1)" = "${sum%% *}" ]
}

remove_ours() {
  rm -f "$HOSTS"/*/"$unfinished"
  for file in "$HOSTS"/*/hosts.toml; do
    ours "$file" || continue
    first=$(head -n 1 "$file")
    rm -f "$file"
    case "$first" in *" and its directory") rmdir "${file%/*}" 2>/dev/null ;; esac
  done
}

named() {
  # In the table whose name ends in `registry`, whatever the version of the config.
  table='/^ *\[.*\.registry\]/,/^ *\[/'
  value='s/^ *config_path *= *["'\'']\([^"'\'']*\)["'\''].*/\1/p'
  for file in "$CONFIG"/config.toml "$CONFIG"/*.d/*.toml; do
    [ -f "$file" ] || continue
    paths=$(tr '\t' ' ' <"$file" | sed -n "$table $value")
    # Several directories may be named, with colons between them.
    case ":$paths:" in *":$path:"*) return 0 ;; esac
  done
  return 1
}

peer_of() {
  # Of a hosts.toml, whom containerd asks first, and what the first header says. GKE indents, and quotes with '.
  sed -n 's/^ *\[host\.["'\'']\([^"'\'']*\)["'\'']\].*/host \1/p; s/^ *[A-Za-z]*-[A-Za-z-]* *= *\[* *["'\'']\([^"'\'']*\)["'\''].*/registry \1/p' |
    head -n 2
}

write() {
  directory="$HOSTS/$1"
  suffix=
  mkdir "$directory" 2>/dev/null && suffix=" and its directory"
  if [ ! -L "$directory" ] && [ -f "$directory/hosts.toml" ] &&
    [ "$(peer_of <"$directory/hosts.toml")" = "$(printf '%s' "$2" | peer_of)" ]; then
    echo "pulls from $1 go through the peer, by a hosts.toml that is not ours"
    return
  fi
  if [ -L "$directory" ] || [ -e "$directory/hosts.toml" ]; then
    echo "$path/$1/hosts.toml is not ours: left as it is, pulls from $1 do not go through the peer"
    return
  fi
  sum=$(printf '%s' "$2" | sha256sum | cut -d ' ' -f 1)
  new="$directory/$unfinished"
  result="$path/$1/hosts.toml could not be written"
  printf '%s %s%s\n%s' "$mark" "$sum" "$suffix" "$2" >"$new" && ln "$new" "$directory/hosts.toml" &&
    result="pulls from $1 go through the peer"
  rm -f "$new"
  echo "$result"
}

leave=
trap 'leave=1; kill "$!" 2>/dev/null' TERM INT
before=
while [ -z "$leave" ]; do
  if named; then now=named; else now=absent; fi
  if [ "$now" != "$before" ]; then
    before=$now
    remove_ours
    if [ "$now" = named ]; then
      set -- "$@" ""
      while [ -n "$1" ]; do
        write "$1" "$2"
        set -- "$@" "$1" "$2"
        shift 2
      done
      shift
    else
      echo "containerd on this node does not name $path as its config_path: it would ignore mirrors, none are written"
    fi
  fi
  sleep 5 &
  [ -n "$leave" ] || wait "$!"
done
remove_ours
exit 0
