"""An update that does not reach its end: by Ctrl-C, and by `kill -9`."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.api_client import ApiClient

from local.engine.abandoned_plugins import abandoned_plugins
from local.engine.stack import LocalStack, StackError
from tests.engine.cluster_objects import no_room, objects_by_kind, secret_values, unready_pods
from tests.engine.conftest import StackFactory
from tests.waiting import wait_until

END_SECONDS = 120
"""Within which an interrupted engine has ended."""


def _has_all_workloads(api: ApiClient, namespace: str) -> bool:
    made = objects_by_kind(api, namespace)
    return len(made["StatefulSet"]) == 4 and bool(made["Deployment"]) and bool(made["DaemonSet"])


def _interrupt(stack: LocalStack, api: ApiClient, log: Path, how: Callable[[subprocess.Popen[bytes]], None]) -> int:
    """Stops an `up` that waits for its pods; returns its exit code."""
    with log.open("wb") as output, no_room(api):
        process = stack.start("up", "--yes", "--skip-preview", stdout=output)
        try:
            wait_until(
                lambda: process.poll() is not None or _has_all_workloads(api, stack.name),
                "every workload has been made",
                evidence=log.read_text,
            )
            assert process.poll() is None, log.read_text()
            how(process)
            return process.wait(END_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _passwords(api: ApiClient, namespace: str) -> dict[str, str]:
    return {
        **secret_values(api, namespace, "dragonfly-1-mysql-secret"),
        **secret_values(api, namespace, "dragonfly-1-redis-secret"),
    }


def test_after_ctrl_c_a_plain_re_run_goes_on(make_stack: StackFactory, api: ApiClient, tmp_path: Path) -> None:
    stack = make_stack("interrupted")
    code = _interrupt(stack, api, tmp_path / "up.log", lambda process: process.send_signal(signal.SIGINT))
    assert code != 0
    before = _passwords(api, stack.name)
    stack.output("up", "--yes", "--skip-preview")
    assert unready_pods(api, stack.name) == []
    assert _passwords(api, stack.name) == before


def test_after_kill_9_the_recovery_leads_back(make_stack: StackFactory, api: ApiClient, tmp_path: Path) -> None:
    stack = make_stack("killed")
    assert _interrupt(stack, api, tmp_path / "up.log", lambda process: process.kill()) == -signal.SIGKILL
    home = [stack.engine.home]
    assert "pulumi-resource-kubernetes" in {process.name() for process in abandoned_plugins(home)}
    before = _passwords(api, stack.name)

    # One of the objects whose creation is pending is taken away: the recovery must find out which exist.
    apps: Any = client.AppsV1Api(api)
    apps.delete_namespaced_daemon_set("dragonfly-1-dfget", stack.name)
    with pytest.raises(StackError):
        stack.output("up", "--yes", "--skip-preview")
    stack.recover()
    assert abandoned_plugins(home) == []
    stack.output("up", "--yes", "--skip-preview")
    assert unready_pods(api, stack.name) == []
    assert len(objects_by_kind(api, stack.name)["DaemonSet"]) == 1
    assert _passwords(api, stack.name) == before
