"""Which local nodes a command gets, and what it says where the machine cannot have them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from local.cluster.control_plane import Cluster
from local.command_line import Nodes
from local.machine.file_lock import file_lock
from local.nodes.containers import cgroups, container_nodes, requirements
from local.nodes.containers.cgroups import CgroupError, Cgroups
from local.nodes.containers.requirements import PLUGINS, PROGRAMS
from local.tools.catalog import CONTAINER_TOOLS, TOOLS


def test_nodes_stay_as_they_were_until_told_otherwise(tmp_path: Path) -> None:
    assert Nodes.remembered(tmp_path) == Nodes("e2-standard-4", 3, "kwok")
    Nodes.remembered(tmp_path).with_changes("e2-small", None, 5).remember(tmp_path)
    assert Nodes.remembered(tmp_path).with_changes(None, None, None) == Nodes("e2-small", 5, "kwok")


def test_another_kind_of_nodes_starts_with_its_own_number() -> None:
    five = Nodes("e2-small", 5, "kwok")
    assert five.with_changes(None, "containers", None) == Nodes("e2-small", 2, "containers")
    assert five.with_changes(None, "containers", 3).count == 3
    assert five.with_changes(None, "kwok", None).count == 5


def test_what_was_remembered_before_there_were_kinds_is_kwoks(tmp_path: Path) -> None:
    (tmp_path / "nodes.json").write_text('{"machine_type": "e2-small", "count": 4}')
    assert Nodes.remembered(tmp_path) == Nodes("e2-small", 4, "kwok")


@pytest.mark.parametrize(("kind", "count"), [("kwok", 0), ("kwok", 201), ("containers", 0), ("containers", 4)])
def test_a_number_of_nodes_out_of_range_is_refused(tmp_path: Path, kind: str, count: int) -> None:
    with pytest.raises(ValueError, match=rf"1 to \d+ .*not {count}"):
        Cluster(tmp_path, node_count=count, node_kind=kind)


def test_an_unknown_kind_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'virtual' is no kind of nodes: choose kwok or containers"):
        Cluster(tmp_path, node_kind="virtual")


def test_containers_need_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _let_root_have_everything(tmp_path, monkeypatch, "exit 0")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    state = tmp_path / "state"
    with pytest.raises(ValueError, match="need root: `sudo --preserve-env=HOME,PATH make up NODES=containers`"):
        Cluster(state, node_count=1, node_kind="containers").start()
    assert not state.exists()


def test_images_are_fetched_or_built_while_nobody_has_to_wait_for_the_clusters_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def provide_archives() -> list[Path]:
        lock = tmp_path / "lock"
        if lock.exists():
            with file_lock(lock, timeout_seconds=0):
                pass
        raise InterruptedError("far enough")

    monkeypatch.setattr(container_nodes, "why_not", lambda: None)
    monkeypatch.setattr(container_nodes, "provide_archives", provide_archives)
    binaries = {name for tool in CONTAINER_TOOLS for name in TOOLS[tool].binaries}
    tools = dict.fromkeys(binaries, Path("/bin/false"))
    with pytest.raises(InterruptedError, match="far enough"):
        Cluster(tmp_path, node_count=1, node_kind="containers", tools=tools).start()


def _let_root_have_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unshare: str) -> None:
    """A machine on which nothing is missing, as far as one sees from its files."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in (*PROGRAMS, *PLUGINS):
        program = programs / name
        program.write_text(f"#!/bin/sh\n{unshare if name == 'unshare' else 'exit 1'}\n")
        program.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(requirements, "SEARCH_PATH", str(programs))
    monkeypatch.setattr(requirements, "CNI_PLUGINS", programs)
    monkeypatch.setattr(requirements, "COVERED", programs)


def test_root_that_may_not_make_namespaces_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _let_root_have_everything(tmp_path, monkeypatch, "echo 'Operation not permitted' >&2; exit 1")
    reason = requirements.why_not()
    assert reason is not None
    assert "`unshare --mount --net --pid --fork true`, which fails here (Operation not permitted)" in reason
    assert "`make up NODES=kwok`" in reason


