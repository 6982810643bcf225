"""Which objects of an instance are as they should be: judged by what the API server gives."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dragonfly.access.objects import ClusterObjects, Object
from dragonfly.parts.labels import COMPONENT_LABEL, Component
from dragonfly.parts.names import Names
from dragonfly.parts.traffic import policy_names
from dragonfly.status.workloads import Condition, conditions

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAMES = Names("dragonfly-1")


def metadata(name: str, component: Component = Component.MYSQL, **more: Any) -> dict[str, Any]:
    return {"name": name, "uid": f"uid-of-{name}", "generation": 2, "labels": {COMPONENT_LABEL: component}, **more}


def stateful_set(**status: Any) -> Object:
    seen = {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}
    return {
        "kind": "StatefulSet",
        "metadata": metadata(NAMES.mysql),
        "spec": {"replicas": 1},
        "status": {**seen, **status},
    }


def deployment(**status: Any) -> Object:
    return {**stateful_set(**status), "kind": "Deployment", "metadata": metadata(NAMES.manager, Component.MANAGER)}


def daemon_set(**status: Any) -> Object:
    seen = {"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberReady": 3}
    return {
        "kind": "DaemonSet",
        "metadata": metadata(NAMES.peer, Component.PEER),
        "spec": {},
        "status": {**seen, **status},
    }


def job(*ended: Object) -> Object:
    return {
        "kind": "Job",
        "metadata": metadata(NAMES.root_password_job, Component.ROOT_PASSWORD),
        "spec": {},
        "status": {"conditions": list(ended)},
    }


def claim(phase: str) -> Object:
    return {"metadata": metadata(NAMES.mysql_claim), "spec": {}, "status": {"phase": phase}}


def pod(name: str, component: Component, *, ready: bool, **status: Any) -> Object:
    return {
        "metadata": metadata(name, component),
        "spec": {"nodeName": "node-1", "containers": [{"name": "program"}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [
                {"name": "program", "image": "x:1", "ready": ready, "restartCount": 0, "state": {"running": {}}}
            ],
            **status,
        },
    }


def event(of: str, reason: str, message: str, kind: str = "Warning", time: str = "2026-01-02T03:04:00Z") -> Object:
    return {
        "metadata": {"creationTimestamp": time},
        "involvedObject": {"uid": f"uid-of-{of}"},
        "type": kind,
        "reason": reason,
        "message": message,
        "eventTime": time,
    }


def judged(name: str, log: str | None = None, **objects: list[Object]) -> Condition:
    there = ClusterObjects(**objects)
    found = conditions(NAMES, there, lambda pod, container, previous: log, NOW, network_policies=False)
    return next(each for each in found if each.name == name)


NONE_WANTED: dict[str, Any] = {"spec": {"replicas": 0}, "status": {"observedGeneration": 2}}


@pytest.mark.parametrize(
    "made",
    [
        *(stateful_set(), deployment(), daemon_set()),
        # Kubernetes leaves out a number that is 0.
        *({**stateful_set(), **NONE_WANTED}, {**deployment(), **NONE_WANTED}),
    ],
    ids=lambda made: made["kind"],
)
def test_a_workload_whose_pods_are_all_new_and_ready_is_ready(made: Object) -> None:
    assert judged(made["metadata"]["name"], workloads=[made]).ready


@pytest.mark.parametrize(
    ("made", "state"),
    [
        (stateful_set(readyReplicas=0), "not Ready"),
        (stateful_set(updatedReplicas=0), "not Ready"),
        (stateful_set(observedGeneration=1), "not Ready"),
        (deployment(readyReplicas=0), "not Ready"),
        # The new pod is not Ready, the old one serves.
        (deployment(replicas=2), "not Ready"),
        (deployment(updatedReplicas=0), "not Ready"),
        (
            {
                **deployment(),
                "metadata": metadata(NAMES.manager, Component.MANAGER, generation=1),
                "status": {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1},
            },
            "not Ready",
        ),
        (daemon_set(numberReady=1), "not Ready 1 of 3"),
        (daemon_set(updatedNumberScheduled=2), "not Ready 3 of 3"),
        (daemon_set(observedGeneration=1), "not Ready 3 of 3"),
        # Its controller has not seen it yet.
        ({**daemon_set(), "status": {}}, "not Ready 0 of 0"),
        ({**deployment(), "status": {}}, "not Ready"),
        ({**stateful_set(), "status": {}, "spec": {"replicas": 2}}, "not Ready 0 of 2"),
    ],
)
def test_a_workload_that_is_not_there_yet_is_not_ready(made: Object, state: str) -> None:
    found = judged(made["metadata"]["name"], workloads=[made])
    assert (found.ready, found.state) == (False, state)
    assert [each.what for each in found.reasons] == ["has no pod yet"]


def test_peers_that_fail_for_the_same_reason_are_told_once() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "message": "0/3 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
    }
    pods = [
        pod("dfget-1", Component.PEER, ready=False, conditions=[condition]),
        pod("dfget-2", Component.PEER, ready=True),
        pod("dfget-3", Component.PEER, ready=False, conditions=[condition]),
        pod("mysql-0", Component.MYSQL, ready=False),
    ]
    (reason,) = judged(NAMES.peer, workloads=[daemon_set(numberReady=1)], pods=pods).reasons
    assert reason.pods == 2
    assert "free ports" in reason.what


def test_pods_that_are_refused_are_told_with_the_refusal() -> None:
    refused = 'pods "dragonfly-1-mysql-0" is forbidden: violates PodSecurity "restricted:latest"'
    found = judged(
        NAMES.mysql, workloads=[stateful_set(readyReplicas=0)], events=[event(NAMES.mysql, "FailedCreate", refused)]
    )
    assert [each.what for each in found.reasons] == [f"its pods are refused: {refused}"]


def test_pods_of_a_deployment_that_are_refused_are_told_by_its_condition() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
    found = judged(NAMES.manager, workloads=[deployment(readyReplicas=0, conditions=[failure])])
    assert [each.what for each in found.reasons] == ["FailedCreate: exceeded quota"]


def test_a_refusal_is_told_once_and_one_that_is_over_not_at_all() -> None:
    events = [
        event(NAMES.manager, "FailedCreate", message, time=f"2026-01-02T03:04:0{n}Z")
        for n, message in enumerate(("exceeded another quota", "exceeded quota"))
    ]
    over = {"type": "ReplicaFailure", "status": "False", "reason": "FailedCreate", "message": "exceeded quota"}
    found = judged(NAMES.manager, workloads=[deployment(readyReplicas=0, conditions=[over])], events=events)
    assert [each.what for each in found.reasons] == ["its pods are refused: exceeded quota"]


def test_restarts_of_a_ready_workload_are_told_and_those_of_a_done_job_are_not() -> None:
    ended = {"terminated": {"exitCode": 3, "finishedAt": "2026-01-02T03:04:00Z"}}

    def restarted(component: Component) -> Object:
        made = pod("restarted", component, ready=True)
        made["status"]["containerStatuses"][0] |= {"restartCount": 1, "lastState": ended}
        return made

    pods = [restarted(Component.MYSQL), restarted(Component.ROOT_PASSWORD)]
    done = job({"type": "Complete", "status": "True"})
    assert judged(NAMES.root_password_job, workloads=[done], pods=pods).reasons == []
    (told,) = judged(NAMES.mysql, workloads=[stateful_set()], pods=pods).reasons
    assert told.what == "program ended with exit code 3"


def test_a_roll_that_goes_on_is_told() -> None:
    pods = [pod("dfget-1", Component.PEER, ready=True)]
    found = judged(NAMES.peer, workloads=[daemon_set(updatedNumberScheduled=1)], pods=pods)
    assert [each.what for each in found.reasons] == ["the change is not everywhere yet"]


def test_a_job_that_is_done_is_ready_though_its_pod_is_not() -> None:
    done = pod("root-password-1", Component.ROOT_PASSWORD, ready=False, phase="Succeeded")
    found = judged(NAMES.root_password_job, workloads=[job({"type": "Complete", "status": "True"})], pods=[done])
    assert (found.ready, found.state, found.reasons) == (True, "done", [])


def test_a_pod_that_succeeded_is_no_reason() -> None:
    done = pod("root-password-1", Component.ROOT_PASSWORD, ready=False, phase="Succeeded")
    found = judged(NAMES.root_password_job, workloads=[job()], pods=[done])
    assert [each.what for each in found.reasons] == ["the change is not everywhere yet"]


def test_a_job_that_runs_tells_what_it_waits_for() -> None:
    runs = pod("root-password-1", Component.ROOT_PASSWORD, ready=True)
    found = judged(
        NAMES.root_password_job, "waiting for dragonfly-1-manager-service:8080", workloads=[job()], pods=[runs]
    )
    assert (found.ready, found.state) == (False, "not done")
    assert [each.what for each in found.reasons] == ["program waits for dragonfly-1-manager-service:8080"]


def test_a_job_that_failed_tells_why_and_the_last_line_of_its_pod() -> None:
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "has reached the limit"}
    crashed = {
        "name": "program",
        "image": "x:1",
        "ready": False,
        "restartCount": 6,
        "state": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:00:00Z"}},
    }
    its_pod = pod("p", Component.ROOT_PASSWORD, ready=False, phase="Failed", containerStatuses=[crashed])
    found = judged(
        NAMES.root_password_job, "the manager refuses the new password", workloads=[job(failed)], pods=[its_pod]
    )
    assert (found.ready, found.state) == (False, "failed")
    assert [(each.what, each.log) for each in found.reasons] == [
        ("BackoffLimitExceeded: has reached the limit", None),
        ("program ended with exit code 1", "the manager refuses the new password"),
    ]


def test_a_claim_that_stays_pending_is_told_by_its_event_a_warning_first() -> None:
    events = [
        event(NAMES.mysql_claim, "ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found'),
        event(NAMES.mysql_claim, "ExternalProvisioning", "waiting", "Normal", time="2026-01-02T03:04:04Z"),
    ]
    found = judged(NAMES.mysql_claim, claims=[claim("Pending")], events=events)
    assert (found.ready, found.state) == (False, "Pending")
    assert [each.what for each in found.reasons] == ['storageclass.storage.k8s.io "fast" not found']
    found = judged(NAMES.mysql_claim, claims=[claim("Pending")], events=events[1:])
    assert [each.what for each in found.reasons] == ["waiting"]
    assert judged(NAMES.mysql_claim, claims=[claim("Bound")]).ready
    # Nobody has seen it yet.
    found = judged(NAMES.mysql_claim, claims=[{**claim(""), "status": {}}])
    assert (found.kind, found.ready, found.state) == ("PersistentVolumeClaim", False, "Pending")
    assert [each.what for each in found.reasons] == ["the cluster does not say why"]


def test_everything_that_the_config_expects_and_the_cluster_lacks_is_missing() -> None:
    present: list[Object] = [{"metadata": {"name": NAMES.manager_service}}]
    objects = ClusterObjects(services=present)
    found = conditions(NAMES, objects, lambda pod, name, previous: None, NOW, network_policies=False)
    assert {each.state for each in found} == {"missing"}
    assert not any(each.ready for each in found)
    expected = {*NAMES.workloads(), NAMES.root_password_job, *NAMES.claims(), *NAMES.services()}
    assert {each.name for each in found} == expected - {NAMES.manager_service}
    kinds = {each.name: each.kind for each in found}
    assert {kinds[name] for name in NAMES.claims()} == {"PersistentVolumeClaim"}
    assert {kinds[name] for name in set(NAMES.services()) & kinds.keys() - set(NAMES.workloads())} == {"Service"}
    assert {reason.what for each in found for reason in each.reasons} == {"is not in the cluster"}


@pytest.mark.parametrize(
    ("wanted", "there", "missing"),
    [
        (True, [], 6),
        (True, list(policy_names(NAMES).values()), 0),
        (True, [NAMES.mysql, "another"], 5),
        (False, [], 0),
        # The user may not list them.
        (True, None, 0),
    ],
)
def test_network_policies_that_the_cluster_lacks_are_missing(
    wanted: bool, there: list[str] | None, missing: int
) -> None:
    policies: list[Object] | None = None if there is None else [{"metadata": {"name": name}} for name in there]
    objects = ClusterObjects(network_policies=policies)
    found = conditions(NAMES, objects, lambda pod, name, previous: None, NOW, network_policies=wanted)
    told = [each for each in found if each.kind == "NetworkPolicy"]
    assert len(told) == missing
    assert not any(each.ready for each in told)
