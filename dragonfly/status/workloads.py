"""Which of an instance's objects are as they should be, and why the others are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from dragonfly.access.objects import ClusterObjects, Object, listed
from dragonfly.parts.labels import COMPONENT_LABEL
from dragonfly.parts.names import Names
from dragonfly.parts.traffic import policy_names
from dragonfly.status.pod_reasons import (
    LastLogLine,
    Reason,
    events_of,
    is_ready,
    pod_reason,
    restart_reasons,
    running_reason,
    together,
    with_log,
)


@dataclass(frozen=True)
class Condition:
    """How an object is.

    Attributes:
        kind: Kubernetes' name of its kind; None where it is missing and the kind is not known by its name.
        name: its name.
        ready: whether it is as it should be.
        state: that in a word or two.
        reasons: why it is not; of one that is Ready, what was not long ago.
    """

    kind: str | None
    name: str
    ready: bool
    state: str
    reasons: list[Reason] = field(default_factory=list[Reason])


def conditions(
    names: Names, objects: ClusterObjects, last_log_line: LastLogLine, now: datetime, *, network_policies: bool
) -> list[Condition]:
    """Return how every workload and claim of an instance is, and which Services and network policies are missing.

    Args:
        names: of the instance's objects.
        objects: what the cluster has of them.
        last_log_line: reads the log of a container.
        now: the time.
        network_policies: whether the stack has them.
    """
    workloads = {each["metadata"]["name"]: each for each in objects.workloads}
    claims = {each["metadata"]["name"]: each for each in objects.claims}
    services = {each["metadata"]["name"] for each in objects.services}
    found = [
        _workload(workloads[name], objects, last_log_line, now) if name in workloads else _missing(None, name)
        for name in (*names.workloads(), names.root_password_job)
    ]
    found += [
        _claim(claims[name], objects.events) if name in claims else _missing("PersistentVolumeClaim", name)
        # The seed peer's, where the stack has one; without it no pod of the seed peer starts, which says so.
        for name in (*names.claims(), *sorted(claims.keys() & {names.seed_peer_claim}))
    ]
    found += [_missing("Service", name) for name in names.services() if name not in services]
    if network_policies and objects.network_policies is not None:
        policies = {each["metadata"]["name"] for each in objects.network_policies}
        found += [_missing("NetworkPolicy", name) for name in policy_names(names).values() if name not in policies]
    return found


def _missing(kind: str | None, name: str) -> Condition:
    return Condition(kind, name, False, "missing", [Reason("is not in the cluster")])


def _workload(workload: Object, objects: ClusterObjects, last_log_line: LastLogLine, now: datetime) -> Condition:
    kind, name = workload["kind"], workload["metadata"]["name"]
    ready, state = _STATES[kind](workload)
    component = workload["metadata"]["labels"][COMPONENT_LABEL]
    pods = [pod for pod in objects.pods if pod["metadata"]["labels"].get(COMPONENT_LABEL) == component]
    if ready:
        # A Job's pod is started again until it succeeds.
        lately = [each for pod in pods if kind != "Job" for each in restart_reasons(pod, objects.events, now)]
        return Condition(kind, name, True, state, [with_log(each, last_log_line) for each in together(lately)])
    reasons = [
        *_own_reasons(workload, objects.events),
        *(
            pod_reason(pod, objects.events, objects.nodes, now)
            for pod in pods
            if not is_ready(pod) and pod["status"].get("phase") != "Succeeded"
        ),
        *(running_reason(pod) for pod in pods if kind == "Job" and is_ready(pod)),
    ]
    if not reasons:
        reasons.append(Reason("the change is not everywhere yet" if pods else "has no pod yet"))
    return Condition(kind, name, False, state, [with_log(each, last_log_line) for each in together(reasons)])


def _own_reasons(workload: Object, events: Sequence[Object]) -> list[Reason]:
    """Why a workload has no pods, or too few; a Job, why it failed."""
    failed = next((each for each in listed(workload, "conditions") if _is_failure(each)), None)
    if failed is not None:
        return [Reason(f"{failed['reason']}: {failed.get('message', '')}")]
    refused = (each for each in events_of(workload, events) if each.get("reason") == "FailedCreate")
    return [Reason(f"its pods are refused: {each['message']}") for each in refused][:1]


def _is_failure(condition: Object) -> bool:
    return condition["type"] in ("Failed", "ReplicaFailure") and condition["status"] == "True"


def _deployment(workload: Object) -> tuple[bool, str]:
    status, wanted = workload["status"], workload["spec"]["replicas"]
    new = status.get("updatedReplicas", 0) == wanted == status.get("replicas", 0)
    return _replicas(workload, status.get("readyReplicas", 0), wanted, new=new)


def _stateful_set(workload: Object) -> tuple[bool, str]:
    status, wanted = workload["status"], workload["spec"]["replicas"]
    new = status.get("updatedReplicas", 0) == wanted
    return _replicas(workload, status.get("readyReplicas", 0), wanted, new=new)


def _daemon_set(workload: Object) -> tuple[bool, str]:
    status = workload["status"]
    wanted = status.get("desiredNumberScheduled", 0)
    new = status.get("updatedNumberScheduled", 0) == wanted
    return _replicas(workload, status.get("numberReady", 0), wanted, new=new)


def _replicas(workload: Object, ready: int, wanted: int, *, new: bool) -> tuple[bool, str]:
    seen = workload["status"].get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
    good = seen and new and ready == wanted
    number = f"{ready} of {wanted}" if wanted != 1 else ""
    return good, f"{'Ready' if good else 'not Ready'} {number}".rstrip()


def _job(workload: Object) -> tuple[bool, str]:
    types = {each["type"] for each in listed(workload, "conditions") if each["status"] == "True"}
    if "Complete" in types:
        return True, "done"
    return False, "failed" if "Failed" in types else "not done"


_STATES: dict[str, Callable[[Object], tuple[bool, str]]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
}


def _claim(claim: Object, events: Sequence[Object]) -> Condition:
    kind, name = "PersistentVolumeClaim", claim["metadata"]["name"]
    phase = claim["status"].get("phase", "Pending")
    if phase == "Bound":
        return Condition(kind, name, True, phase)
    own = events_of(claim, events)
    told = next((event for event in own if event.get("type") == "Warning"), None) or next(iter(own), None)
    what = told["message"] if told else "the cluster does not say why"
    return Condition(kind, name, False, phase, [Reason(what)])
