"""The move from one release line to another: who waits for whom, and which way there is none back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest

from dragonfly.access import client as client_module
from dragonfly.access.cluster_access import ClusterAccess
from dragonfly.updates import line_change
from dragonfly.updates.cluster_request import RequestError
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
    declared = inputs(line)
    metadata = {**declared["metadata"], "generation": 7}
    return 200, {
        "metadata": metadata,
        "spec": {**declared["spec"], "replicas": 1},
        "status": {key: value for key, value in {**ready, **status}.items() if value},
    }


STOPPED = {"replicas": 0, "updatedReplicas": 0, "readyReplicas": 0}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr(line_change, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(pulumi, "ResourceHook", Hook)
    monkeypatch.setattr(pulumi, "ErrorHook", Hook)
    with installed_api_server() as server:
        server.answers[f"{MANAGER}/scale"] = (200, {})
        server.answers[MANAGER] = workload("2.1")
        yield server


def moves(url: str, seconds: float = 30, *, allows_downgrade: bool = False) -> LineChange:
    return LineChange(NAMES, "p2p", ClusterAccess(kubeconfig(url)), seconds, allows_downgrade)


def hook_of(options: pulumi.ResourceOptions) -> Hook:
    binding: Any = options.hooks
    return binding.before_update[0]


def update(options: pulumi.ResourceOptions, old: str, new: str) -> None:
    args = pulumi.ResourceHookArgs("urn", "id", "manager", "t", old_inputs=inputs(old), new_inputs=inputs(new))
    asyncio.run(hook_of(options).call(args))


def fail(options: pulumi.ResourceOptions, old: str, new: str, operation: str = "update") -> None:
    """Tell that an update failed, or was interrupted."""
    binding: Any = options.hooks
    args = pulumi.ErrorHookArgs(
        "urn", "id", "manager", "t", inputs(new), inputs(old), {}, failed_operation=operation, errors=["it failed"]
    )

    async def call() -> bool:
        answer = binding.on_error[0].call(args)
        return answer if isinstance(answer, bool) else await answer

    # What failed is not tried again.
    assert asyncio.run(call()) is False


def test_every_program_of_dragonfly_takes_its_place_with_its_config_and_nothing_else_does(
    program: RecordedProgram,
) -> None:
    hooked = {one.name: one.update_hooks for one in program.objects if any("line" in name for name in one.update_hooks)}
    followers = ("scheduler", "seed-peer", "dfget")
    assert hooked == {
        "manager": ("manager-changes-line",),
        **{name: (f"{name}-changes-line",) for name in followers},
        # A pod of the line before that is made meanwhile needs its files.
        **{f"{name}-config": (f"{name}-changes-line",) for name in followers},
    }


def test_within_a_line_nothing_is_done(api: ApiServer) -> None:
    for line in ("2.1", "2.5"):
        api.answers[MANAGER] = workload(line)
        update(moves(api.url).of_manager(), line, line)
    assert {path for path, _ in api.asked} == {MANAGER}
    api.asked.clear()
    for line in ("2.1", "2.5"):
        update(moves(api.url).after("Deployment", NAMES.manager, "scheduler", 1), line, line)
    assert (api.asked, api.changed) == ([], [])


@pytest.mark.parametrize(
    ("deployment", "pods"),
    [
        (workload("2.1", **STOPPED), [pod(OLD_IMAGE, **RUNS)]),
        (workload("2.1", **{**STOPPED, "observedGeneration": 6}), []),
        (workload("2.1"), []),
    ],
    ids=["its pod is there", "not seen yet", "not scaled yet"],
)
def test_the_old_manager_is_stopped_and_gone_before_the_new_one_is_made(
    api: ApiServer, deployment: tuple[int, Any], pods: list[dict[str, Any]]
) -> None:
    api.answers[MANAGER] = deployment
    api.lists(PODS, *pods)

    def end_once_looked_for() -> None:
        wait_until(lambda: len(api.changed) == 1 and len(api.asked) > 4, "it is stopped, and looked for", 10)
        api.lists(PODS, {**pod(OLD_IMAGE), "status": {"phase": "Failed"}})
        api.answers[MANAGER] = workload("2.1", **STOPPED)

    ending = threading.Thread(target=end_once_looked_for)
    ending.start()
    update(moves(api.url).of_manager(), "2.1", "2.5")
    ending.join()
    assert api.changed == [(f"{MANAGER}/scale", {"spec": {"replicas": 0}})]
    label = f"app.kubernetes.io/name={NAMES.app},app.kubernetes.io/component=dragonfly-manager"
    assert (PODS, {"labelSelector": [label]}) in api.asked


def test_a_manager_that_does_not_end_goes_on_and_nobody_waits_for_it(api: ApiServer) -> None:
    api.lists(PODS, pod(OLD_IMAGE, **RUNS))
    change = moves(api.url, 0)
    with pytest.raises(LineChangeError, match=r"the end of the manager of 2\.1 was waited for"):
        update(change.of_manager(), "2.1", "2.5")
    assert [document["spec"]["replicas"] for _, document in api.changed] == [0, 1]
    with pytest.raises(LineChangeError, match="is not waited for any longer: what it follows does not move"):
        update(change.after("StatefulSet", NAMES.scheduler, "seed-peer", 2), "2.1", "2.5")


@pytest.mark.parametrize(
    ("line", "replicas", "started"),
    [("2.1", 0, True), ("2.1", 1, False), ("2.5", 0, False)],
    ids=["stopped", "not stopped yet", "changed"],
)
def test_a_manager_that_was_stopped_and_is_not_changed_is_started_again(
    api: ApiServer, line: str, replicas: int, started: bool
) -> None:
    _, deployment = workload(line)
    api.answers[MANAGER] = (200, {**deployment, "spec": {**deployment["spec"], "replicas": replicas}})
    fail(moves(api.url).of_manager(), "2.1", "2.5")
    assert api.changed == ([(f"{MANAGER}/scale", {"spec": {"replicas": 1}})] if started else [])


def test_a_manager_that_cannot_be_started_again_is_told(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", told.append)
    fail(moves("http://127.0.0.1:1").of_manager(), "2.1", "2.5")
    assert "the manager of 2.1 may have been stopped, and not been started again" in told[0]
    # Nothing was stopped within a line, or before there was a manager.
    fail(moves("http://127.0.0.1:1").of_manager(), "2.1", "2.1")
    fail(moves("http://127.0.0.1:1").of_manager(), "2.1", "2.5", operation="create")
    assert len(told) == 1
    assert api.changed == []


def test_when_one_fails_or_is_interrupted_nobody_waits_any_longer(api: ApiServer) -> None:
    for failing in ("of_manager", "after"):
        change = moves(api.url)
        options = change.of_manager() if failing == "of_manager" else change.after("StatefulSet", "s", "dfget", 3)
        fail(options, "2.1", "2.5")
        with pytest.raises(LineChangeError, match="is not waited for any longer"):
            update(change.after("Deployment", NAMES.manager, "scheduler", 1), "2.1", "2.5")


def test_after_a_recovery_the_manager_that_is_there_tells_its_line(api: ApiServer) -> None:
    # The state has the image of 2.5, and no annotation.
    api.answers[MANAGER] = workload("2.5")
    api.answers[SCHEDULER] = workload("2.5")
    with pytest.raises(LineChangeError, match="may have migrated the database"):
        update(moves(api.url).of_manager(), "2.1", "2.1")


def test_a_preview_stops_nobody_and_goes_on_where_nothing_answers(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer
) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    hook = hook_of(moves(api.url).of_manager())
    assert hook.in_preview
    update(moves(api.url).of_manager(), "2.1", "2.5")
    assert api.changed == []
    update(moves("http://127.0.0.1:1").of_manager(), "2.1", "2.1")
    follows = moves(api.url).after("Deployment", NAMES.manager, "scheduler", 1)
    assert not hook_of(follows).in_preview


def test_a_cluster_that_is_not_there_yet_is_not_mistaken_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unknown:
        async def future(self) -> None:
            """What an output is in a preview that makes its resource."""

    def unknown(_: object) -> Unknown:
        return Unknown()

    def connect(*found: object) -> None:
        asked.append(found)

    monkeypatch.setattr(pulumi, "ResourceHook", Hook)
    monkeypatch.setattr(pulumi, "ErrorHook", Hook)
    monkeypatch.setattr(pulumi.Output, "from_input", unknown)
    monkeypatch.setattr(client_module, "connect", connect)
    asked: list[tuple[object, ...]] = []
    change = LineChange(NAMES, "p2p", ClusterAccess("its kubeconfig"), 1, allows_downgrade=False)
    update(change.of_manager(), "2.1", "2.1")
    assert asked == []


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
        wait_until(lambda: len(api.asked) > 1, "it is asked for", 10)
        api.answers[path] = workload("2.5")

    moving = threading.Thread(target=move_once_asked)
    moving.start()
    update(moves(api.url).after(kind, name, "n", 1), "2.1", "2.5")
    moving.join()
    assert {path for path, _ in api.asked} == {path}


def test_who_waits_in_vain_says_for_whom_and_what_to_do(api: ApiServer) -> None:
    api.answers[MANAGER] = workload("2.1")
    with pytest.raises(LineChangeError) as late:
        update(moves(api.url, 0).after("Deployment", NAMES.manager, "scheduler", 1), "2.1", "2.5")
    assert str(late.value) == (
        f"Deployment {NAMES.manager} was waited for, and did not come within 0 s; what follows it is as it was. "
        "Run the same command again."
    )


def test_who_waits_for_its_turn_gives_the_ones_before_their_time(api: ApiServer) -> None:
    api.answers[SCHEDULER] = workload("2.1")
    with pytest.raises(LineChangeError, match=r"did not come within 3 s"):
        update(moves(api.url, 1).after("StatefulSet", NAMES.scheduler, "seed-peer", 2), "2.1", "2.5")


def test_a_control_plane_that_is_away_for_a_moment_is_asked_again(api: ApiServer) -> None:
    api.answers[MANAGER] = (503, {"message": "not now"})

    def come_back() -> None:
        wait_until(lambda: len(api.asked) > 1, "it is asked", 10)
        api.answers[MANAGER] = workload("2.5")

    back = threading.Thread(target=come_back)
    back.start()
    update(moves(api.url).after("Deployment", NAMES.manager, "scheduler", 1), "2.1", "2.5")
    back.join()
    api.answers[MANAGER] = (503, {"message": "not now"})
    with pytest.raises(LineChangeError, match=r"did not come within 0 s \(.*\(503\): not now\)"):
        update(moves(api.url, 0).after("Deployment", NAMES.manager, "scheduler", 1), "2.1", "2.5")


def test_where_nothing_answers_the_manager_stays_as_it_is() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi, "ResourceHook", Hook)
        patch.setattr(pulumi, "ErrorHook", Hook)
        options = moves("http://127.0.0.1:1").of_manager()
    with pytest.raises(RequestError, match=r"^manager is not changed: .*refused\. Run the same command again"):
        update(options, "2.1", "2.5")


def test_who_may_not_stop_the_manager_is_told(api: ApiServer) -> None:
    api.answers[f"{MANAGER}/scale"] = (403, {"message": "no"})
    with pytest.raises(RequestError, match=rf"does not scale Deployment {NAMES.manager} \(403\): no"):
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
    api.answers[MANAGER] = workload("2.5")
    api.answers[SCHEDULER] = workload("2.1")
    api.lists(PODS, *pods)
    with pytest.raises(LineChangeError) as refused:
        update(moves(api.url).of_manager(), "2.5", "2.1")
    assert str(refused.value) == (
        "dragonfly:tag: the manager of 2.5 may have migrated the database, and Dragonfly promises nothing of one of "
        "2.1 on it; set the tag back, or, with a snapshot of the database's disk at hand: "
        "pulumi config set dragonfly:allowDowngrade true"
    )
    assert api.changed == []


def test_an_image_that_nobody_has_is_taken_back(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    api.answers[MANAGER] = workload("2.5")
    for status in ({"state": {"waiting": {"reason": "ErrImagePull"}}, "restartCount": 0}, {}):
        api.lists(PODS, pod(NEW_IMAGE, **status))
        update(moves(api.url).of_manager(), "2.5", "2.1")
    # Where the scheduler has moved, the manager had: whatever its pod of now is doing.
    api.answers[SCHEDULER] = workload("2.5")
    with pytest.raises(LineChangeError, match="may have migrated"):
        update(moves(api.url).of_manager(), "2.5", "2.1")


def test_who_insists_gets_the_line_of_before(api: ApiServer) -> None:
    api.answers[MANAGER] = workload("2.5", **STOPPED)
    update(moves(api.url, allows_downgrade=True).of_manager(), "2.5", "2.1")
    assert len(api.changed) == 1
