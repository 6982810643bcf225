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

from local.machine.processes import ProcessError

MOUNTS = Path("/proc/self/mounts")
_CONTROLLERS = ("cpu", "cpuset", "hugetlb", "memory", "pids")
"""What kubelet asks of a unified hierarchy (k8s.io/kubernetes/pkg/kubelet/cm, getSupportedUnifiedControllers)."""

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
        self._enabled_file = state / "cgroup-controllers"

    def of_node(self, node: str) -> str:
        """Return the node's group as kubelet names it, seen from the top of each hierarchy."""
        return f"/{self._name}/{node}"

    def make(self, node: str) -> None:
        """Make a node's group in every hierarchy. One that exists is left as it is.

        Raises:
            CgroupError: the machine does not let us.
        """
        try:
            self._make(node)
        except OSError as error:
            raise CgroupError(
                f"the control groups of {node} cannot be made: {error}; needed: hierarchies in which root may make them"
            ) from error

    def _make(self, node: str) -> None:
        for top in _hierarchies():
            if (top / "cgroup.controllers").exists():
                self._note_enabled(_let_children_have_controllers(top))
            for group in (top / self._name, top / self._name / node):
                group.mkdir(exist_ok=True)
                if (group / "cgroup.subtree_control").exists():
                    _let_children_have_controllers(group)
                # A new group of this controller has neither processors nor memory, and takes no process.
                for setting in ("cpuset.cpus", "cpuset.mems"):
                    file = group / setting
                    if file.exists() and not file.read_text().strip() and top.name.endswith("cpuset"):
                        file.write_text((group.parent / setting).read_text())

    def _note_enabled(self, controllers: list[str]) -> None:
        if controllers:
            with self._enabled_file.open("a") as file:
                file.writelines(f"{name}\n" for name in controllers)

    def _put_back(self) -> None:
        """Take from the machine's own group what `make` has added to it."""
        if not self._enabled_file.exists():
            return
        added = self._enabled_file.read_text().split()
        for top in _hierarchies():
            if (top / "cgroup.controllers").exists():
                _take_from_children(top, added)
        self._enabled_file.unlink()

    def remove(self, node: str = "") -> None:
        """Kill what still runs in the groups and remove them.

        Args:
            node: those of one node only.

        Raises:
            CgroupError: a group does not go away.
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
        if not node:
            self._put_back()

    def left(self, node: str = "") -> list[Path]:
        """Return the groups that exist, of one node or all, the innermost first."""
        found: list[Path] = []
        for top in _hierarchies():
            own = top / self._name / node
            if own.is_dir():
                found += [Path(folder) for folder, _, _ in os.walk(own, topdown=False)]
        return found


def why_not_usable() -> str | None:
    """Return what keeps this machine's root from making control groups, as in many containers; None if it can."""
    tops = list(_hierarchies())
    refused = [refusal for top in tops if (refusal := _refusal(top))]
    if refused:
        return "; ".join(refused)
    return None if tops else "no hierarchy of them is mounted"


def _refusal(top: Path) -> str | None:
    """Return what a hierarchy refuses of what a node needs, found by trying; None if nothing."""
    trial, enabled = top / f"dragonfly-trial-{os.getpid()}", list[str]()
    try:
        trial.mkdir()
        if (top / "cgroup.controllers").exists():
            # A container has a group of its own here that it takes for the top, and while processes are in it the
            # kernel gives its children nothing.
            enabled = _let_children_have_controllers(top)
    except OSError as error:
        return f"{error.filename or top}: {error.strerror}"
    finally:
        _take_from_children(top, enabled)
        with contextlib.suppress(OSError):
            trial.rmdir()
    return None


def _hierarchies() -> Iterator[Path]:
    for line in MOUNTS.read_text().splitlines():
        _, path, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2"):
            yield Path(path)


def _let_children_have_controllers(group: Path) -> list[str]:
    """Of a unified hierarchy; returns those that they did not have before."""
    own, given = ((group / f"cgroup.{name}").read_text().split() for name in ("controllers", "subtree_control"))
    missing = [name for name in _CONTROLLERS if name in own and name not in given]
    if missing:
        (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in missing))
    return missing


def _take_from_children(group: Path, controllers: list[str]) -> None:
    for name in controllers:
        # The kernel refuses while another group gives it to its own children: then it is needed still.
        with contextlib.suppress(OSError):
            (group / "cgroup.subtree_control").write_text(f"-{name}")


def _processes(group: Path) -> list[int]:
    try:
        return [int(pid) for pid in (group / "cgroup.procs").read_text().split()]
    except OSError:
        return []
