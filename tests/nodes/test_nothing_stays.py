"""Nothing of a cluster whose nodes run containers stays on the machine, whatever was killed before."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from local.cluster.control_plane import Cluster
from local.machine.paths import PROJECT_FOLDER
from local.nodes.containers.cgroups import Cgroups
from local.nodes.containers.requirements import SEARCH_PATH
from tests.nodes.conftest import kubectl_of
from tests.nodes.pods import apply, pod
from tests.waiting import wait_until

NODE = "node-1"
DAEMONS = (
    *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "volumes"),
    *("control-plane-network", "forwarder", "coredns"),
    *(NODE, *(f"{NODE}-{agent}" for agent in ("containerd", "kubelet", "kube-proxy", "kube-router"))),
)
"""Of a cluster with one node."""

SHIM = "containerd-shim"
"""Between containerd and a pod's containers; containerd starts it."""

# Starts a cluster: its folder, and the tools and images as JSON.
STARTER = """
import json, sys
from pathlib import Path
from local.cluster.control_plane import Cluster

state, tools, images = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
Cluster(
    Path(state),
    node_count=1,
    tools={name: Path(path) for name, path in tools.items()},
    node_kind="containers",
    images=[Path(path) for path in images],
).start()
"""

KINDS = ("net", "mnt", "pid")
"""Of namespaces that a cluster makes."""

# What of the machine kubelet and kube-proxy set on a node of their own.
SETTINGS = ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "net/ipv4/ip_forward")


def machine() -> dict[str, object]:
    """What must be the same before and after."""
    run = Path("/run/netns")
    return {
        "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "routes": Path("/proc/net/route").read_text(),
        "rules": _packet_rules(),
        "mounts": sorted(
            line.split(" - ")[0].split()[3:5] for line in Path("/proc/self/mountinfo").read_text().splitlines()
        ),
        "namespaces": sorted(path.name for path in run.iterdir()) if run.is_dir() else [],
        "settings": {name: Path("/proc/sys", name).read_text() for name in SETTINGS},
        "folders": [
            (path, sorted(entry.name for entry in Path(path).iterdir()) if Path(path).is_dir() else None)
            for path in ("/var/lib", "/var/log", "/etc/containerd", "/opt", "/etc/cni", "/run/containerd/s")
        ],
    }


def _packet_rules() -> list[str] | None:
    """Rules for packets, without the numbers of those that they met."""
    if shutil.which("iptables-save", path=SEARCH_PATH) is None:
        return None
    path = {"PATH": SEARCH_PATH}
    saved = subprocess.run(["iptables-save"], check=True, env=path, capture_output=True, text=True, timeout=20)
    return [line.partition(" [")[0] for line in saved.stdout.splitlines() if not line.startswith("#")]


def _namespaces(pid: int | str) -> set[str]:
    """Namespaces of a process that a cluster makes of its own; none of one that has ended."""
    try:
        return {str(Path(f"/proc/{pid}/ns/{kind}").readlink()) for kind in KINDS}
    except OSError:
        return set()


