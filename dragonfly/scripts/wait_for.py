"""Starting a container's program once what it needs can be reached.

All four Dragonfly programs exit when their database, manager or scheduler is not there, and kubelet's back-off between
restarts grows to minutes. So the container waits by itself, with tools that the component's own image has, and replaces
itself with the program as soon as every address accepts a connection.
"""

from __future__ import annotations

from collections.abc import Sequence

# Each try is bounded: a connection to a Service without endpoints can hang for two minutes instead of being refused.
# The Debian images have bash but no nc, upstream's Alpine images have busybox's nc but no bash.
# Process 1 gets no default action for SIGTERM: without the trap a pod that waits takes its whole grace period to go.
_WAITING = "waiting for "
_SCRIPT = """\
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
    echo "WAITING$host:$port"
    until reachable "$host" "$port"; do sleep 0.2; done
    echo "$host:$port answers"
  fi
  shift
done
shift
exec "$@"
""".replace("WAITING", _WAITING)


def start_when_reachable(addresses: Sequence[str], command: Sequence[str]) -> list[str]:
    """The command of a container that waits, without limit, for TCP addresses and then becomes the given program.

    Args:
        addresses: `host:port` strings, tried in order, five times a second.
        command: the program and its arguments.
    """
    return ["/bin/sh", "-c", _SCRIPT, "wait-for", *addresses, "--", *command]


def awaited_address(line: str) -> str | None:
    """Return the `host:port` that a container waits for, None if it does not.

    Args:
        line: The last of its log.
    """
    _, begins, address = line.partition(_WAITING)
    return address if begins and line.startswith(_WAITING) else None
