"""Why a pod is not Ready, out of what the API server says of it: conditions, container states and events."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from dragonfly.access.objects import Object, listed
from dragonfly.scripts.wait_for import awaited_address

_OUT_OF_MEMORY = "OOMKilled"
# kubelet's reasons (pkg/kubelet/images/types.go, pkg/kubelet/container/sync_result.go).
_NO_IMAGE = {
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
}
_CRASHES = "CrashLoopBackOff"
_STARTING = {"ContainerCreating", "PodInitializing"}
# 128 and the number of SIGKILL or SIGTERM: kubelet ends a container so whose probe fails.
_ENDED_BY_KUBELET = {137, 143}

# The longest that kubelet waits before it starts a container again, and as long again to see it fail.
_BACK_OFF = timedelta(minutes=10)
_RECENT = timedelta(hours=1)

LastLogLine = Callable[[str, str, bool], str | None]
"""The last line that a container of a pod wrote; of its previous run, if true."""


@dataclass(frozen=True)
class Reason:
    """Why a pod, or some pods for the same reason, are not Ready.

    Attributes:
        what: in words.
        image: the reference that could not be pulled.
        restarts: how often the container has been started again.
        container: the container that it is about, where its log says more.
        pod: its pod's name; of the first, where there are several.
        runs: whether the container runs now.
        ended: whether it ended before.
        log: the last line of its log.
        pods: how many pods have it.
    """

    what: str
    image: str | None = None
    container: str | None = None
    runs: bool = False
    ended: bool = False
    restarts: int = field(default=0, compare=False)
    pod: str = field(default="", compare=False)
    log: str | None = None
    pods: int = 1


def is_ready(pod: Object) -> bool:
    """Return whether a pod's condition Ready holds."""
    return _condition(pod, "Ready").get("status") == "True"


def pod_reason(pod: Object, events: Sequence[Object], nodes: Iterable[Object], now: datetime) -> Reason:
    """Return why a pod is not Ready, without what its log says.

    Args:
        pod: one that is not Ready.
        events: of its namespace.
        nodes: of the cluster, as far as the user sees them.
        now: the time.
    """
    name = pod["metadata"]["name"]
    own = events_of(pod, events)
    found = (
        _placement(pod)
        or _eviction(pod)
        or _node(pod, nodes)
        or _containers(pod, own, now)
        or Reason("is being deleted" if "deletionTimestamp" in pod["metadata"] else "is not Ready yet")
    )
    return replace(found, pod=name)


def running_reason(pod: Object) -> Reason:
    """Return that a pod's first container runs: what it does, its log says."""
    status = _statuses(pod)[0]
    return Reason(
        "still runs", container=status["name"], runs=True, pod=pod["metadata"]["name"], restarts=status["restartCount"]
    )


def restart_reasons(pod: Object, events: Sequence[Object], now: datetime) -> list[Reason]:
    """Return which containers of a pod that is Ready were started again within the last hour, and why.

    Args:
        pod: the pod.
        events: of its namespace.
        now: the time.
    """
    found: list[Reason] = []
    for status in _statuses(pod):
        ended = _last_end(status)
        if ended is not None and _within(ended.get("finishedAt"), _RECENT, now):
            reason = _ended(pod, status, ended, events_of(pod, events))
            found.append(replace(reason, pod=pod["metadata"]["name"]))
    return found


def together(reasons: Iterable[Reason]) -> list[Reason]:
    """Say once what several pods have in common, with their number."""
    groups: dict[Reason, Reason] = {}
    for reason in reasons:
        seen = groups.get(reason)
        groups[reason] = (
            reason
            if seen is None
            else replace(seen, pods=seen.pods + reason.pods, restarts=max(seen.restarts, reason.restarts))
        )
    return list(groups.values())


def with_log(reason: Reason, last_log_line: LastLogLine) -> Reason:
    """Complete a reason by what its container's log says, of the run that failed or of the present one.

    Args:
        reason: the reason.
        last_log_line: reads it.
    """
    if reason.container is None:
        return reason
    # Of a container that does not run, the present log is that of the run that ended.
    line = last_log_line(reason.pod, reason.container, False)
    if reason.runs and line and (address := awaited_address(line)):
        return replace(reason, what=f"{reason.container} waits for {address}")
    if reason.runs and reason.ended:
        line = last_log_line(reason.pod, reason.container, True)
    return replace(reason, log=line)


def events_of(object_: Object, events: Iterable[Object]) -> list[Object]:
    """Return the events of one object, the newest first."""
    uid = object_["metadata"].get("uid")
    own = [event for event in events if event["involvedObject"].get("uid") == uid]
    return sorted(own, key=_when, reverse=True)


def _when(event: Object) -> str:
    series: Object = event.get("series") or {}
    # The scheduler and the kubelet write events of different generations.
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return next(filter(None, times), None) or event["metadata"].get("creationTimestamp") or ""


def _condition(object_: Object, kind: str) -> Object:
    absent: Object = {}
    return next((each for each in listed(object_, "conditions") if each["type"] == kind), absent)