@pytest.mark.parametrize(
    ("kind", "fault"), [("tmpfs", "no hierarchy of them is mounted"), ("cgroup2", "missing/dragonfly-trial-")]
)
def test_root_that_may_not_make_control_groups_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, fault: str
) -> None:
    _let_root_have_everything(tmp_path, monkeypatch, "exit 0")
    _mount(tmp_path, monkeypatch, kind)
    reason = requirements.why_not()
    assert reason is not None
    assert fault in reason
    assert "`make up NODES=kwok`" in reason


def test_control_groups_that_cannot_be_made_are_an_error_of_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _mount(tmp_path, monkeypatch, "cgroup2")
    with pytest.raises(CgroupError, match=r"the control groups of node-1 cannot be made: .*missing"):
        Cgroups(tmp_path).make("node-1")


def _unified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file by which the top of a played unified hierarchy gives controllers; it gives some already."""
    _mount(tmp_path, monkeypatch, "cgroup2")
    top = tmp_path / "missing"
    top.mkdir()
    (top / "cgroup.controllers").write_text("cpu cpuset io memory pids\n")
    (top / "cgroup.subtree_control").write_text("cpu memory\n")
    return top / "cgroup.subtree_control"


def test_controllers_that_a_node_needs_are_added_to_the_machines_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = _unified(tmp_path, monkeypatch)
    Cgroups(tmp_path).make("node-1")
    assert control.read_text() == "+cpuset +pids"


def test_controllers_are_put_back_with_the_last_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control = _unified(tmp_path, monkeypatch)
    written: list[str] = []
    write = Path.write_text

    def record(path: Path, text: str) -> int:
        if path == control:
            written.append(text)
            return len(text)
        return write(path, text)

    monkeypatch.setattr(Path, "write_text", record)
    for node in ("node-1", "node-2"):
        Cgroups(tmp_path).make(node)
    Cgroups(tmp_path).remove("node-1")
    assert "-pids" not in written
    Cgroups(tmp_path).remove()
    assert written[-2:] == ["-cpuset", "-pids"]
    assert not {"-cpu", "-memory"} & set(written)
    written.clear()
    Cgroups(tmp_path).remove()
    assert written == []


def test_a_container_whose_group_holds_processes_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control = _unified(tmp_path, monkeypatch)
    _let_root_have_everything(tmp_path, monkeypatch, "exit 0")

    def refuse(path: Path, text: str) -> int:
        assert (path, text) == (control, "+cpuset +pids")
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
    reason = requirements.why_not()
    assert reason is not None
    assert f"{control}: Device or resource busy" in reason
    assert sorted(path.name for path in control.parent.iterdir()) == ["cgroup.controllers", "cgroup.subtree_control"]


def _mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """All that is mounted, where nobody can write."""
    table = tmp_path / "mounts"
    table.write_text(f"none {tmp_path / 'missing'} {kind} ro 0 0\n")
    monkeypatch.setattr(cgroups, "MOUNTS", table)


@pytest.mark.parametrize(
    ("user", "caller", "command"),
    [
        (1000, None, "sudo make node-packages"),
        (0, "1000", "sudo make node-packages"),
        (0, None, "make node-packages"),
    ],
)
def test_what_is_missing_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, caller: str | None, command: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.delenv("SUDO_UID", raising=False)
    if caller:
        monkeypatch.setenv("SUDO_UID", caller)
    monkeypatch.setattr(requirements, "SEARCH_PATH", str(tmp_path))
    monkeypatch.setattr(requirements, "CNI_PLUGINS", tmp_path)
    monkeypatch.setattr(requirements, "COVERED", tmp_path / "etc-containerd")
    (tmp_path / "ptp").touch()
    reason = requirements.why_not()
    assert reason is not None
    assert "need containerd, ctr, ip, ipset, iptables, mmdebstrap, nsenter, runc, unshare, " in reason
    assert f"{tmp_path / 'host-local'}" in reason
    assert f"{tmp_path / 'ptp'}" not in reason
    assert reason.endswith(f"{tmp_path / 'etc-containerd'}: `{command}`")
