"""Moments at which a command on a GKE stack is interrupted, and the interruption."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from kubernetes import client

from local.engine.stack import LocalStack
from local.ledger.ledger import NODE_POOL, Ledger
from tests.engine.cloud_stacks import (
    cluster_client,
    cluster_status,
    disks,
)
from tests.engine.cluster_objects import unready_pods
from tests.waiting import wait_until

MOMENT_SECONDS = 240
"""Within which the moment to interrupt has come; a busy machine takes three times as long as an idle one."""

END_SECONDS = 120
"""Within which an interrupted engine has ended: it waits for what goes on in the cloud."""


def _stateful_sets(ledger: Ledger) -> int:
    with cluster_client(ledger) as api:
        listed: Any = client.AppsV1Api(api).list_namespaced_stateful_set("default")
    return len(listed.items)


def cluster_starts(ledger: Ledger) -> bool:
    """While `up` waits for the control plane."""
    return cluster_status(ledger) == "PROVISIONING"


def workloads_start(ledger: Ledger) -> bool:
    """While `up` waits for pods."""
    return cluster_status(ledger) == "RUNNING" and _stateful_sets(ledger) > 0


def workloads_end(ledger: Ledger) -> bool:
    """While `destroy` waits for pods."""
    return _stateful_sets(ledger) < 4


def cluster_ends(ledger: Ledger) -> bool:
    """While `destroy` waits for the cluster."""
    return cluster_status(ledger) == "STOPPING"


def interrupted(
    stack: LocalStack, log: Path, command: str, moment: Callable[[Ledger], bool], how: signal.Signals
) -> int:
    """Sends a command of the CLI a signal at a moment; returns its exit code once the stand-ins have ended too."""
    with log.open("ab") as output:
        process = stack.start(command, "--yes", "--skip-preview", stdout=output)
        try:
            wait_until(
                lambda: moment(stack.ledger) or process.poll() is not None,
                f"{command}: {moment.__name__}",
                MOMENT_SECONDS,
                every=0.05,
            )
            assert process.poll() is None, f"too late to interrupt; see {log}"
            children = psutil.Process(process.pid).children()
            plugins = [child for child in children if "local.standins.plugins.server" in child.cmdline()]
            process.send_signal(how)
            code = process.wait(END_SECONDS)
            # What a dead update started must not go on behind the next one's back.
            wait_until(lambda: not any(map(_works, plugins)), "the stand-ins have ended")
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


def check_ready(stack: LocalStack) -> None:
    """Every pod is Ready, and nothing is in the cloud that should not be."""
    with cluster_client(stack.ledger) as api:
        assert unready_pods(api, "default") == []
        assert _stateful_sets(stack.ledger) == 4
    assert len(disks(stack.ledger)) == 2
    # GKE's default pool is gone, too.
    assert [pool.name for pool in stack.ledger.read().of_type(NODE_POOL)] == ["dragonfly"]