def _placement(pod: Object) -> Reason | None:
    condition = _condition(pod, "PodScheduled")
    if condition.get("status") != "False":
        return None
    message = condition.get("message") or condition.get("reason") or "the scheduler has not said why"
    # What follows the first sentence is about pods that could make room, of which there are none.
    sentence = re.match(r"\d+/\d+ nodes are available: .*?\.(?=\s|$)", message)
    return Reason(f"no node takes it: {sentence[0] if sentence else message}")


def _eviction(pod: Object) -> Reason | None:
    status = pod["status"]
    if status.get("phase") != "Failed" or not status.get("reason"):
        return None
    return Reason(f"{status['reason']}: {status.get('message', '')}".rstrip(": "))


def _node(pod: Object, nodes: Iterable[Object]) -> Reason | None:
    name = pod["spec"].get("nodeName")
    for node in nodes:
        ready = _condition(node, "Ready")
        if node["metadata"]["name"] == name and ready and ready["status"] != "True":
            return Reason(f"its node {name} is not Ready: {ready.get('message') or ready.get('reason')}")
    return None


def _statuses(pod: Object) -> list[Object]:
    return [*listed(pod, "initContainerStatuses"), *listed(pod, "containerStatuses")]


def _containers(pod: Object, events: Sequence[Object], now: datetime) -> Reason | None:
    unready = [status for status in _statuses(pod) if not status.get("ready") and not _is_done(status)]
    reasons = [_container(pod, status, events, now) for status in unready]
    # One that cannot start says more than one that is about to.
    return next((each for each in reasons if each.image or each.ended), None) or next(iter(reasons), None)


def _is_done(status: Object) -> bool:
    terminated = status["state"].get("terminated")
    return terminated is not None and terminated["exitCode"] == 0


def _container(pod: Object, status: Object, events: Sequence[Object], now: datetime) -> Reason:
    name = status["name"]
    state: Object = status.get("state") or {}
    waiting: Object = state.get("waiting") or {}
    why = waiting.get("reason", "")
    if why in _NO_IMAGE:
        return _no_image(status, waiting, events)
    before = _last_end(status)
    if "running" in state and before is not None and not _within(before.get("finishedAt"), _BACK_OFF, now):
        before = None
    ended = state.get("terminated") or (before if why in ("", _CRASHES) else None)
    if ended is not None:
        return _ended(pod, status, ended, events)
    if why in _STARTING or not state:
        return Reason(_starting(name, events))
    if why:
        return Reason(f"{name} cannot start: {waiting.get('message') or why}")
    probe = _probe(name, events)
    return Reason(
        f"{name} does not answer: {probe}" if probe else f"{name} runs, is not Ready yet", container=name, runs=True
    )


def _last_end(status: Object) -> Object | None:
    return status.get("lastState", {}).get("terminated")


def _ended(pod: Object, status: Object, ended: Object, events: Sequence[Object]) -> Reason:
    name = status["name"]
    return Reason(
        f"{name} {_end(pod, name, ended, events)}",
        container=name,
        runs="running" in status["state"],
        ended=True,
        restarts=status["restartCount"],
    )


def _within(time: str | None, span: timedelta, now: datetime) -> bool:
    """Whether a time of the API server's is not longer ago; one that it does not know counts."""
    return time is None or now - datetime.fromisoformat(time) < span


def _no_image(status: Object, waiting: Object, events: Sequence[Object]) -> Reason:
    image = status["image"]
    told = [waiting.get("message") or "", *(event.get("message") or "" for event in events)]
    # The cause stands behind the last time that the chain of errors names the image.
    causes = (_cause(message, image) for message in told if "rror" in message or "ailed" in message)
    cause = next(filter(None, causes), waiting["reason"])
    return Reason(f"cannot pull {image}: {cause}", image=image)


def _cause(message: str, image: str) -> str:
    _, found, rest = message.rpartition(image)
    return rest.lstrip('": ') if found else ""


def _end(pod: Object, container: str, ended: Object, events: Sequence[Object]) -> str:
    code = ended["exitCode"]
    if ended.get("reason") == _OUT_OF_MEMORY:
        return f"was killed for memory (exit code {code}): its limit is {_memory_limit(pod, container)}"
    if message := ended.get("message"):
        return f"ended with exit code {code}: {message.strip()}"
    probe = _probe(container, events) if code in _ENDED_BY_KUBELET else None
    return f"ended with exit code {code}" + (f", after its probe failed: {probe}" if probe else "")


def _memory_limit(pod: Object, container: str) -> str:
    found: Any = next(each for each in pod["spec"]["containers"] if each["name"] == container)
    return found.get("resources", {}).get("limits", {}).get("memory", "that of its node")


def _probe(container: str, events: Sequence[Object]) -> str | None:
    """Return what the newest failed probe of a container met."""
    place = f"spec.containers{{{container}}}"
    failed = (
        event
        for event in events
        if event.get("reason") == "Unhealthy" and event["involvedObject"].get("fieldPath") == place
    )
    return next((event["message"].strip() for event in failed), None)


def _starting(container: str, events: Sequence[Object]) -> str:
    warning = next((event for event in events if event.get("type") == "Warning"), None)
    if warning is not None:
        return f"{container} cannot start: {warning['message'].strip()}"
    if events and events[0].get("reason") == "Pulling":
        return f"{container} is about to start: {events[0]['message'].strip()}"
    return f"{container} is about to start"
