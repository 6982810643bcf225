"""Waiting for a changed StatefulSet: when, for what, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest

from dragonfly.access.client import KubeconfigError
from dragonfly.access.objects import Cluster, NoClusterError
from dragonfly.status.pod_reasons import Reason
from dragonfly.status.workloads import Condition
from dragonfly.updates import rollout
from tests.program.played.played_api_server import NAMES, ApiServer, installed_api_server, kubeconfig, workload
from tests.program.recorded.known_stacks import DEFAULT_CONFIG, SECRET_KEYS
from tests.program.recorded.recorded_program import Cloud, run_main
from tests.waiting import wait_until

STATEFUL_SETS = "/apis/apps/v1/namespaces/p2p/statefulsets"
OTHERS = (NAMES.redis, NAMES.scheduler, NAMES.seed_peer)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr(rollout, "_POLL_SECONDS", 0.02)
    with installed_api_server() as server:
        yield server


def let_mysql_be(api: ApiServer, ready: int) -> None:
    api.lists(STATEFUL_SETS, workload(NAMES.mysql, ready=ready), *map(workload, OTHERS))


def wait(api: ApiServer, seconds: float) -> None:
    rollout._wait(kubeconfig(api.url), None, "p2p", NAMES, NAMES.mysql, seconds)  # pyright: ignore[reportPrivateUsage]


def test_one_that_is_ready_is_not_waited_for(api: ApiServer) -> None:
    # Whatever the others are.
    api.lists(STATEFUL_SETS, workload(NAMES.mysql), workload(NAMES.redis, ready=0))
    wait(api, 0)


def test_it_is_waited_for_until_it_is_ready(api: ApiServer) -> None:
    let_mysql_be(api, ready=0)

    def mend_once_asked() -> None:
        wait_until(lambda: len(api.asked) > 0, "it is asked for")
        let_mysql_be(api, ready=1)

    mending = threading.Thread(target=mend_once_asked)
    mending.start()
    wait(api, 30)
    mending.join()
    assert sum(path == STATEFUL_SETS for path, _ in api.asked) > 1


def test_it_is_not_asked_for_without_a_pause(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    let_mysql_be(api, ready=0)
    slept: list[float] = []
    monkeypatch.setattr(rollout, "_POLL_SECONDS", 0.06)
    monkeypatch.setattr(time, "sleep", slept.append)
    with pytest.raises(rollout.NotReadyError):
        wait(api, 0.3)
    # Nobody else sleeps so long.
    assert 0.06 in slept


def test_reasons_stand_apart(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Condition("StatefulSet", NAMES.mysql, False, "not Ready", [Reason("the first"), Reason("the second")])

    def judge(*_: object) -> Condition:
        return found

    monkeypatch.setattr(rollout, "_condition", judge)
    with pytest.raises(rollout.NotReadyError) as late:
        wait(api, 0)
    assert str(late.value) == f"StatefulSet {NAMES.mysql} did not become Ready within 0 s: the first; the second"


def test_when_the_time_is_over_the_reason_is_told(api: ApiServer) -> None:
    let_mysql_be(api, ready=0)
    with pytest.raises(rollout.NotReadyError, match=f"StatefulSet {NAMES.mysql} did not become Ready within 0 s: .+"):
        wait(api, 0.1)


def test_a_control_plane_that_is_away_for_a_moment_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer
) -> None:
    let_mysql_be(api, ready=1)
    away = [NoClusterError("away"), KubeconfigError("no token")]
    read = Cluster.read

    def read_once_it_is_back(cluster: Cluster, app: str) -> Any:
        if away:
            raise away.pop()
        return read(cluster, app)

    monkeypatch.setattr(Cluster, "read", read_once_it_is_back)
    wait(api, 30)
    assert away == []


def test_one_that_stays_away_is_the_reason_when_the_time_is_over(api: ApiServer) -> None:
    why = r"it could not be asked for any more: http://127\.0\.0\.1:1 does not answer: "
    with pytest.raises(rollout.NotReadyError, match=f"within 0 s: {why}"):
        rollout._wait(kubeconfig("http://127.0.0.1:1"), None, "p2p", NAMES, NAMES.mysql, 0)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("preview", "generations", "waits"),
    [(False, (2, 1), True), (False, (2, 2), False), (True, (2, 1), False)],
    ids=["not seen yet", "seen", "in a preview"],
)
def test_only_a_change_that_its_controller_has_not_seen_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, preview: bool, generations: tuple[int, int], waits: bool
) -> None:
    asked: list[tuple[Any, ...]] = []

    def note(*args: Any) -> None:
        asked.append(args)

    def tell(message: str, _: object = None, *, ephemeral: bool = False) -> None:
        told.append((message, ephemeral))

    told: list[tuple[str, bool]] = []
    monkeypatch.setattr(rollout, "_wait", note)
    monkeypatch.setattr(pulumi.log, "info", tell)
    generation, observed = generations
    found = {
        "metadata": {"name": NAMES.redis, "namespace": "p2p", "generation": generation},
        "status": {"observedGeneration": observed, "replicas": 1},
    }
    config = {
        **DEFAULT_CONFIG,
        "dragonfly:kubeconfig": "of: the-kubeconfig",
        "dragonfly:kubeContext": "chosen",
        "dragonfly:readyTimeoutSeconds": "77",
    }
    played = Cloud({}, {"kubernetes:apps/v1:StatefulSet": found})
    assert run_main(config, SECRET_KEYS, cloud=played, preview=preview).error is None
    assert [(*each[:3], each[4], each[5]) for each in asked] == [
        ("of: the-kubeconfig", "chosen", "p2p", NAMES.redis, 77)
    ] * (4 if waits else 0)
    # Shown for as long as it goes on.
    assert told == [(f"Waiting until {NAMES.redis} has rolled out", True)] * (4 if waits else 0)
