"""The command behind the Makefile's targets."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from local import command_line
from local.cluster.control_plane import Cluster
from local.command_line import Nodes
from local.engine.stack import Engine
from local.nodes.containers import container_nodes
from local.tools import toolchain

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("shell", [[], ["/bin/sh", "-c", '"$@" & wait $!', "sh"]], ids=["foreground", "background"])
def test_ctrl_c_while_modules_load_is_told_in_one_line(tmp_path: Path, shell: list[str]) -> None:
    # One of the modules that it loads sends the signal, as a person would at that moment.
    (tmp_path / "yaml.py").write_text(f"import os\nos.kill(os.getpid(), {int(signal.SIGINT)})\n")
    done = subprocess.run(
        [*shell, sys.executable, "-m", "local", "preview"],
        cwd=ROOT,
        env={"PYTHONPATH": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "interrupted; run the same command again to go on\n")


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a checkout that never started anything, on a machine that can run containers; no tool is needed."""

    def provide_tools(names: object, console: Console) -> dict[str, Path]:
        return {}

    def provide_engine(state: Path, console: Console, tools: object) -> Engine:
        return Engine({}, state)

    state = tmp_path / ".local"
    monkeypatch.setattr(command_line, "STATE", state)
    monkeypatch.setattr(toolchain, "provide", provide_tools)
    monkeypatch.setattr(Engine, "provide", provide_engine)
    monkeypatch.setattr(container_nodes, "why_not", lambda: None)
    return state


@pytest.mark.parametrize("command", ["status", "console"])
def test_what_needs_a_cluster_says_where_there_is_none(
    own_state: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert command_line.main([command]) == 1
    assert capsys.readouterr().err == "error: no cluster runs here; `make up` starts one\n"


def test_down_forgets_which_nodes_there_were(own_state: Path) -> None:
    own_state.mkdir()
    Nodes("e2-small", 1, "containers").remember(own_state)
    assert command_line.main(["down"]) == 0
    assert Nodes.remembered(own_state) == Nodes()


@pytest.mark.parametrize("kind", ["kwok", "containers"])
def test_down_takes_the_nodes_that_are_there_whatever_it_is_told(
    own_state: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    described: list[str] = []

    def describe(*arguments: Any, **options: Any) -> Cluster:
        described.append(options["node_kind"])
        return Cluster(*arguments, **options)

    monkeypatch.setattr(command_line, "Cluster", describe)
    (own_state / "cluster").mkdir(parents=True)
    (own_state / "cluster" / "node-kind").write_text(kind)
    other = {"kwok": "containers", "containers": "kwok"}[kind]
    assert command_line.main(["down", "--nodes", other, "--node-count", "9"]) == 0
    assert set(described) == {kind}
    assert not (own_state / "cluster").exists()


def test_no_nodes_at_all_are_refused(own_state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["up", "--node-count", "0"]) == 1
    assert capsys.readouterr().err == "error: a local cluster has 1 to 200 nodes, not 0\n"
