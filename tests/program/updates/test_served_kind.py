"""Kinds that somebody else defines: refused in an existing cluster without them, waited for in a new one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import pulumi
import pytest

from dragonfly import release
from dragonfly.access.client import connect
from dragonfly.access.cluster_access import ClusterAccess
from dragonfly.access.objects import Cluster, NoClusterError
from dragonfly.updates import served_kind
from dragonfly.updates.line_change import LineChange
from dragonfly.updates.served_kind import MANAGED_API, OPERATOR_API, MissingKindError, has_kind, missing_kind
from tests.program.played.played_api_server import ApiServer, installed_api_server, kubeconfig
from tests.program.played.played_hook import Hook
from tests.program.recorded.gke_stack import run_gke

MANAGED = "/apis/monitoring.googleapis.com/v1"
SERVED = (200, {"resources": [{"kind": "Rules"}, {"kind": "PodMonitoring"}]})
NOT_THERE = (404, {"message": "the server could not find the requested resource"})


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with installed_api_server() as server:
        yield server


def cluster(api: ApiServer) -> Cluster:
    return Cluster(connect(kubeconfig(api.url), None), "", ())


def manifest(api: tuple[str, str]) -> dict[str, Any]:
    api_version, kind = api
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "m"}}


@pytest.mark.parametrize("answer", [NOT_THERE, (200, {"resources": [{"kind": "Rules"}]})], ids=["no group", "no kind"])
def test_a_kind_that_the_cluster_lacks_is_told_with_the_key(api: ApiServer, answer: tuple[int, Any]) -> None:
    api.answers[MANAGED] = answer
    assert missing_kind(cluster(api), manifest(MANAGED_API)) == (
        "the cluster has no kind PodMonitoring of monitoring.googleapis.com/v1; `gcloud container clusters update "
        "<cluster> --enable-managed-prometheus` brings it, and without it: pulumi config set dragonfly:monitoring none"
    )
    api.answers[MANAGED] = SERVED
    assert missing_kind(cluster(api), manifest(MANAGED_API)) is None


def test_a_kind_of_the_programs_own_is_not_asked_for(api: ApiServer) -> None:
    # It is defined in the same update.
    assert missing_kind(cluster(api), manifest(("app.k8s.io/v1beta1", "Application"))) is None
    assert api.asked == []


def test_who_may_not_see_the_kinds_is_not_told_that_they_are_missing(api: ApiServer) -> None:
    api.answers["/apis/monitoring.coreos.com/v1"] = (403, {"message": "not you"})
    with pytest.raises(NoClusterError, match="not you"):
        missing_kind(cluster(api), manifest(OPERATOR_API))


def hook_of(
    monkeypatch: pytest.MonkeyPatch,
    api: ApiServer,
    seconds: float,
    failed: threading.Event | None = None,
    *,
    comes: bool = True,
) -> Hook:
    monkeypatch.setattr(pulumi, "ResourceHook", Hook)
    monkeypatch.setattr(served_kind, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(served_kind, "_LONGEST_SECONDS", seconds)
    hooks: Any = has_kind(ClusterAccess(kubeconfig(api.url)), failed or threading.Event(), comes=comes).hooks
    (hook,) = hooks.before_create
    return cast(Hook, hook)


def create(hook: Hook, api: tuple[str, str] = MANAGED_API) -> None:
    inputs = manifest(api)
    asyncio.run(hook.call(pulumi.ResourceHookArgs("urn", "", "m", "", new_inputs=inputs)))


def test_a_new_cluster_that_gets_the_kind_later_is_waited_for(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    api.answers[MANAGED] = NOT_THERE
    later = [threading.Timer(0.2, api.answers.update, [{MANAGED: (503, {"message": "starting"})}])]
    later.append(threading.Timer(0.4, api.answers.update, [{MANAGED: SERVED}]))
    for each in later:
        each.start()
    create(hook_of(monkeypatch, api, 30))
    assert len(api.asked) > 2


def test_the_preview_does_not_wait(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    assert not hook_of(monkeypatch, api, 30).in_preview


def test_an_operator_that_somebody_has_to_install_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer
) -> None:
    hook = hook_of(monkeypatch, api, 30, comes=False)
    assert hook.in_preview
    with pytest.raises(MissingKindError, match=r"no kind PodMonitor .*; the Prometheus Operator brings it"):
        create(hook, OPERATOR_API)
    assert len(api.asked) == 1


def test_it_is_not_waited_for_once_something_else_has_failed(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    api.answers[MANAGED] = NOT_THERE
    failed = threading.Event()
    hook = hook_of(monkeypatch, api, 30, failed)
    threading.Timer(0.2, failed.set).start()
    begun = time.monotonic()
    with pytest.raises(
        MissingKindError, match=r"^PodMonitoring is not waited for any longer.*: run the same command again$"
    ):
        create(hook)
    assert time.monotonic() - begun < 10


def test_what_fails_of_dragonfly_is_what_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[threading.Event] = []

    class Noted(LineChange):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            events.append(self.failed)

    def noted(_: ClusterAccess, failed: threading.Event, *, comes: bool) -> pulumi.ResourceOptions:
        assert comes
        events.append(failed)
        return pulumi.ResourceOptions()

    monkeypatch.setattr(release, "LineChange", Noted)
    monkeypatch.setattr(release, "has_kind", noted)
    # Of other tests' configs what was declared is remembered.
    run_gke(namespace="waited-in")
    ours, waited_with = events
    assert ours is waited_with


def test_a_kind_that_never_comes_ends_the_update_with_the_key(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    api.answers[MANAGED] = NOT_THERE
    with pytest.raises(MissingKindError, match=r"the cluster has no kind PodMonitoring .*monitoring none"):
        create(hook_of(monkeypatch, api, 0.1))