def _control_groups(pid: int | str) -> set[str]:
    """Control groups of a process; none of one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return set()
    return {line.split(":", 2)[2] for line in lines}


@dataclass(frozen=True)
class Traces:
    """What a cluster of one node has on the machine at a moment.

    Attributes:
        processes: its daemons, and what they have started.
        namespaces: as the kernel names them, without the machine's own.
        control_groups: without the machine's own.
        handles: of the namespaces: while there are, the kernel gives another cluster's none of their numbers.
    """

    processes: list[psutil.Process]
    namespaces: set[str]
    control_groups: set[str]
    handles: ExitStack

    @classmethod
    def of(cls, cluster: Cluster) -> Traces:
        found: set[psutil.Process] = set()
        for line in cluster.processes():
            # One that only helped at the start may have ended meanwhile.
            with suppress(psutil.NoSuchProcess):
                daemon = psutil.Process(int(line.split()[0]))
                found |= {daemon, *daemon.children(recursive=True)}
        handles = ExitStack()
        for each in found:
            for kind in KINDS:
                with suppress(OSError):
                    handles.callback(os.close, os.open(f"/proc/{each.pid}/ns/{kind}", os.O_RDONLY))
        return cls(
            list(found),
            set[str]().union(*(_namespaces(each.pid) for each in found)) - _namespaces("self"),
            set[str]().union(*(_control_groups(each.pid) for each in found)) - _control_groups("self"),
            handles,
        )

    def check_gone(self, cluster: Cluster) -> None:
        """Raises AssertionError for what of them there is still."""
        # What is ended already may have to wait for its burial.
        wait_until(lambda: not any(process.is_running() for process in self.processes), "every process is gone", 5)
        assert cluster.processes() == []
        assert Cgroups(cluster.state).left() == []
        with self.handles:
            held = set[str]().union(*(_namespaces(pid) for pid in psutil.pids()))
            assert self.namespaces & held == set()
        assert str(cluster.state) not in Path("/proc/mounts").read_text()


# Each of them with half of the others: one by one it would be as many starts as there are daemons.
@pytest.mark.parametrize("victims", [(), DAEMONS[::2], DAEMONS[1::2], (SHIM,), DAEMONS], ids=" ".join)
def test_stop_leaves_nothing_whatever_was_killed(
    small: Cluster, node_tools: dict[str, Path], victims: tuple[str, ...]
) -> None:
    before = machine()
    small.start()
    apply(kubectl_of(small, node_tools), pod("stays", "sleep 12345"), pod("on-node", "sleep 12345", hostNetwork=True))
    assert sorted(record.stem for record in _records(small)) == sorted(DAEMONS)
    traces = Traces.of(small)
    assert sum(process.cmdline()[:2] == ["sleep", "12345"] for process in traces.processes) == 2
    # The control plane's network, and all three of the node, besides those of pods.
    assert len(traces.namespaces) > 4
    own = Cgroups(small.state).of_node(NODE)
    assert traces.control_groups
    assert [group for group in traces.control_groups if not group.startswith(f"{own}/")] == []
    for victim in victims:
        for pid in _pids(small, traces, victim):
            os.kill(pid, signal.SIGKILL)
    if victims not in ((), (SHIM,)):
        # The kernel takes what a killed process holds before it is gone.
        wait_until(lambda: not small.running(), "the loss is noticed", 5)
    small.stop(remove=True)
    traces.check_gone(small)
    assert not small.state.exists()
    assert machine() == before


@pytest.mark.parametrize(
    "moment", ["control-plane-network", f"{NODE}-containerd", "kube-apiserver", f"{NODE}-kube-proxy"]
)
def test_a_start_that_was_killed_is_taken_up_and_leaves_nothing(
    small: Cluster, node_tools: dict[str, Path], images: list[Path], moment: str
) -> None:
    before = machine()
    arguments = [small.state, json.dumps(node_tools, default=str), json.dumps(images, default=str)]
    with subprocess.Popen([sys.executable, "-c", STARTER, *arguments], cwd=PROJECT_FOLDER) as starter:
        try:
            started = {"control-plane-network", moment}
            wait_until(
                lambda: started <= {record.stem for record in _records(small)} or starter.poll() is not None,
                f"{moment} is started",
                60,
            )
            assert starter.poll() is None
        finally:
            starter.kill()
    traces = [Traces.of(small)]
    assert traces[0].processes
    assert small.start() is True
    assert small.running()
    apply(kubectl_of(small, node_tools), pod("runs", "exec sleep infinity"))
    traces.append(Traces.of(small))
    small.stop(remove=True)
    for each in traces:
        each.check_gone(small)
    assert machine() == before


def _records(cluster: Cluster) -> list[Path]:
    return list(cluster.state.glob("processes/*.json"))


def _pids(cluster: Cluster, traces: Traces, victim: str) -> list[int]:
    record = cluster.state / "processes" / f"{victim}.json"
    if record.exists():
        return [json.loads(record.read_text())["pid"]]
    found = [process.pid for process in traces.processes if process.name().startswith(victim)]
    assert found, f"no {victim} runs"
    return found
