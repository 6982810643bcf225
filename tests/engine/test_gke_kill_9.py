"""`kill -9` while a GKE stack is made and while it is destroyed: nothing is billed at the end."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from local.stack import Engine
from tests.engine.cloud_interruptions import (
    check_ready,
    cluster_ends,
    cluster_starts,
    interrupted,
    workloads_end,
    workloads_start,
)
from tests.engine.cloud_stacks import CloudStackFactory


@pytest.fixture(scope="module")
def engine(plain_engine: Engine) -> Engine:
    """Its processes are interrupted, or lose their parent: they must be those that the user has."""
    return plain_engine


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()


def test_after_kill_9_the_recovery_leads_back(make_cloud_stack: CloudStackFactory, tmp_path: Path) -> None:
    stack, log = make_cloud_stack("kill-9"), tmp_path / "log"

    for moment in (cluster_starts, workloads_start):
        assert interrupted(stack, log, "up", moment, _kill) == -signal.SIGKILL
        stack.recover()
    stack.output("up", "--yes", "--skip-preview")
    check_ready(stack)
    for moment in (workloads_end, cluster_ends):
        assert interrupted(stack, log, "destroy", moment, _kill) == -signal.SIGKILL
        stack.recover()
    stack.output("destroy", "--yes", "--skip-preview")
    assert stack.ledger.billed() == []
