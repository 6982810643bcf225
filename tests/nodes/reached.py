"""Which TCP ports somebody reaches, tried all at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from tests.nodes.conftest import Kubectl

Target = tuple[str, int]
"""Address and port."""

_Key = TypeVar("_Key")

# The containers have bash, the tests' own pods Debian's busybox.
_SCRIPT = """
try() {
  if command -v bash >/dev/null 2>&1; then
    timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "${1%:*}" "${1##*:}" 2>/dev/null
  else
    timeout 3 nc "${1%:*}" "${1##*:}" -e true 2>/dev/null
  fi && echo "$1"
}
for each; do try "$each" & done
wait
"""


def command(targets: Iterable[Target]) -> list[str]:
    """Return the command that tells which of some ports whoever runs it reaches, a line for each."""
    return ["sh", "-c", _SCRIPT, "reached", *(f"{host}:{port}" for host, port in targets)]


def reached_from_pod(kubectl: Kubectl, pod: Sequence[str], targets: Mapping[_Key, Target]) -> set[_Key]:
    """Return what of some ports a pod reaches.

    Args:
        kubectl: in the pod's namespace.
        pod: its name, and options of `kubectl exec`.
        targets: the ports, each by what it is called.
    """
    return named(kubectl("exec", *pod, "--", *command(targets.values())), targets)


def named(said: str, targets: Mapping[_Key, Target]) -> set[_Key]:
    """Return what of some ports was reached.

    Args:
        said: what the command wrote.
        targets: the ports, each by what it is called.
    """
    lines = set(said.split())
    return {key for key, (host, port) in targets.items() if f"{host}:{port}" in lines}
