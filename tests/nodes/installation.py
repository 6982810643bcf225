"""The program, installed on a cluster whose nodes run containers: what runs of it, and what it looked like at first."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubernetes import client
from kubernetes.client.api_client import ApiClient

from bench.readiness_timeline import ReadinessTimeline, readiness_timeline
from dragonfly.access.port_forward import PageUnreadableError
from dragonfly.lines.known_lines import line_of
from dragonfly.parts.names import Names
from local.cluster.control_plane import Cluster
from local.engine.stack import LocalStack
from tests.nodes.client_pod import CallError, ClientPod
from tests.nodes.container_signals import send_signal

NAMESPACE = "dragonfly"
APP = "dragonfly-1"
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Container:
    """One container of a pod, as it runs now.

    Attributes:
        id: containerd's; a container that is started again has another.
    """

    pod: str
    name: str
    node: str
    id: str
    restarts: int


# Its outputs hold passwords, which no message of a failed test may show.
@dataclass(repr=False)
class Installation:
    """One instance on one cluster.

    Attributes:
        timeline: when each pod of the first `up` was Ready.
        at_first: its containers when the first `up` was over, those of the Job too.
        pod_count: how many pods it has without the Job's.
        warnings: what Kubernetes complained of meanwhile.
        job: the Job that sets the console's password, as it was then.
        outputs: the stack's, secrets in plain text.
    """

    cluster: Cluster
    stack: LocalStack
    api: ApiClient
    client: ClientPod
    timeline: ReadinessTimeline = field(default_factory=ReadinessTimeline)
    at_first: list[Container] = field(default_factory=list[Container])
    pod_count: int = 0
    warnings: list[str] = field(default_factory=list[str])
    job: Any = None
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])

    names = Names(APP)

    @property
    def cache_seconds(self) -> int:
        """How long the manager may refuse a right password after somebody has signed in."""
        return line_of(self.stack.config["dragonfly:tag"]).password_cache_seconds

    def sign_in_faults(self) -> list[str]:
        """What is wrong with how the console answers its user; empty when it lets them in."""
        status = self.client.sign_in(self.outputs["consoleRootPassword"])
        return [] if status == 200 else [f"the console answers a sign-in with {status}"]

    def install(self) -> None:
        """Runs the first `up`."""
        self.stack.prepare()
        with readiness_timeline(self.cluster.kubeconfig) as self.timeline:
            self.stack.output("up", "--yes", "--skip-preview")
        self.warnings = self.find_warnings()
        self.at_first = self.containers(with_job=True)
        self.pod_count = len(self.pods())
        self.job = self.find_job()
        self.outputs = json.loads(self.stack.output("stack", "output", "--json", "--show-secrets"))

    def pods(self, *, with_job: bool = False) -> list[Any]:
        """The instance's pods, in the order of their names."""
        core: Any = client.CoreV1Api(self.api)
        label = "batch.kubernetes.io/job-name"
        listed = core.list_namespaced_pod(NAMESPACE, label_selector=None if with_job else f"!{label}").items
        return sorted(listed, key=lambda pod: pod.metadata.name)

    def containers(self, *, with_job: bool = False) -> list[Container]:
        """The instance's containers."""
        return [
            Container(pod.metadata.name, status.name, pod.spec.node_name, status.container_id, status.restart_count)
            for pod in self.pods(with_job=with_job)
            for status in _listed(pod.status.container_statuses)
        ]

    def find_warnings(self) -> list[str]:
        """Return the instance's events that are warnings, each in a line with its second."""
        core: Any = client.CoreV1Api(self.api)
        events = core.list_namespaced_event(NAMESPACE, field_selector="type=Warning").items
        return [f"{each.last_timestamp} {each.involved_object.name}: {each.message}" for each in events]

    def find_job(self) -> Any:
        """The Job that sets the console's password, or None."""
        batch: Any = client.BatchV1Api(self.api)
        jobs = batch.list_namespaced_job(NAMESPACE).items
        return next((job for job in jobs if job.metadata.name == self.names.root_password_job), None)

    def delete_job(self) -> None:
        """Delete that Job and its pod, as `kubectl delete job` does."""
        batch: Any = client.BatchV1Api(self.api)
        batch.delete_namespaced_job(self.names.root_password_job, NAMESPACE, propagation_policy="Background")

    def pod_of(self, workload: str) -> str:
        """Name of a pod of the component's workload; the first, where there are more."""
        return next(pod.metadata.name for pod in self.pods() if pod.metadata.name.startswith(f"{APP}-{workload}-"))

    def delete_pod(self, name: str) -> None:
        """Asks for the end of a pod, as `kubectl delete pod` does."""
        core: Any = client.CoreV1Api(self.api)
        core.delete_namespaced_pod(name, NAMESPACE)

    def delete_all_pods_by_force(self) -> None:
        """Forgets all pods without waiting for their end, as `kubectl delete pods --all --force` does."""
        core: Any = client.CoreV1Api(self.api)
        core.delete_collection_namespaced_pod(NAMESPACE, grace_period_seconds=0)

    def kill(self, container: Container) -> None:
        """Does `kill -9` to a container's first process."""
        send_signal(self.cluster, container.node, container.id, signal.SIGKILL)

    def exit_code(self, container: Container) -> int | None:
        """How a container ended that was started again since; None if it was not the last to end in its place."""
        core: Any = client.CoreV1Api(self.api)
        pod = core.read_namespaced_pod(container.pod, NAMESPACE)
        ended = [status.last_state.terminated for status in pod.status.container_statuses]
        return next((each.exit_code for each in ended if each and each.container_id == container.id), None)

    def unready(self, gone: set[str]) -> list[str]:
        """What is not yet as it should be; empty when every pod is Ready.

        Args:
            gone: ids of containers that must not be there any more: that their pods are Ready tells nothing yet.
        """
        pods = self.pods()
        faults = [f"{pod.metadata.name} is being deleted" for pod in pods if pod.metadata.deletion_timestamp]
        faults += [
            f"{pod.metadata.name} is not Ready"
            for pod in pods
            if not any(each.type == "Ready" and each.status == "True" for each in _listed(pod.status.conditions))
        ]
        faults += [f"{each.pod}/{each.name} is the old one" for each in self.containers() if each.id in gone]
        if len(pods) != self.pod_count:
            faults.append(f"{len(pods)} pods, not {self.pod_count}")
        return faults


def _listed(found: list[Any] | None) -> list[Any]:
    """The API's client has None for a list without members."""
    return found or []


def wait_for(seconds: float, faults: Callable[[], list[str]], what: str) -> float:
    """Waits until there are no faults, asked at least once; returns how long that took, in seconds.

    Raises:
        AssertionError: there are some still; with them.
    """
    started = time.monotonic()
    while True:
        try:
            found = faults()
        except (CallError, PageUnreadableError) as error:
            found = [str(error)]
        took = time.monotonic() - started
        if not found:
            return took
        assert took < seconds, f"{what}: not within {seconds:.0f} s: {'; '.join(found)}"
        time.sleep(POLL_SECONDS)
