"""Why a pod is not Ready: every kind of reason, out of objects as the API server gives them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dragonfly.access.objects import Object
from dragonfly.status.pod_reasons import (
    Reason,
    events_of,
    pod_reason,
    restart_reasons,
    running_reason,
    together,
    with_log,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
IMAGE = "registry.example.com/team/manager:9.9"


def at(ago: timedelta) -> str:
    return (NOW - ago).strftime("%Y-%m-%dT%H:%M:%SZ")


LATELY = at(timedelta(seconds=20))


def pod(*containers: Object, conditions: list[Object] | None = None, name: str = "manager-0", **status: Any) -> Object:
    return {
        "metadata": {"name": name, "uid": f"uid-of-{name}"},
        "spec": {
            "nodeName": "node-1",
            "containers": [{"name": each["name"], "resources": {"limits": {"memory": "512Mi"}}} for each in containers],
        },
        "status": {
            "phase": "Running",
            "conditions": conditions or [{"type": "Ready", "status": "False"}],
            "containerStatuses": list(containers),
            **status,
        },
    }


def container(state: Object, last: Object | None = None, *, restarts: int = 0, ready: bool = False) -> Object:
    return {
        "name": "manager",
        "image": IMAGE,
        "ready": ready,
        "restartCount": restarts,
        "state": state,
        "lastState": last or {},
    }


def waiting(reason: str, message: str | None = None) -> Object:
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def ended(code: int, reason: str = "Error", finished: str = LATELY, **more: str) -> Object:
    return {"terminated": {"exitCode": code, "reason": reason, "finishedAt": finished, **more}}


RUNNING = {"running": {"startedAt": LATELY}}


def event(reason: str, message: str, kind: str = "Warning", *, time: str = LATELY, **involved: str) -> Object:
    return {
        "metadata": {"creationTimestamp": time},
        "involvedObject": {"uid": "uid-of-manager-0", **involved},
        "type": kind,
        "reason": reason,
        "message": message,
        "lastTimestamp": time,
    }


def reason_of(found: Object, *events: Object, nodes: list[Object] | None = None) -> Reason:
    return pod_reason(found, events, nodes or [], NOW)


def unscheduled(message: str) -> Object:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return pod(conditions=[condition], phase="Pending")


def test_the_schedulers_message_is_told_without_what_it_says_of_preemption() -> None:
    found = reason_of(
        unscheduled(
            "0/3 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, "
            "2 Insufficient memory. no new claims to deallocate, preemption: 0/3 nodes are available: "
            "3 No preemption victims found for incoming pod."
        )
    )
    assert found.what == (
        "no node takes it: 0/3 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, "
        "2 Insufficient memory."
    )


def test_another_message_of_the_scheduler_is_told_whole() -> None:
    found = reason_of(unscheduled('persistentvolumeclaim "data" not found'))
    assert found.what == 'no node takes it: persistentvolumeclaim "data" not found'


CAUSE = f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": {IMAGE}: not found'


@pytest.mark.parametrize(
    ("state", "events", "cause"),
    [
        (waiting("ErrImagePull", f"rpc error: code = NotFound desc = {CAUSE}"), [], "not found"),
        (waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}": ErrImagePull: {CAUSE}'), [], "not found"),
        (
            # Kubelets before 1.31 tell the cause in an event alone.
            waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"'),
            [event("Failed", "Error: ErrImagePull"), event("Failed", f'Failed to pull image "{IMAGE}": {CAUSE}')],
            "not found",
        ),
        (
            waiting(
                "ErrImagePull",
                f'failed to resolve reference "{IMAGE}": Head "https://registry.example.com/v2/": '
                "dial tcp: lookup registry.example.com: no such host",
            ),
            [],
            'Head "https://registry.example.com/v2/": dial tcp: lookup registry.example.com: no such host',
        ),
        (waiting("ErrImagePull", f"rpc error: code = Unknown desc = {IMAGE}: no space left"), [], "no space left"),
        (waiting("ErrImagePull", f'failed to pull {IMAGE}: no "manifest"'), [], 'no "manifest"'),
        (
            waiting("ErrImagePull", f'Failed to pull image "{IMAGE}": x509: certificate has expired or is from ext'),
            [],
            "x509: certificate has expired or is from ext",
        ),
        (waiting("ErrImageNeverPull", f'Container image "{IMAGE}" is not present'), [], "ErrImageNeverPull"),
    ],
)
def test_an_image_that_cannot_be_pulled_is_told_with_the_cause(state: Object, events: list[Object], cause: str) -> None:
    found = reason_of(pod(container(state)), *events)
    assert (found.what, found.image) == (f"cannot pull {IMAGE}: {cause}", IMAGE)


CRASHED = pod(container(waiting("CrashLoopBackOff", "back-off 5m0s restarting failed container"), ended(3), restarts=7))


def test_a_container_that_crashes_is_told_with_exit_code_restarts_and_the_last_line_of_its_log() -> None:
    found = reason_of(CRASHED)
    assert (found.what, found.restarts) == ("manager ended with exit code 3", 7)

    def log(of: str, container: str, previous: bool) -> str | None:
        # While it waits to be started again, kubelet gives the log of the run that ended as the present one.
        assert (of, container, previous) == ("manager-0", "manager", False)
        return "panic: no database"

    assert with_log(found, log).log == "panic: no database"


def test_the_log_of_the_run_that_failed_is_told_once_the_next_one_has_begun() -> None:
    found = reason_of(pod(container(RUNNING, ended(1), restarts=1)))
    logs = {True: "panic: no database", False: "starting"}
    assert with_log(found, lambda pod, name, previous: logs[previous]).log == "panic: no database"


def test_a_crash_of_long_ago_is_no_reason() -> None:
    def told(ago: timedelta) -> str:
        return reason_of(pod(container(RUNNING, ended(1, finished=at(ago)), restarts=1))).what

    assert told(timedelta(hours=5)) == told(timedelta(minutes=10)) == "manager runs, is not Ready yet"
    assert told(timedelta(minutes=9, seconds=59)) == "manager ended with exit code 1"


@pytest.mark.parametrize("state", [waiting("CrashLoopBackOff"), RUNNING])
def test_a_container_that_was_killed_for_memory_is_told_with_its_limit(state: Object) -> None:
    found = reason_of(pod(container(state, ended(137, "OOMKilled"), restarts=2)))
    assert found.what == "manager was killed for memory (exit code 137): its limit is 512Mi"


def test_a_container_without_a_limit_has_that_of_its_node() -> None:
    killed = pod(container(RUNNING, ended(137, "OOMKilled"), restarts=2))
    del killed["spec"]["containers"][0]["resources"]
    assert reason_of(killed).what == "manager was killed for memory (exit code 137): its limit is that of its node"


def test_a_container_that_kubelet_ended_is_told_with_what_the_probe_met() -> None:
    probe = event("Unhealthy", "Liveness probe failed: connection refused", fieldPath="spec.containers{manager}")
    other = event("Unhealthy", "Readiness probe failed: no", fieldPath="spec.containers{other}")
    found = reason_of(pod(container(waiting("CrashLoopBackOff"), ended(137))), other, probe)
    assert found.what == (
        "manager ended with exit code 137, after its probe failed: Liveness probe failed: connection refused"
    )


def test_a_container_that_cannot_be_started_is_told_with_kubelets_message() -> None:
    found = reason_of(pod(container(waiting("CreateContainerConfigError", 'secret "manager" not found'))))
    assert found.what == 'manager cannot start: secret "manager" not found'
    exec_failed = ended(128, "StartError", message="exec: no such file")
    found = reason_of(pod(container(waiting("CrashLoopBackOff"), exec_failed)))
    assert found.what == "manager ended with exit code 128: exec: no such file"


def test_what_a_container_waits_for_is_read_from_its_log() -> None:
    found = reason_of(pod(container(RUNNING)))
    told = with_log(found, lambda pod, name, previous: "waiting for dragonfly-1-mysql-svc:3306")
    assert (told.what, told.log) == ("manager waits for dragonfly-1-mysql-svc:3306", None)


def test_a_container_that_waits_again_after_a_crash_is_said_to_wait() -> None:
    found = reason_of(pod(container(RUNNING, ended(1), restarts=1)))
    logs = {True: "panic: no database", False: "waiting for dragonfly-1-mysql-svc:3306"}
    told = with_log(found, lambda pod, name, previous: logs[previous])
    assert told.what == "manager waits for dragonfly-1-mysql-svc:3306"


def test_a_container_that_has_what_it_waited_for_is_not_said_to_wait() -> None:
    found = reason_of(pod(container(RUNNING)))
    told = with_log(found, lambda pod, name, previous: "dragonfly-1-mysql-svc:3306 answers")
    assert told.what == "manager runs, is not Ready yet"
    assert told.log == "dragonfly-1-mysql-svc:3306 answers"
    told = with_log(found, lambda pod, name, previous: "gives up waiting for a lease")
    assert told.what == "manager runs, is not Ready yet"


def test_a_container_whose_probe_fails_is_told_with_what_the_probe_met() -> None:
    probe = event("Unhealthy", "Startup probe failed: timeout", fieldPath="spec.containers{manager}")
    assert reason_of(pod(container(RUNNING)), probe).what == "manager does not answer: Startup probe failed: timeout"


def test_a_volume_that_cannot_be_mounted_is_told_by_its_event() -> None:
    old = event("FailedScheduling", "0/3 nodes are available", time=at(timedelta(minutes=9)))
    mount = event("FailedMount", 'MountVolume.SetUp failed for volume "config": secret "x" not found')
    found = reason_of(pod(container(waiting("ContainerCreating"))), old, mount)
    assert found.what == ('manager cannot start: MountVolume.SetUp failed for volume "config": secret "x" not found')


def test_a_pull_that_goes_on_is_told() -> None:
    pulls = event("Pulling", f'Pulling image "{IMAGE}"', "Normal")
    found = reason_of(pod(container(waiting("ContainerCreating"))), pulls)
    assert found.what == f'manager is about to start: Pulling image "{IMAGE}"'


def test_events_of_an_earlier_pod_of_that_name_do_not_count() -> None:
    earlier = event("FailedMount", "secret not found", uid="another")
    assert reason_of(pod(container(waiting("ContainerCreating"))), earlier).what == "manager is about to start"


def test_of_two_containers_the_one_that_fails_is_told() -> None:
    waits = container(RUNNING)
    fails = {**container(waiting("CrashLoopBackOff"), ended(1)), "name": "exporter"}
    assert reason_of(pod(waits, fails)).what == "exporter ended with exit code 1"


def test_an_evicted_pod_is_told_with_kubelets_message() -> None:
    evicted = pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")
    assert reason_of(evicted).what == "Evicted: The node was low on resource: memory."
    evicted = pod(phase="Failed", reason="Evicted", message="Usage of volume exceeds that of max")
    assert reason_of(evicted).what == "Evicted: Usage of volume exceeds that of max"


def test_a_node_that_is_silent_is_the_reason() -> None:
    node = {
        "metadata": {"name": "node-1"},
        "status": {
            "conditions": [{"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}]
        },
    }
    other = {**node, "metadata": {"name": "node-2"}}
    found = pod(container(RUNNING, ready=True))
    assert reason_of(found, nodes=[other, node]).what == (
        "its node node-1 is not Ready: Kubelet stopped posting node status."
    )
    assert reason_of(found, nodes=[other]).what == "is not Ready yet"


def test_a_pod_that_goes_is_told() -> None:
    going = pod()
    metadata = {**going["metadata"], "deletionTimestamp": LATELY}
    assert reason_of({**going, "metadata": metadata}).what == "is being deleted"


def test_what_several_pods_have_in_common_is_said_once() -> None:
    crashed = [
        reason_of(pod(container(waiting("CrashLoopBackOff"), ended(1), restarts=count), name=f"dfget-{count}"))
        for count in (2, 5, 3)
    ]
    other = reason_of(pod(container(RUNNING), name="dfget-9"))
    first, second = together([crashed[0], other, *crashed[1:]])
    assert (first.pods, first.restarts, first.pod) == (3, 5, "dfget-2")
    assert (second.pods, second.pod) == (1, "dfget-9")


def test_a_ready_pod_tells_restarts_of_the_last_hour_alone() -> None:
    lately = pod(
        container(RUNNING, ended(137, "OOMKilled", finished=at(timedelta(minutes=50))), restarts=1, ready=True)
    )
    long_ago = pod(container(RUNNING, ended(1, finished=at(timedelta(minutes=70))), restarts=1, ready=True))
    (found,) = restart_reasons(lately, [], NOW)
    assert found.what == "manager was killed for memory (exit code 137): its limit is 512Mi"
    assert restart_reasons(long_ago, [], NOW) == []


@pytest.mark.parametrize(
    "why", ["InvalidImageName", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"]
)
def test_every_reason_of_kubelets_for_a_missing_image_is_known(why: str) -> None:
    found = reason_of(pod(container(waiting(why))))
    assert (found.what, found.image) == (f"cannot pull {IMAGE}: {why}", IMAGE)


def test_a_pod_that_is_set_up_is_starting_and_not_unable_to_start() -> None:
    starting = [reason_of(pod(container(waiting(why)))) for why in ("ContainerCreating", "PodInitializing")]
    assert starting[0] == starting[1]
    assert "cannot start" not in starting[0].what


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"reason": "Unschedulable"}, "no node takes it: Unschedulable"),
        ({}, "no node takes it: the scheduler has not said why"),
    ],
)
def test_a_scheduler_of_few_words_is_quoted(more: dict[str, str], what: str) -> None:
    assert reason_of(pod(conditions=[{"type": "PodScheduled", "status": "False", **more}])).what == what


@pytest.mark.parametrize("name", ["lastTimestamp", "eventTime", "series"])
def test_the_newest_event_is_told_whichever_of_its_times_says_so(name: str) -> None:
    old = event("FailedMount", "the old one", time=at(timedelta(seconds=10)))
    new = {**event("FailedMount", "the new one", time=at(timedelta(minutes=9))), "lastTimestamp": None}
    time = at(timedelta(seconds=5))
    new |= {"series": {"lastObservedTime": time}} if name == "series" else {name: time}
    for events in ([old, new], [new, old]):
        assert [each["message"] for each in events_of(pod(), events)] == ["the new one", "the old one"]


def test_an_event_without_a_time_of_its_own_is_as_old_as_its_object() -> None:
    old, new = (
        {**event("FailedMount", name, time=at(timedelta(seconds=ago))), "lastTimestamp": None}
        for name, ago in (("old", 9), ("new", 5))
    )
    for events in ([old, new], [new, old]):
        assert [each["message"] for each in events_of(pod(), events)] == ["new", "old"]
    timeless: Object = {**old, "metadata": {}, "message": "nobody knows when"}
    assert events_of(pod(), [timeless, old])[-1] == timeless


def test_an_init_container_that_fails_is_the_reason() -> None:
    first = {**container(ended(3)), "name": "first"}
    found = reason_of(pod(container(waiting("PodInitializing")), initContainerStatuses=[first]))
    assert found.what == "first ended with exit code 3"


def test_an_init_container_that_is_done_is_none() -> None:
    first = {**container(ended(0, "Completed")), "name": "first"}
    found = reason_of(pod(container(ended(3)), initContainerStatuses=[first]))
    assert found.what == "manager ended with exit code 3"


def test_a_silent_node_without_a_message_is_told_with_its_reason() -> None:
    condition = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
    node = {"metadata": {"name": "node-1"}, "status": {"conditions": [condition]}}
    assert reason_of(pod(container(RUNNING)), nodes=[node]).what == "its node node-1 is not Ready: NodeStatusUnknown"
    good = {**node, "status": {"conditions": [{**condition, "status": "True"}]}}
    assert "its node" not in reason_of(pod(container(RUNNING)), nodes=[good]).what


def test_an_evicted_pod_without_a_message_is_told_with_its_reason() -> None:
    assert reason_of(pod(phase="Failed", reason="Evicted")).what == "Evicted"


def test_a_container_that_runs_is_told_with_its_restarts() -> None:
    found = running_reason(pod(container(RUNNING, restarts=2)))
    assert (found.what, found.container, found.runs, found.restarts) == ("still runs", "manager", True, 2)


@pytest.mark.parametrize("code", [137, 143])
def test_either_signal_of_kubelet_is_told_with_its_probe(code: int) -> None:
    told = event("Unhealthy", "Liveness probe failed: timeout", fieldPath="spec.containers{manager}")
    found = reason_of(pod(container(waiting("CrashLoopBackOff"), ended(code), restarts=1)), told)
    assert f"exit code {code}, after its probe failed: " in found.what
