"""When an object counts as ready, and what is said while it does not."""

from __future__ import annotations

import pytest

from local.plugins.await_ready import (
    Readiness,
    claim_readiness,
    daemon_set_readiness,
    definition_readiness,
    deployment_readiness,
    job_readiness,
    namespace_readiness,
    pod_problems,
    pod_readiness,
    service_readiness,
    stateful_set_readiness,
)
from local.plugins.property_values import Properties, Value


def _condition(kind: str, status: str, reason: str = "", message: str = "") -> Value:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _deployment(**status: Value) -> Properties:
    rolled_out: Properties = {
        "observedGeneration": 2,
        "replicas": 2,
        "updatedReplicas": 2,
        "availableReplicas": 2,
        "conditions": [_condition("Available", "True"), _condition("Progressing", "True", "NewReplicaSetAvailable")],
    }
    return {"metadata": {"name": "d", "generation": 2}, "spec": {"replicas": 2}, "status": {**rolled_out, **status}}


def test_deployment_that_is_rolled_out_is_ready() -> None:
    assert deployment_readiness(_deployment()).ready


@pytest.mark.parametrize(
    "status",
    [
        {"observedGeneration": 1},
        {"updatedReplicas": 1},
        {"availableReplicas": 1},
        {"replicas": 3},
        {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
        {"conditions": [_condition("Available", "False", "MinimumReplicasUnavailable", "too few")]},
    ],
    ids=["not observed", "not updated", "not available", "old pods left", "too few", "not Available"],
)
def test_deployment_on_its_way_is_not_ready(status: Properties) -> None:
    assert not deployment_readiness(_deployment(**status)).ready


def test_deployment_reports_its_own_conditions() -> None:
    conditions: list[Value] = [
        _condition("Progressing", "False", "ProgressDeadlineExceeded", "has timed out"),
        _condition("ReplicaFailure", "True", "FailedCreate", "exceeded quota"),
    ]
    judged = deployment_readiness(_deployment(conditions=conditions, availableReplicas=0))
    assert judged.problems == ("[ProgressDeadlineExceeded] has timed out", "[FailedCreate] exceeded quota")
    assert judged.status == "[2/2] Waiting for app ReplicaSet to be available (0/2 Pods available)"


def test_deployment_of_no_replicas_is_ready() -> None:
    item = _deployment(replicas=0, updatedReplicas=0, availableReplicas=0)
    item["spec"] = {"replicas": 0}
    assert deployment_readiness(item).ready


def _stateful_set(generation: int = 2, strategy: str = "RollingUpdate", **status: Value) -> Properties:
    rolled_out: Properties = {
        "observedGeneration": generation,
        "replicas": 1,
        "readyReplicas": 1,
        "currentReplicas": 1,
        "updatedReplicas": 1,
        "currentRevision": "b",
        "updateRevision": "b",
    }
    return {
        "metadata": {"name": "s", "generation": generation},
        "spec": {"replicas": 1, "updateStrategy": {"type": strategy}},
        "status": {**rolled_out, **status},
    }


@pytest.mark.parametrize(
    ("item", "ready"),
    [
        (_stateful_set(), True),
        (_stateful_set(observedGeneration=1), False),
        (_stateful_set(readyReplicas=0), False),
        (_stateful_set(currentRevision="a"), False),
        (_stateful_set(currentReplicas=0), False),
        (_stateful_set(strategy="OnDelete", currentRevision="a", currentReplicas=0), True),
        (_stateful_set(generation=1, strategy="OnDelete", currentRevision="a"), False),
    ],
)
def test_stateful_set(item: Properties, ready: bool) -> None:
    assert stateful_set_readiness(item).ready is ready


def test_stateful_set_counts_only_pods_of_the_new_revision() -> None:
    judged = stateful_set_readiness(_stateful_set(currentRevision="a", currentReplicas=0, updatedReplicas=0))
    assert judged.status == "[1/3] Waiting for StatefulSet to roll out (0/1 Pods ready)"


@pytest.mark.parametrize(
    ("change", "ready"),
    [
        ({}, True),
        ({"observedGeneration": 0}, False),
        ({"updatedNumberScheduled": 2}, False),
        ({"numberReady": 2}, False),
        ({"numberAvailable": 2}, False),
    ],
)
def test_daemon_set(change: Properties, ready: bool) -> None:
    status: Properties = {
        "observedGeneration": 1,
        "desiredNumberScheduled": 3,
        "updatedNumberScheduled": 3,
        "numberReady": 3,
        "numberAvailable": 3,
    }
    item: Properties = {"metadata": {"generation": 1}, "status": {**status, **change}}
    assert daemon_set_readiness(item).ready is ready


def test_job_that_failed_is_not_waited_for() -> None:
    failed: Properties = {"status": {"conditions": [_condition("Failed", "True", "BackoffLimitExceeded", "limit")]}}
    assert job_readiness(failed).failed
    assert job_readiness(failed).problems == ("[BackoffLimitExceeded] limit",)
    assert job_readiness({"status": {"conditions": [_condition("Complete", "True")]}}).ready
    assert not job_readiness({"status": {"active": 1}}).failed


@pytest.mark.parametrize(
    ("phase", "mode", "ready", "failed"),
    [
        ("Bound", "Immediate", True, False),
        ("Pending", "Immediate", False, False),
        ("Pending", "WaitForFirstConsumer", True, False),
        ("Lost", "Immediate", False, True),
        ("", "", False, False),
    ],
)
def test_claim(phase: str, mode: str, ready: bool, failed: bool) -> None:
    judged = claim_readiness({"spec": {"storageClassName": "standard"}, "status": {"phase": phase}}, mode)
    assert (judged.ready, judged.failed) == (ready, failed)


def _slice(ready: Value) -> Properties:
    return {"endpoints": [{"conditions": {"ready": ready}}]}


SERVICES: list[tuple[Properties, Properties, list[Properties], bool]] = [
    ({"selector": {"a": "b"}}, {}, [], False),
    ({"selector": {"a": "b"}}, {}, [_slice(False)], False),
    ({"selector": {"a": "b"}}, {}, [_slice(True)], True),
    ({"selector": {"a": "b"}}, {}, [{"endpoints": [{}]}], True),
    ({"selector": {"a": "b"}, "clusterIP": "None"}, {}, [], True),
    ({"type": "ExternalName"}, {}, [], True),
    ({}, {}, [], True),
    ({"type": "LoadBalancer"}, {}, [], False),
    ({"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}, [], True),
]


@pytest.mark.parametrize(("spec", "status", "slices", "ready"), SERVICES)
def test_service(spec: Properties, status: Properties, slices: list[Properties], ready: bool) -> None:
    assert service_readiness({"spec": spec, "status": status}, slices).ready is ready


def test_definition_and_namespace() -> None:
    assert definition_readiness({"status": {"conditions": [_condition("Established", "True")]}}).ready
    refused: Properties = {"status": {"conditions": [_condition("NamesAccepted", "False", "Conflict", "taken")]}}
    assert definition_readiness(refused).problems == ("[Conflict] taken",)
    assert namespace_readiness({"status": {"phase": "Active"}}).ready
    assert not namespace_readiness({"status": {"phase": "Terminating"}}).ready


def _pod(**status: Value) -> Properties:
    return {"metadata": {"name": "p", "namespace": "n"}, "status": status}


@pytest.mark.parametrize(
    ("pod", "problems"),
    [
        (
            _pod(conditions=[_condition("PodScheduled", "False", "Unschedulable", "0/3 nodes are available")]),
            ["Pod p: [Unschedulable] 0/3 nodes are available"],
        ),
        (
            _pod(
                containerStatuses=[
                    {"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling"}}}
                ]
            ),
            ["Pod p: container 'c': [ImagePullBackOff] Back-off pulling"],
        ),
        (
            _pod(
                containerStatuses=[
                    {
                        "name": "c",
                        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
                        "lastState": {"terminated": {"reason": "Error", "exitCode": 3, "message": "no database"}},
                    }
                ]
            ),
            ["Pod p: container 'c': [CrashLoopBackOff] back-off 10s (last run: [Error] exit code 3: no database)"],
        ),
        (
            _pod(
                initContainerStatuses=[
                    {"name": "i", "state": {"terminated": {"reason": "Error", "exitCode": 1}}},
                    {"name": "j", "state": {"terminated": {"reason": "Completed", "exitCode": 0}}},
                ],
                containerStatuses=[{"name": "c", "state": {"waiting": {"reason": "PodInitializing"}}}],
            ),
            ["Pod p: container 'i': [Error] exit code 1"],
        ),
        (
            _pod(
                conditions=[
                    _condition("PodScheduled", "True"),
                    _condition("Ready", "False", "ContainersNotReady", "containers with unready status: [c]"),
                ]
            ),
            ["Pod p: [ContainersNotReady] containers with unready status: [c]"],
        ),
        (_pod(phase="Failed", reason="Evicted", message="disk pressure"), ["Pod p: [Evicted] disk pressure"]),
        (_pod(containerStatuses=[{"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}}]), []),
    ],
    ids=["unschedulable", "image", "crash loop", "init container", "not ready", "evicted", "on its way"],
)
def test_a_pod_says_what_is_wrong_with_it(pod: Properties, problems: list[str]) -> None:
    assert pod_problems(pod) == problems


def test_pod_readiness() -> None:
    assert pod_readiness(_pod(phase="Succeeded")).ready
    assert pod_readiness(_pod(conditions=[_condition("Ready", "True")])).ready
    assert pod_readiness(_pod()) == Readiness(False, '[1/3] Waiting for Pod "n/p" to be scheduled')
