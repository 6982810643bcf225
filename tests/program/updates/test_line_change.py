"""The move from one release line to another: who waits for whom, and which way there is none back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest

from dragonfly.access.cluster_access import ClusterAccess
from dragonfly.updates import line_change
from dragonfly.updates.line_change import LINE_ANNOTATION, LineChange, LineChangeError
from tests.program.played.played_api_server import NAMES, NAMESPACE, ApiServer, installed_api_server, kubeconfig
from tests.program.played.played_hook import Hook
from tests.program.recorded.recorded_program import RecordedProgram
from tests.waiting import wait_until

MANAGER = f"/apis/apps/v1/namespaces/p2p/deployments/{NAMES.manager}"
SCHEDULER = f"/apis/apps/v1/namespaces/p2p/statefulsets/{NAMES.scheduler}"
PODS = f"{NAMESPACE}/pods"
OLD_IMAGE, NEW_IMAGE = "r/manager:2.1.34", "r/manager:v2.5.1"
RUNS: dict[str, Any] = {"state": {"running": {}}, "restartCount": 0}


def pod(image: str, **status: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"image": image}]}, "status": {"containerStatuses": [status]} if status else {}}


def inputs(line: str) -> dict[str, Any]:
    annotations = {} if line == "2.1" else {LINE_ANNOTATION: line}
    image = OLD_IMAGE if line == "2.1" else NEW_IMAGE
    return {"metadata": {"annotations": annotations}, "spec": {"template": pod(image)}}


def workload(line: str, **status: int) -> tuple[int, dict[str, Any]]:
    ready = {"observedGeneration": 7, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}
    metadata = {**inputs(line)["metadata"], "generation": 7}
    return 200, {"metadata": metadata, "spec": {"replicas": 1}, "status": {**ready, **status}}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr(line_change, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(pulumi, "ResourceHook", Hook)
    with installed_api_server() as server:
        server.answers[f"{MANAGER}/scale"] = (200, {})
        yield server


def moves(url: str, seconds: float = 30, *, allows_downgrade: bool = False) -> LineChange:
    return LineChange(NAMES, "p2p", ClusterAccess(kubeconfig(url)), seconds, allows_downgrade)


def hook_of(options: pulumi.ResourceOptions) -> Hook:
    binding: Any = options.hooks
    return binding.before_update[0]


def update(options: pulumi.ResourceOptions, old: str, new: str) -> None:
    args = pulumi.ResourceHookArgs("urn", "id", "n", "t", old_inputs=inputs(old), new_inputs=inputs(new))
    asyncio.run(hook_of(options).call(args))


def test_every_program_of_dragonfly_takes_its_place_and_nothing_else_does(program: RecordedProgram) -> None:
    hooked = {one.name: one.update_hooks for one in program.objects if any("line" in name for name in one.update_hooks)}
    assert hooked == {name: (f"{name}-changes-line",) for name in ("manager", "scheduler", "seed-peer", "dfget")}


def test_within_a_line_nothing_is_asked_or_done(api: ApiServer) -> None:
    for line in ("2.1", "2.5"):
        update(moves(api.url).of_manager(), line, line)
        update(moves(api.url).after("Deployment", NAMES.manager, "scheduler"), line, line)
    assert (api.asked, api.changed) == ([], [])


def test_the_old_manager_is_stopped_and_gone_before_the_new_one_is_made(api: ApiServer) -> None:
    api.lists(PODS, pod(OLD_IMAGE, **RUNS))

    def end_once_stopped() -> None:
        wait_until(lambda: len(api.changed) == 1 and len(api.asked) > 2, "it is stopped, and looked for")
        api.lists(PODS)

    ending = threading.Thread(target=end_once_stopped)
    ending.start()
    update(moves(api.url).of_manager(), "2.1", "2.5")
    ending.join()
    assert api.changed == [(f"{MANAGER}/scale", {"spec": {"replicas": 0}})]
    label = f"app.kubernetes.io/name={NAMES.app},app.kubernetes.io/component=dragonfly-manager"
    assert (PODS, {"labelSelector": [label]}) in api.asked


def test_a_preview_stops_nobody(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    hook = hook_of(moves(api.url).of_manager())
    assert hook.in_preview
    update(moves(api.url).of_manager(), "2.1", "2.5")
    assert (api.asked, api.changed) == ([], [])
    assert not hook_of(moves(api.url).after("Deployment", NAMES.manager, "scheduler")).in_preview


@pytest.mark.parametrize(
    "not_yet",
    [
        workload("2.1"),
        workload("2.5", observedGeneration=6),
        workload("2.5", updatedReplicas=0),
        workload("2.5", readyReplicas=0),
        workload("2.5", replicas=2),
        (404, {"message": "not found"}),
    ],
    ids=["old", "not seen", "not updated", "not Ready", "old one there", "gone"],
)
@pytest.mark.parametrize(("kind", "path"), [("Deployment", MANAGER), ("StatefulSet", SCHEDULER)])
def test_who_follows_waits_until_the_one_before_has_moved_and_is_ready(
    api: ApiServer, kind: str, path: str, not_yet: tuple[int, Any]
) -> None:
    api.answers[path] = not_yet
    name = path.rpartition("/")[2]

    def move_once_asked() -> None:
        wait_until(lambda: len(api.asked) > 1, "it is asked for")
        api.answers[path] = workload("2.5")

    moving = threading.Thread(target=move_once_asked)
    moving.start()
    update(moves(api.url).after(kind, name, "n"), "2.1", "2.5")
    moving.join()
    assert {path for path, _ in api.asked} == {path}


def test_who_waits_in_vain_says_for_whom_and_what_to_do(api: ApiServer) -> None:
    api.answers[MANAGER] = workload("2.1")
    with pytest.raises(LineChangeError) as late:
        update(moves(api.url, 0).after("Deployment", NAMES.manager, "scheduler"), "2.1", "2.5")
    assert str(late.value) == (
        f"Deployment {NAMES.manager} was waited for, and did not come within 0 s; what follows it is as it was. "
        "Run the same command again."
    )


def test_where_nothing_answers_nobody_moves() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi, "ResourceHook", Hook)
        options = moves("http://127.0.0.1:1").of_manager()
    with pytest.raises(
        LineChangeError, match=r"does not move from 2\.1 to 2\.5: .*refused\. Run the same command again"
    ):
        update(options, "2.1", "2.5")


def test_who_may_not_stop_the_manager_is_told(api: ApiServer) -> None:
    api.answers[f"{MANAGER}/scale"] = (403, {"message": "no"})
    with pytest.raises(LineChangeError, match=rf"does not stop Deployment {NAMES.manager} \(403\): no"):
        update(moves(api.url).of_manager(), "2.1", "2.5")


@pytest.mark.parametrize(
    "pods",
    [
        [pod(NEW_IMAGE, **RUNS)],
        [pod(NEW_IMAGE, state={"terminated": {}}, restartCount=0)],
        [pod(NEW_IMAGE, state={"waiting": {}}, restartCount=1)],
        # It is not known what was.
        [],
        [pod(OLD_IMAGE, **RUNS)],
    ],
    ids=["runs", "ended", "restarts", "none", "another"],
)
@pytest.mark.parametrize("preview", [True, False])
def test_there_is_no_way_back_once_the_manager_has_started(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer, pods: list[dict[str, Any]], preview: bool
) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: preview)
    api.lists(PODS, *pods)
    with pytest.raises(LineChangeError) as refused:
        update(moves(api.url).of_manager(), "2.5", "2.1")
    assert str(refused.value) == (
        "dragonfly:tag: the manager of 2.5 has migrated the database, and Dragonfly promises nothing of one of 2.1 on "
        "it; set the tag back, or, with a snapshot of the database's disk at hand: "
        "pulumi config set dragonfly:allowDowngrade true"
    )
    assert api.changed == []


def test_an_image_that_nobody_has_is_taken_back(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    for status in ({"state": {"waiting": {"reason": "ErrImagePull"}}, "restartCount": 0}, {}):
        api.lists(PODS, pod(NEW_IMAGE, **status))
        update(moves(api.url).of_manager(), "2.5", "2.1")


def test_who_insists_gets_the_line_of_before(api: ApiServer) -> None:
    update(moves(api.url, allows_downgrade=True).of_manager(), "2.5", "2.1")
    assert len(api.changed) == 1
