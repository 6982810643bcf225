"""The GKE stack interrupted while it is made and while it is destroyed: nothing is billed at the end."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from kubernetes import client

from local.cloud.ledger import NODE_POOL, Ledger
from local.stack import Engine, LocalStack
from tests.engine.cloud_stacks import (
    CloudStackFactory,
    cloud_stacks,
    cluster_client,
    cluster_status,
    disks,
)
from tests.engine.cluster_objects import unready_pods, wait_until

END_SECONDS = 60
"""Within which an interrupted engine has ended: it waits for what goes on in the cloud."""

Interruption = Callable[[subprocess.Popen[bytes]], None]


@pytest.fixture
def make_stack(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudStackFactory]:
    monkeypatch.setenv("DRAGONFLY_CLOUD_SECONDS", "0.3")
    with cloud_stacks(engine) as factory:
        yield factory


def _stateful_sets(ledger: Ledger) -> int:
    with cluster_client(ledger) as api:
        listed: Any = client.AppsV1Api(api).list_namespaced_stateful_set("default")
    return len(listed.items)


def _cluster_starts(ledger: Ledger) -> bool:
    return cluster_status(ledger) == "PROVISIONING"


def _workloads_start(ledger: Ledger) -> bool:
    return cluster_status(ledger) == "RUNNING" and _stateful_sets(ledger) > 0


def _workloads_end(ledger: Ledger) -> bool:
    return _stateful_sets(ledger) < 4


def _cluster_ends(ledger: Ledger) -> bool:
    return cluster_status(ledger) == "STOPPING"


def _interrupted(
    stack: LocalStack, log: Path, command: str, moment: Callable[[Ledger], bool], how: Interruption
) -> int:
    """Stops a command of the CLI at a moment; returns its exit code once its plug-ins have ended too."""
    with log.open("ab") as output:
        process = stack.start(command, "--yes", "--skip-preview", stdout=output)
        try:
            wait_until(lambda: moment(stack.ledger) or process.poll() is not None, f"{command}: {moment.__name__}")
            assert process.poll() is None, f"too late to interrupt; see {log}"
            children = psutil.Process(process.pid).children()
            plugins = [child for child in children if "local.plugins.server" in child.cmdline()]
            how(process)
            code = process.wait(END_SECONDS)
            # What a dead update started must not go on behind the next one's back.
            wait_until(lambda: not any(map(_works, plugins)), "the plug-ins have ended")
            return code
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _works(process: psutil.Process) -> bool:
    """Whether a process has not ended; where nobody buries the dead, they stay as zombies."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()


def _check_ready(stack: LocalStack) -> None:
    with cluster_client(stack.ledger) as api:
        assert unready_pods(api, "default") == []
        assert _stateful_sets(stack.ledger) == 4
    assert len(disks(stack.ledger)) == 2
    # GKE's default pool is gone, too.
    assert [pool.name for pool in stack.ledger.read().of_type(NODE_POOL)] == ["dragonfly"]


def test_after_ctrl_c_the_same_command_goes_on(make_stack: CloudStackFactory, tmp_path: Path) -> None:
    stack, log = make_stack("ctrl-c"), tmp_path / "log"

    def interrupt(process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGINT)

    for moment in (_cluster_starts, _workloads_start):
        assert _interrupted(stack, log, "up", moment, interrupt) != 0
    stack.output("up", "--yes", "--skip-preview")
    _check_ready(stack)
    for moment in (_workloads_end, _cluster_ends):
        # The exit code tells nothing: the CLI calls a destroy complete when what went on at the Ctrl-C succeeded.
        _interrupted(stack, log, "destroy", moment, interrupt)
        assert stack.has_resources()
    stack.output("destroy", "--yes", "--skip-preview")
    assert stack.ledger.billed() == []


def test_after_kill_9_the_recovery_leads_back(make_stack: CloudStackFactory, tmp_path: Path) -> None:
    stack, log = make_stack("kill-9"), tmp_path / "log"

    for moment in (_cluster_starts, _workloads_start):
        assert _interrupted(stack, log, "up", moment, _kill) == -signal.SIGKILL
        stack.recover()
    stack.output("up", "--yes", "--skip-preview")
    _check_ready(stack)
    for moment in (_workloads_end, _cluster_ends):
        assert _interrupted(stack, log, "destroy", moment, _kill) == -signal.SIGKILL
        stack.recover()
    stack.output("destroy", "--yes", "--skip-preview")
    assert stack.ledger.billed() == []
