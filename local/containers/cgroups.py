"""The control groups of a cluster's nodes, one for each in every hierarchy: made before, removed after.

Their name follows from the cluster's folder, so that what a crash left is found by it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from local.processes import ProcessError

MOUNTS = Path("/proc/self/mounts")
_TIMEOUT_SECONDS = 20.0
_POLL_SECONDS = 0.05


class CgroupError(ProcessError):
    """Control groups cannot be made or do not go away."""


class Cgroups:
    """Those of one cluster."""

    def __init__(self, state: Path) -> None:
        """Look after the groups of the cluster in a folder."""
        digest = hashlib.sha256(str(state).encode()).hexdigest()[:8]
        self._name = f"dragonfly-{digest}"

    def of_node(self, node: str) -> str:
        """The node's group as kubelet names it, seen from the top of each hierarchy."""
        return f"/{self._name}/{node}"

    def make(self, node: str) -> None:
        """Make a node's group in every hierarchy. One that exists is left as it is.

        Raises:
            CgroupError: The machine does not let us.
        """
        try:
            self._make(node)
        except OSError as error:
            raise CgroupError(
                f"the control groups of {node} cannot be made: {error}; needed: cgroup hierarchies that root may write"
            ) from error

    def _make(self, node: str) -> None:
        for top in _hierarchies():
            if (top / "cgroup.controllers").exists():
                _let_children_have_controllers(top)
            for group in (top / self._name, top / self._name / node):
                group.mkdir(exist_ok=True)
                if (group / "cgroup.subtree_control").exists():
                    _let_children_have_controllers(group)
                # A new group of this controller has neither processors nor memory, and takes no process.
                for setting in ("cpuset.cpus", "cpuset.mems"):
                    file = group / setting
                    if file.exists() and not file.read_text().strip() and top.name.endswith("cpuset"):
                        file.write_text((group.parent / setting).read_text())

    def remove(self, node: str = "") -> None:
        """Kill what still runs in the groups and remove them.

        Args:
            node: Those of one node only.

        Raises:
            CgroupError: A group does not go away.
        """
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while left := self.left(node):
            for group in left:
                for pid in _processes(group):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                # Busy for as long as a process is ending.
                with contextlib.suppress(OSError):
                    group.rmdir()
            if time.monotonic() > deadline:
                raise CgroupError(f"these control groups do not go away: {', '.join(map(str, self.left(node)))}")
            if self.left(node):
                time.sleep(_POLL_SECONDS)

    def left(self, node: str = "") -> list[Path]:
        """The groups that exist, of one node or all, the innermost first."""
        found: list[Path] = []
        for top in _hierarchies():
            own = top / self._name / node
            if own.is_dir():
                found += [Path(folder) for folder, _, _ in os.walk(own, topdown=False)]
        return found


def why_not_writable() -> str | None:
    """What keeps this machine's root from making control groups, as in many containers; None if it can."""
    tops = list(_hierarchies())
    refused = [str(top) for top in tops if not os.access(top, os.W_OK)]
    if refused:
        return f"{', '.join(refused)} cannot be written"
    return None if tops else "no hierarchy of them is mounted"


def _hierarchies() -> Iterator[Path]:
    for line in MOUNTS.read_text().splitlines():
        _, path, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2"):
            yield Path(path)


def _let_children_have_controllers(group: Path) -> None:
    controllers = (group / "cgroup.controllers").read_text().split()
    if controllers:
        (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))


def _processes(group: Path) -> list[int]:
    try:
        return [int(pid) for pid in (group / "cgroup.procs").read_text().split()]
    except OSError:
        return []
