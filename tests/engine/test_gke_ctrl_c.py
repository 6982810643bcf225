"""Ctrl-C while a GKE stack is made and while it is destroyed: nothing is billed at the end."""

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


def test_after_ctrl_c_the_same_command_goes_on(make_cloud_stack: CloudStackFactory, tmp_path: Path) -> None:
    stack, log = make_cloud_stack("ctrl-c"), tmp_path / "log"

    def interrupt(process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGINT)

    for moment in (cluster_starts, workloads_start):
        assert interrupted(stack, log, "up", moment, interrupt) != 0
    stack.output("up", "--yes", "--skip-preview")
    check_ready(stack)
    for moment in (workloads_end, cluster_ends):
        # The exit code tells nothing: the CLI calls a destroy complete when what went on at the Ctrl-C succeeded.
        interrupted(stack, log, "destroy", moment, interrupt)
        assert stack.has_resources()
    stack.output("destroy", "--yes", "--skip-preview")
    assert stack.ledger.billed() == []
