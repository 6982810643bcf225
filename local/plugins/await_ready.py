"""When a Kubernetes object counts as ready, and what to say while it does not.

Pure functions over objects as the API server returns them; the rules are those of pulumi-kubernetes'
`provider/pkg/await`, with the rollout rule of `kubectl rollout status` for Deployments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from local.plugins.object_fields import (
    condition_of,
    name_of,
    namespace_of,
    number_at,
    object_at,
    objects_at,
    text_at,
    value_at,
)
from local.plugins.property_values import Properties

_STARTING_REASONS: Final = frozenset({"ContainerCreating", "PodInitializing"})
"""Waiting reasons of a container that is merely on its way (kubelet), and so no problem to report."""


@dataclass(frozen=True)
class Readiness:
    """How far an object is.

    Attributes:
        ready: whether the wait is over.
        status: one line for the engine's display.
        problems: what stands in the way, in the object's own words; empty while it is merely on its way.
        failed: whether waiting longer cannot help.
    """

    ready: bool
    status: str
    problems: tuple[str, ...] = ()
    failed: bool = False


def deployment_readiness(item: Properties) -> Readiness:
    """Judge a Deployment: its newest template is observed, wholly rolled out and available, and old pods are gone."""
    wanted = number_at(item, "spec", "replicas", default=1)
    updated = number_at(item, "status", "updatedReplicas")
    available = number_at(item, "status", "availableReplicas")
    total = number_at(item, "status", "replicas")
    status = f"Waiting for app ReplicaSet to be available ({min(updated, available)}/{wanted} Pods available)"
    if not _is_observed(item):
        return Readiness(False, "[1/2] Waiting for the Deployment controller")
    if updated >= wanted and total <= updated and available >= updated and _is_true(item, "Available"):
        return Readiness(True, "Deployment initialization complete")
    return Readiness(False, f"[2/2] {status}", _false_conditions(item, ("Progressing", "Available")) + _refusals(item))


def stateful_set_readiness(item: Properties) -> Readiness:
    """Judge a StatefulSet: every replica is ready and of the newest revision."""
    wanted = number_at(item, "spec", "replicas", default=1)
    ready = number_at(item, "status", "readyReplicas")
    current, update = text_at(item, "status", "currentRevision"), text_at(item, "status", "updateRevision")
    first = number_at(item, "metadata", "generation") <= 1
    waiting = "[1/2] Waiting for StatefulSet to create Pods" if first else "[1/3] Waiting for StatefulSet to roll out"
    if not _is_observed(item):
        return Readiness(False, f"{waiting} (0/{wanted} Pods ready)")
    on_delete = text_at(item, "spec", "updateStrategy", "type") == "OnDelete" and not first
    replicas_ready = number_at(item, "status", "replicas") == wanted and ready == wanted
    revision_ready = on_delete or (current != "" and current == update)
    if not on_delete:
        replicas_ready = replicas_ready and (not wanted or number_at(item, "status", "currentReplicas") == wanted)
    if replicas_ready and revision_ready:
        return Readiness(True, "StatefulSet initialization complete")
    if replicas_ready:
        return Readiness(
            False,
            "[2/3] Waiting for StatefulSet to update .status.currentRevision",
            (f"the controller has not advanced from revision {current!r} to revision {update!r}",),
        )
    shown = ready if revision_ready else min(ready, number_at(item, "status", "updatedReplicas"))
    return Readiness(
        False,
        f"{waiting} ({shown}/{wanted} Pods ready)",
        (f"{shown} out of {wanted} replicas succeeded readiness checks",),
    )


def daemon_set_readiness(item: Properties) -> Readiness:
    """Judge a DaemonSet: every node that should run it runs the newest template, ready and available."""
    wanted = number_at(item, "status", "desiredNumberScheduled")
    updated = number_at(item, "status", "updatedNumberScheduled")
    ready = number_at(item, "status", "numberReady")
    available = number_at(item, "status", "numberAvailable")
    if not _is_observed(item):
        return Readiness(False, "[1/2] Waiting for the DaemonSet controller")
    on_delete = text_at(item, "spec", "updateStrategy", "type") == "OnDelete"
    rolled_out = on_delete or updated >= wanted
    if rolled_out and ready >= wanted and available >= wanted:
        return Readiness(True, "DaemonSet initialization complete")
    counts = f"{min(ready, wanted if on_delete else updated)}/{wanted} Pods ready"
    return Readiness(False, f"[2/2] Waiting for DaemonSet to roll out ({counts})", (f"only {counts}",))


def job_readiness(item: Properties) -> Readiness:
    """Judge a Job: it is complete; one that failed never will be."""
    if _is_true(item, "Complete"):
        return Readiness(True, "Job ready")
    failure = condition_of(item, "Failed")
    if failure.get("status") == "True":
        return Readiness(False, "Job failed", (_reason_and_message(failure),), failed=True)
    active, failed = number_at(item, "status", "active"), number_at(item, "status", "failed")
    problems = (f"{failed} of its pods failed",) if failed else ()
    return Readiness(False, f"[2/2] Waiting for Job to succeed (Active: {active} | Failed: {failed})", problems)


def pod_readiness(item: Properties) -> Readiness:
    """Judge a Pod: it is ready, or has done its work."""
    if text_at(item, "status", "phase") == "Succeeded" or _is_true(item, "Ready"):
        return Readiness(True, "Pod ready")
    place = f'"{namespace_of(item)}/{name_of(item)}"'
    if not _is_true(item, "PodScheduled"):
        status = f"[1/3] Waiting for Pod {place} to be scheduled"
    elif not _is_true(item, "Initialized"):
        status = f"[2/3] Waiting for Pod {place} to be initialized"
    else:
        status = f"[3/3] Waiting for Pod {place} to be ready"
    return Readiness(False, status, tuple(pod_problems(item)))


def claim_readiness(item: Properties, binding_mode: str) -> Readiness:
    """Judge a PersistentVolumeClaim: it is bound, or its class (`volumeBindingMode`) waits for a pod that uses it."""
    phase = text_at(item, "status", "phase")
    if phase == "Bound" or (binding_mode == "WaitForFirstConsumer" and phase == "Pending"):
        return Readiness(True, "PVC is ready")
    if phase == "Lost":
        return Readiness(False, "PVC lost its volume", ("its volume is gone (phase Lost)",), failed=True)
    storage_class = text_at(item, "spec", "storageClassName")
    return Readiness(
        False,
        "Waiting for PVC to be bound to a volume",
        (f"it is not bound to a volume (phase {phase or 'unknown'}, storage class {storage_class or 'none'!r})",),
    )


def service_readiness(item: Properties, endpoint_slices: Sequence[Properties]) -> Readiness:
    """Judge a Service: a pod answers for it, and a load balancer has an address.

    Headless Services, names of outside hosts and Services without a selector have no pods to wait for.
    """
    kind = text_at(item, "spec", "type") or "ClusterIP"
    if text_at(item, "spec", "clusterIP") != "None" and kind != "ExternalName" and object_at(item, "spec", "selector"):
        endpoints = [endpoint for each in endpoint_slices for endpoint in objects_at(each, "endpoints")]
        # An absent condition means ready (EndpointConditions in k8s.io/api/discovery/v1).
        if not any(value_at(endpoint, "conditions", "ready") is not False for endpoint in endpoints):
            return Readiness(
                False,
                "[1/3] Finding Pods to direct traffic to",
                (
                    "Service does not target any Pods. Selected Pods may not be ready, or "
                    "field '.spec.selector' may not match labels on any Pods",
                ),
            )
    if kind == "LoadBalancer" and not objects_at(item, "status", "loadBalancer", "ingress"):
        return Readiness(
            False,
            "[2/3] Attempting to allocate IP address to Service",
            ("Service was not allocated an IP address; does your cloud provider support this?",),
        )
    return Readiness(True, "Service initialization complete")


def definition_readiness(item: Properties) -> Readiness:
    """Judge a CustomResourceDefinition: the API server serves it."""
    if _is_true(item, "Established"):
        return Readiness(True, "CustomResourceDefinition established")
    refused = condition_of(item, "NamesAccepted")
    problems = (_reason_and_message(refused),) if refused.get("status") == "False" else ()
    return Readiness(False, "Waiting for CustomResourceDefinition to be established", problems)


def namespace_readiness(item: Properties) -> Readiness:
    """Judge a Namespace: it takes objects."""
    phase = text_at(item, "status", "phase")
    if phase == "Active":
        return Readiness(True, "Namespace active")
    return Readiness(False, "Waiting for Namespace to be active", (f"its phase is {phase or 'unknown'}",))


READINESS: Final[dict[tuple[str, str], Callable[[Properties], Readiness]]] = {
    ("apps/v1", "Deployment"): deployment_readiness,
    ("apps/v1", "StatefulSet"): stateful_set_readiness,
    ("apps/v1", "DaemonSet"): daemon_set_readiness,
    ("batch/v1", "Job"): job_readiness,
    ("v1", "Pod"): pod_readiness,
    ("v1", "Namespace"): namespace_readiness,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): definition_readiness,
}
"""Kinds that are judged by themselves; claims and Services need a second object."""

WORKLOADS: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job"})
"""Kinds whose pods are asked for the reason when they are not ready."""


def default_timeout(kind: str) -> float:
    """Return the seconds that a kind is waited for by default: 5 minutes for a claim, else 10.

    The numbers are those of pulumi-kubernetes (`await/*.go`, `Default*TimeoutMins`).
    """
    return 300.0 if kind == "PersistentVolumeClaim" else 600.0


def pod_problems(pod: Properties) -> list[str]:
    """Return what keeps a pod from being ready: the scheduler's message, and each container's own reason."""
    found: list[str] = []
    scheduled = condition_of(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        found.append(_reason_and_message(scheduled))
    for group in ("initContainerStatuses", "containerStatuses"):
        for container in objects_at(pod, "status", group):
            problem = _container_problem(container, is_init=group == "initContainerStatuses")
            if problem:
                found.append(f"container {text_at(container, 'name')!r}: {problem}")
    if text_at(pod, "status", "phase") == "Failed" and not found:
        found.append(_reason_and_message(object_at(pod, "status")))
    if not found:
        ready = condition_of(pod, "Ready")
        if scheduled.get("status") == "True" and ready.get("status") == "False":
            found.append(_reason_and_message(ready))
    return [f"Pod {name_of(pod)}: {problem}" for problem in found]


def _container_problem(container: Properties, *, is_init: bool) -> str:
    waiting = object_at(container, "state", "waiting")
    last = object_at(container, "lastState", "terminated")
    ended = f" (last run: {_ending(last)})" if last and number_at(last, "exitCode") else ""
    if waiting:
        if text_at(waiting, "reason") in _STARTING_REASONS and not ended:
            return ""
        return _reason_and_message(waiting) + ended
    terminated = object_at(container, "state", "terminated")
    if terminated and (number_at(terminated, "exitCode") or not is_init):
        return _ending(terminated)
    if object_at(container, "state", "running") and ended:
        return f"restarted {number_at(container, 'restartCount')} times{ended}"
    return ""


def _ending(terminated: Properties) -> str:
    message = text_at(terminated, "message").strip()
    reason = text_at(terminated, "reason") or "Terminated"
    return f"[{reason}] exit code {number_at(terminated, 'exitCode')}" + (f": {message}" if message else "")


def _is_observed(item: Properties) -> bool:
    return number_at(item, "status", "observedGeneration") >= number_at(item, "metadata", "generation", default=1)


def _is_true(item: Properties, condition: str) -> bool:
    return condition_of(item, condition).get("status") == "True"


def _false_conditions(item: Properties, kinds: Sequence[str]) -> tuple[str, ...]:
    conditions = (condition_of(item, kind) for kind in kinds)
    return tuple(_reason_and_message(condition) for condition in conditions if condition.get("status") == "False")


def _refusals(item: Properties) -> tuple[str, ...]:
    # A quota or an admission plug-in refused the pods, so there is no pod to ask.
    refusal = condition_of(item, "ReplicaFailure")
    return (_reason_and_message(refusal),) if refusal.get("status") == "True" else ()


def _reason_and_message(state: Properties) -> str:
    reason, message = text_at(state, "reason"), text_at(state, "message").strip()
    if reason and message:
        return f"[{reason}] {message}"
    return message or (f"[{reason}]" if reason else "no reason given")
