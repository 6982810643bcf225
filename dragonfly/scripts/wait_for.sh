#!/bin/sh
# Waits until something listens on each of some TCP addresses, and becomes a program then.
# Arguments: host:port of each, --, the program with its arguments.
# Each try is bounded: a connection to a Service without endpoints can hang for two minutes instead of being refused.
# The Debian images have bash but no nc, upstream's Alpine images have busybox's nc but no bash.
# Process 1 gets no default action for SIGTERM: without the trap a pod that waits takes its whole grace period to go.
trap 'exit 143' TERM INT
reachable() {
  if command -v bash >/dev/null 2>&1; then
    timeout 1 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null
  else
    timeout 1 nc -z "$1" "$2" 2>/dev/null
  fi
}
while [ "$1" != -- ]; do
  host="${1%:*}"
  port="${1##*:}"
  if ! reachable "$host" "$port"; then
    echo "waiting for $host:$port"
    until reachable "$host" "$port"; do sleep 0.2; done
    echo "$host:$port answers"
  fi
  shift
done
shift
exec "$@"
