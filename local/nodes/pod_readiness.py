"""Whether an installation's pods are Ready again after their nodes were started anew."""

from __future__ import annotations

import datetime
import time
from typing import Any, Final

from kubernetes.client.api.core_v1_api import CoreV1Api
from kubernetes.client.api_client import ApiClient
from rich.console import Console

from dragonfly.parts.labels import ALL_INSTANCES

_POLL_SECONDS: Final = 0.5


class PodsNotReadyError(RuntimeError):
    """Pods did not become Ready in time; the message names them."""


def wait_for_pods(
    client: ApiClient, namespace: str, since: datetime.datetime, timeout_seconds: float, console: Console
) -> None:
    """Wait until every pod of the installations in a namespace is Ready, and say for which it waits.

    Args:
        client: of the cluster's API server.
        namespace: of the installation.
        since: when its nodes were started. Until kubelet has looked, a pod's status is that of before.
        timeout_seconds: how long it may take.
        console: where the progress is shown.

    Raises:
        PodsNotReadyError: it takes longer.
    """
    core: Any = CoreV1Api(client)
    deadline = time.monotonic() + timeout_seconds
    with console.status("waiting for pods") as status:
        while True:
            pods = core.list_namespaced_pod(namespace, label_selector=ALL_INSTANCES).items
            waiting = sorted(pod.metadata.name for pod in pods if not _is_ready(pod, since))
            if pods and not waiting:
                return
            if time.monotonic() > deadline:
                raise PodsNotReadyError(
                    f"not Ready {timeout_seconds:.0f} s after the nodes' start: {', '.join(waiting) or 'no pod yet'}"
                )
            status.update(f"waiting for {', '.join(waiting) or 'pods'}")
            time.sleep(_POLL_SECONDS)


def _is_ready(pod: Any, since: datetime.datetime) -> bool:
    # One that has ended is not started again; where it must be, its controller makes another.
    if pod.status.phase in ("Succeeded", "Failed"):
        return True
    statuses: list[Any] = pod.status.container_statuses or []
    # The API gives whole seconds.
    earliest = since.replace(microsecond=0)
    return bool(statuses) and all(
        status.ready and status.state.running and status.state.running.started_at >= earliest for status in statuses
    )
