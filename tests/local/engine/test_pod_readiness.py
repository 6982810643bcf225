"""Pods are waited for after their nodes were started again: what the API server said before does not count."""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client.api_client import ApiClient
from rich.console import Console

from local.nodes import pod_readiness
from local.nodes.pod_readiness import PodsNotReadyError, wait_for_pods

STARTED = datetime.datetime(2026, 1, 2, 3, 4, 5, 600_000, datetime.UTC)
BEFORE, AFTER = STARTED - datetime.timedelta(seconds=2), STARTED.replace(microsecond=0)


def _pod(name: str, started_at: datetime.datetime | None, ready: bool = True, phase: str = "Running") -> Any:
    running = SimpleNamespace(started_at=started_at) if started_at else None
    container = SimpleNamespace(ready=ready, state=SimpleNamespace(running=running))
    return SimpleNamespace(
        metadata=SimpleNamespace(name=name), status=SimpleNamespace(phase=phase, container_statuses=[container])
    )


def _wait(monkeypatch: pytest.MonkeyPatch, *answers: list[Any]) -> int:
    """Asks a played API server; returns how often it was asked."""
    asked: list[tuple[str, str]] = []

    class PlayedApi:
        def __init__(self, client: object) -> None: ...

        def list_namespaced_pod(self, namespace: str, label_selector: str) -> Any:
            asked.append((namespace, label_selector))
            return SimpleNamespace(items=answers[min(len(asked), len(answers)) - 1])

    monkeypatch.setattr(pod_readiness, "CoreV1Api", PlayedApi)
    monkeypatch.setattr(pod_readiness, "_POLL_SECONDS", 0.01)
    wait_for_pods(ApiClient(), "here", STARTED, 0.1, Console(quiet=True))
    assert set(asked) == {("here", "app.kubernetes.io/part-of=dragonfly")}
    return len(asked)


def test_status_of_before_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    finished = _pod("job", None, ready=False, phase="Succeeded")
    evicted = _pod("dfget-1", None, ready=False, phase="Failed")
    old, new = _pod("redis-0", BEFORE), _pod("redis-0", AFTER)
    assert (
        _wait(
            monkeypatch, [], [finished, old], [finished, _pod("redis-0", AFTER, ready=False)], [finished, evicted, new]
        )
        == 4
    )


def test_pods_that_do_not_become_ready_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PodsNotReadyError, match=r"not Ready .* start: mysql-0, redis-0$"):
        _wait(monkeypatch, [_pod("redis-0", None), _pod("manager", AFTER), _pod("mysql-0", BEFORE)])
