"""`kill -9` and Ctrl-C while a GKE stack is made and while it is destroyed: nothing is billed at the end."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.engine.cloud_interruptions import (
    check_ready,
    cluster_ends,
    cluster_starts,
    interrupted,
    workloads_end,
    workloads_start,
)
from tests.engine.cloud_stacks import CloudStackFactory


def test_an_interrupted_stack_is_led_on_to_its_end(make_cloud_stack: CloudStackFactory, tmp_path: Path) -> None:
    stack, log = make_cloud_stack("interrupted-gke"), tmp_path / "log"

    # After Ctrl-C the same command goes on, without a recovery.
    assert interrupted(stack, log, "up", cluster_starts, signal.SIGINT) != 0
    assert interrupted(stack, log, "up", workloads_start, signal.SIGKILL) == -signal.SIGKILL
    stack.recover()
    stack.output("up", "--yes", "--skip-preview")
    check_ready(stack)
    # The exit code tells nothing: the CLI calls a destroy complete when what went on at the Ctrl-C succeeded.
    interrupted(stack, log, "destroy", workloads_end, signal.SIGINT)
    assert stack.has_resources()
    assert interrupted(stack, log, "destroy", cluster_ends, signal.SIGKILL) == -signal.SIGKILL
    stack.recover()
    stack.output("destroy", "--yes", "--skip-preview")
    assert stack.ledger.billed() == []
