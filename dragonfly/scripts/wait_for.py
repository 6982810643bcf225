"""Starting a container's program once what it needs can be reached.

All four Dragonfly programs exit when their database, manager or scheduler is not there, and kubelet's back-off between
restarts grows to minutes. So the container waits by itself, with tools that the component's own image has, and replaces
itself with the program as soon as every address accepts a connection.
"""

from __future__ import annotations

from collections.abc import Sequence

from dragonfly.scripts.shell_command import shell_command

_WAITING = "waiting for "


def start_when_reachable(addresses: Sequence[str], command: Sequence[str]) -> list[str]:
    """Return the command of a container that waits, without limit, for TCP addresses and becomes a program then.

    Args:
        addresses: `host:port` strings, tried in order, five times a second.
        command: the program and its arguments.
    """
    return shell_command("wait_for", *addresses, "--", *command)


def awaited_address(line: str) -> str | None:
    """Return the `host:port` that a container waits for, None if it does not.

    Args:
        line: the last of its log.
    """
    _, begins, address = line.partition(_WAITING)
    return address if begins and line.startswith(_WAITING) else None
