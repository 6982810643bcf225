"""Waits for objects in the cluster: to be ready, or to be gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Final

from local.plugins.api_server import ApiError, ApiServer, NoSuchKindError, UnreachableError
from local.plugins.await_ready import (
    READINESS,
    WORKLOADS,
    Readiness,
    claim_readiness,
    default_timeout,
    pod_problems,
    service_readiness,
)
from local.plugins.object_fields import (
    annotation_of,
    list_at,
    name_of,
    namespace_of,
    object_at,
    objects_at,
    text_at,
    value_at,
)
from local.plugins.property_values import Properties

SKIP_AWAIT: Final = "pulumi.com/skipAwait"
"""The annotation that turns waiting off for an object."""
TIMEOUT_SECONDS: Final = "pulumi.com/timeoutSeconds"
"""The annotation with the seconds to wait; the resource option `custom_timeouts` goes before it."""
_DELETE_TIMEOUT: Final = 600.0
"""Seconds that a deletion may take by default (pulumi-kubernetes, `await/awaiters.go`)."""
_FIRST_POLL, _SLOWEST_POLL = 0.05, 0.25
"""Seconds between looks: short at first, as many objects are ready or gone at once."""
_POD_LOOK: Final = 2.0
"""Seconds between looks at the pods of a workload that is not ready: lists cost more than one object."""
_AFTER_DELETE_WITHOUT_WAIT: Final = frozenset({"Namespace", "Pod", "DaemonSet", "Deployment", "StatefulSet", "Job"})
"""Kinds whose skipAwait also covers deletion (`allowsSkipAwaitWithDelete`, `metadata/overrides.go`)."""


class NotFinishedError(Exception):
    """A wait that ended without success; the object stays as it is.

    Attributes:
        item: the object as last seen.
        reasons: what stood in the way.
    """

    def __init__(self, message: str, item: Properties, reasons: list[str]) -> None:
        super().__init__(message)
        self.item = item
        self.reasons = reasons


def timeout_of(requested: float, inputs: Properties, default: float) -> float:
    """Return the seconds to wait: the engine's (`custom_timeouts`), the annotation's or the default."""
    if requested:
        return requested
    text = annotation_of(inputs, TIMEOUT_SECONDS)
    return float(text) if text.isdecimal() else default


class Waits:
    """Waits against one API server, until the engine cancels them all."""

    def __init__(self, server: ApiServer, cancelled: threading.Event, report: Callable[[str, str], None]) -> None:
        """Wait with the server's objects.

        Args:
            server: where the objects are.
            cancelled: set when the engine wants every wait to end.
            report: takes a URN and its status line.
        """
        self._server = server
        self._cancelled = cancelled
        self._report = report

    def until_ready(self, item: Properties, inputs: Properties, urn: str, requested: float) -> Properties:
        """Wait until the object is ready and return it as then seen.

        Args:
            item: the object as the API server returned it from the change that is waited for.
            inputs: what the program asks for: annotations are read from it.
            urn: the resource, for status lines.
            requested: the engine's timeout in seconds, or 0.

        Raises:
            NotFinishedError: it failed, was deleted, the time is over or the engine cancelled.
        """
        kind = text_at(item, "kind")
        if annotation_of(inputs, SKIP_AWAIT) == "true" or not _is_awaited(item):
            return self._latest(item)
        seconds = timeout_of(requested, inputs, default_timeout(kind))
        path = self._server.path_of(item, name_of(item))
        last = Readiness(False, "")
        pod_look = time.monotonic() + _POD_LOOK
        silence = why = ""
        for _ in self._polls(seconds):
            try:
                seen = self._server.request("GET", path)
                if text_at(seen, "metadata", "uid") != text_at(item, "metadata", "uid"):
                    raise NotFinishedError(f"{_title(item)} was replaced by another object while waited for", item, [])
                item, last, silence = seen, self.readiness(seen), ""
            except ApiError as error:
                if error.status == HTTPStatus.NOT_FOUND:
                    raise NotFinishedError(f"{_title(item)} was deleted while waited for", item, []) from None
                silence = str(error)
                continue
            except UnreachableError as error:
                silence = str(error)
                continue
            if last.ready:
                self._report(urn, last.status)
                return item
            if last.failed:
                break
            if time.monotonic() >= pod_look:
                pod_look = time.monotonic() + _POD_LOOK
                why = next(iter(self._pod_reasons(item)), "")
            self._report(urn, f"{last.status}: {why}" if why else last.status)
        reasons = self.reasons(item, last) + ([silence] if silence else [])
        if self._cancelled.is_set():
            raise NotFinishedError(f"Resource operation was cancelled for {name_of(item)!r}", item, reasons)
        if last.failed:
            raise NotFinishedError(f"{_title(item)} failed and will not become ready", item, reasons)
        raise NotFinishedError(f"{name_of(item)!r} timed out waiting to be Ready (after {seconds:g} s)", item, reasons)

    def readiness(self, item: Properties) -> Readiness:
        """Judge the object as it is, asking for what belongs to it; kinds that nobody waits for are ready.

        Raises:
            ApiError, UnreachableError: what belongs to it could not be read.
        """
        kind = text_at(item, "kind")
        judge = READINESS.get((text_at(item, "apiVersion"), kind))
        if judge is not None:
            return judge(item)
        if (text_at(item, "apiVersion"), kind) == ("v1", "PersistentVolumeClaim"):
            return claim_readiness(item, self._binding_mode(item))
        if (text_at(item, "apiVersion"), kind) == ("v1", "Service"):
            path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace_of(item)}/endpointslices"
            selector = {"labelSelector": f"kubernetes.io/service-name={name_of(item)}"}
            return service_readiness(item, objects_at(self._server.request("GET", path, selector), "items"))
        return Readiness(True, "")

    def _binding_mode(self, claim: Properties) -> str:
        name = text_at(claim, "spec", "storageClassName")
        if text_at(claim, "status", "phase") == "Bound" or not name:
            return ""
        try:
            return text_at(
                self._server.request("GET", f"/apis/storage.k8s.io/v1/storageclasses/{name}"), "volumeBindingMode"
            )
        except ApiError:
            return ""

    def reasons(self, item: Properties, readiness: Readiness) -> list[str]:
        """Return what keeps the object from being ready: its own words, its pods' and its warning events."""
        return [*readiness.problems, *self._pod_reasons(item), *self._warnings(item)]

    def _pod_reasons(self, item: Properties) -> list[str]:
        labels = object_at(item, "spec", "selector", "matchLabels")
        if text_at(item, "kind") not in WORKLOADS or not labels:
            return []
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        try:
            path = f"/api/v1/namespaces/{namespace_of(item)}/pods"
            pods = objects_at(self._server.request("GET", path, {"labelSelector": selector}), "items")
        except (ApiError, UnreachableError):
            return []
        reasons: list[str] = []
        for pod in pods:
            if "deletionTimestamp" not in object_at(pod, "metadata"):
                reasons += pod_problems(pod)
        return reasons

    def _warnings(self, item: Properties) -> list[str]:
        selector = f"involvedObject.uid={text_at(item, 'metadata', 'uid')},type=Warning"
        try:
            path = f"/api/v1/namespaces/{namespace_of(item) or 'default'}/events"
            events = objects_at(self._server.request("GET", path, {"fieldSelector": selector}), "items")
        except (ApiError, UnreachableError):
            return []
        events.sort(key=lambda event: text_at(event, "lastTimestamp") or text_at(event, "eventTime"))
        texts = [f"[{text_at(event, 'reason')}] {text_at(event, 'message')}" for event in events]
        # The newest of each: an event repeats with every retry.
        return list(dict.fromkeys(reversed(texts)))[:3]

    def until_gone(self, item: Properties, inputs: Properties, urn: str, requested: float) -> None:
        """Wait until the object, whose deletion was asked for, is no longer there.

        Args:
            item: the object, with its name and kind.
            inputs: what the program asked for: annotations are read from it.
            urn: the resource, for status lines.
            requested: the engine's timeout in seconds, or 0.

        Raises:
            NotFinishedError: the time is over or the engine cancelled, and the object is still there.
        """
        kind = text_at(item, "kind")
        if annotation_of(inputs, SKIP_AWAIT) == "true" and kind in _AFTER_DELETE_WITHOUT_WAIT:
            return
        seconds = timeout_of(requested, inputs, _DELETE_TIMEOUT)
        uid = ""
        silence = ""
        for _ in self._polls(seconds):
            try:
                seen = self._server.request("GET", self._server.path_of(item, name_of(item)))
            except NoSuchKindError:
                return
            except ApiError as error:
                if error.status == HTTPStatus.NOT_FOUND:
                    return
                silence = str(error)
                continue
            except UnreachableError as error:
                silence = str(error)
                continue
            uid = uid or text_at(seen, "metadata", "uid")
            if text_at(seen, "metadata", "uid") != uid:
                return
            item, silence = seen, ""
            self._report(urn, _deletion_status(seen))
        if self._cancelled.is_set():
            raise NotFinishedError(f"Resource operation was cancelled for {name_of(item)!r}", item, [])
        reasons = [_deletion_status(item), *([silence] if silence else [])]
        raise NotFinishedError(f"Timed out waiting for deletion of {_title(item)} (after {seconds:g} s)", item, reasons)

    def _polls(self, seconds: float) -> Iterator[None]:
        # Yields once more when the time is over, so that the last look is at the end and not before it.
        end = time.monotonic() + seconds
        pause = _FIRST_POLL
        while True:
            yield
            left = end - time.monotonic()
            if left <= 0 or self._cancelled.wait(min(pause, left)):
                return
            pause = min(pause * 1.5, _SLOWEST_POLL)

    def _latest(self, item: Properties) -> Properties:
        try:
            return self._server.request("GET", self._server.path_of(item, name_of(item)))
        except (ApiError, UnreachableError):
            # The object exists; failing here would lose it.
            return item


def _is_awaited(item: Properties) -> bool:
    key = (text_at(item, "apiVersion"), text_at(item, "kind"))
    return key in READINESS or key in {("v1", "PersistentVolumeClaim"), ("v1", "Service")}


def _deletion_status(item: Properties) -> str:
    finalizers = [str(name) for name in list_at(item, "metadata", "finalizers")]
    finalizers += [str(name) for name in list_at(item, "spec", "finalizers")]
    if value_at(item, "metadata", "deletionTimestamp") is None and not finalizers:
        return f"{_title(item)} still exists"
    waiting = f", waiting for {', '.join(finalizers)}" if finalizers else ""
    problem = next(
        (
            f": {text_at(condition, 'message')}"
            for condition in objects_at(item, "status", "conditions")
            if text_at(item, "kind") == "Namespace"
            and condition.get("type") == "NamespaceContentRemaining"
            and condition.get("status") == "True"
        ),
        "",
    )
    return f"{_title(item)} is being deleted{waiting}{problem}"


def _title(item: Properties) -> str:
    return f"{text_at(item, 'kind')} {name_of(item)!r}"
