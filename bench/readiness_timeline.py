"""When each pod of an installation was made, placed, started and Ready, as the API server tells it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from kubernetes import watch
from kubernetes.client.api.core_v1_api import CoreV1Api
from kubernetes.client.exceptions import ApiException
from rich.table import Table
from urllib3.exceptions import HTTPError

from dragonfly.parts.labels import ALL_INSTANCES
from local.api.kubeconfig import connect

_STAGES = ("made", "placed", "running", "Ready")
_WATCH_SECONDS = 600


class TimelineError(RuntimeError):
    """What was measured is not whole."""


@dataclass
class ReadinessTimeline:
    """Moments of one installation, each when we were told of it.

    A pod's own conditions have a resolution of a second, which is too coarse for what takes twenty.

    Attributes:
        first_object: when the first of its objects came, by time.monotonic().
        pods: by name, when a pod came to each of its stages, by time.monotonic().
    """

    first_object: float | None = None
    pods: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])

    def saw_object(self, item: object) -> None:
        """Enter that an object was made or has changed."""
        del item
        if self.first_object is None:
            self.first_object = time.monotonic()

    def saw_pod(self, pod: Any) -> None:
        """Return a pod was made or has changed."""
        now = time.monotonic()
        stages = self.pods.setdefault(pod.metadata.name, {})
        containers: list[Any] = pod.status.container_statuses or []
        conditions: list[Any] = pod.status.conditions or []
        owners: list[Any] = pod.metadata.owner_references or []
        done = pod.status.phase == "Succeeded"
        runs_to_its_end = any(owner.kind == "Job" for owner in owners)
        reached = {
            "made": True,
            "placed": bool(pod.spec.node_name),
            "running": done or bool(containers and all(one.state.running for one in containers)),
            "Ready": done
            if runs_to_its_end
            else any(one.type == "Ready" and one.status == "True" for one in conditions),
        }
        for stage in _STAGES:
            if reached[stage]:
                stages.setdefault(stage, now)

    def seconds_to_ready(self) -> float:
        """From the first object to the last pod's readiness.

        Raises:
            ValueError: a pod is not Ready, or there is none.
        """
        waiting = [name for name, stages in self.pods.items() if "Ready" not in stages]
        if self.first_object is None or not self.pods or waiting:
            raise ValueError(f"not Ready: {', '.join(waiting) or 'no pod was made'}")
        return max(stages["Ready"] for stages in self.pods.values()) - self.first_object

    def table(self) -> Table:
        """All of it, in seconds after the first object, in the order in which the pods became Ready."""
        table = Table("pod", *_STAGES, title="seconds after the first object")
        start = self.first_object or 0.0
        for name, stages in sorted(self.pods.items(), key=lambda item: item[1].get("Ready", float("inf"))):
            table.add_row(name, *(f"{stages[stage] - start:.1f}" if stage in stages else "-" for stage in _STAGES))
        return table


@contextmanager
def readiness_timeline(kubeconfig: Path) -> Generator[ReadinessTimeline]:
    """Follows a cluster's Dragonfly objects as long as the context lasts; later ones are not entered.

    Args:
        kubeconfig: of a cluster without an installation.

    Raises:
        TimelineError: at the end, when the API server stopped telling before.
    """
    timeline = ReadinessTimeline()
    with connect(kubeconfig) as client:
        core: Any = CoreV1Api(client)
        followers = [
            _Follower(core.list_namespace, timeline.saw_object),
            _Follower(core.list_secret_for_all_namespaces, timeline.saw_object),
            _Follower(core.list_service_for_all_namespaces, timeline.saw_object),
            _Follower(core.list_persistent_volume_claim_for_all_namespaces, timeline.saw_object),
            _Follower(core.list_pod_for_all_namespaces, timeline.saw_pod),
        ]
        yield timeline
        for follower in followers:
            follower.end()


class _Follower:
    """One watch, in a thread of its own, from what there is at its start on."""

    def __init__(self, list_function: Callable[..., Any], saw: Callable[[Any], None]) -> None:
        self._saw = saw
        self._ended = False
        # Asked here, so that the watch misses nothing that is made once this is over.
        version = list_function(label_selector=ALL_INSTANCES).metadata.resource_version
        self._thread = threading.Thread(target=self._follow, args=(list_function, version), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Nothing more is entered.

        Raises:
            TimelineError: the watch has ended by itself.
        """
        self._ended = True
        if not self._thread.is_alive():
            raise TimelineError("the API server stopped telling what became of the installation: measure again")

    def _follow(self, list_function: Callable[..., Any], version: str) -> None:
        stream = cast("Any", watch.Watch()).stream
        events = stream(
            list_function, label_selector=ALL_INSTANCES, resource_version=version, timeout_seconds=_WATCH_SECONDS
        )
        # The cluster may end in the middle of an answer.
        with suppress(HTTPError, ApiException):
            for event in events:
                if self._ended:
                    return
                self._saw(event["object"])
