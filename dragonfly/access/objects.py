"""What the cluster says of one instance: its objects as the API server gives them, and its containers' logs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote

from kubernetes.client import ApiClient, ApiException
from urllib3.exceptions import HTTPError

from dragonfly.access.port_forward import page_of_pod
from dragonfly.parts.labels import instance_selector

Object = Mapping[str, Any]
"""A Kubernetes object as JSON has it."""


def listed(object_: Object, key: str) -> list[Object]:
    """Return a list in the status of an object; Kubernetes leaves out what is empty."""
    return object_.get("status", {}).get(key) or []


_REQUEST_SECONDS = 10.0
# An API server asks the node's kubelet for a log, and waits for one that does not answer.
_LOG_SECONDS = 3.0
# What a database says of why it ends, from its first error to the last line.
_LOG_LINES = 50
_MYSQL_ERROR = "[ERROR]"
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404
_WORKLOADS = {
    "Deployment": ("apis/apps/v1", "deployments"),
    "StatefulSet": ("apis/apps/v1", "statefulsets"),
    "DaemonSet": ("apis/apps/v1", "daemonsets"),
    "Job": ("apis/batch/v1", "jobs"),
}


class NoClusterError(RuntimeError):
    """The cluster cannot be asked; the message says what it answered, if anything."""


class _RefusalError(NoClusterError):
    """The cluster answered, but not with what was asked for."""


class _ForbiddenError(_RefusalError):
    """The user may not see it."""


@dataclass(frozen=True)
class ClusterObjects:
    """The objects of one instance.

    Attributes:
        workloads: Deployments, StatefulSets, DaemonSets and Jobs, each with its kind.
        network_policies: None where the user may not list them.
        events: of the whole namespace; none where the user may not list them.
        nodes: of the cluster; none where the user may not list them.
    """

    workloads: list[Object] = field(default_factory=list[Object])
    pods: list[Object] = field(default_factory=list[Object])
    claims: list[Object] = field(default_factory=list[Object])
    services: list[Object] = field(default_factory=list[Object])
    network_policies: list[Object] | None = None
    events: list[Object] = field(default_factory=list[Object])
    nodes: list[Object] = field(default_factory=list[Object])


class Cluster:
    """The cluster, whose words are repeated without the instance's secrets."""

    def __init__(self, client: ApiClient, namespace: str, secrets: Iterable[str]) -> None:
        """Take a client; nothing is asked yet.

        Args:
            client: of the API server.
            namespace: the instance's.
            secrets: masked in logs and messages.
        """
        self._client = client
        self._namespace = namespace
        # The longest first: one may begin with another.
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)

    @property
    def url(self) -> str:
        """The API server's."""
        return cast("str", cast("Any", self._client).configuration.host)

    def has_namespace(self, seconds: float) -> bool:
        """Ask whether the instance's namespace exists; one that the user may not see counts as existing.

        Args:
            seconds: how long the answer may take.

        Raises:
            NoClusterError: there is no answer, or the credential is refused.
        """
        status, _ = self._get(f"api/v1/namespaces/{quote(self._namespace)}", {}, seconds)
        if status == _UNAUTHORIZED:
            raise NoClusterError(f"{self.url} refuses the credential of the kubeconfig")
        return status != _NOT_FOUND

    def annotations(self, api_version: str, kind: str, name: str) -> dict[str, str] | None:
        """Read an object's annotations, in the namespace, or beside it if that is empty.

        Args:
            api_version: group and version, as in the object.
            kind: its kind, with a regular plural.
            name: its name.

        Returns:
            None where there is no such object, or one that is being deleted.

        Raises:
            NoClusterError: there is no answer, or a refusal.
        """
        group = f"apis/{api_version}" if "/" in api_version else f"api/{api_version}"
        namespace = f"namespaces/{quote(self._namespace)}/" if self._namespace else ""
        plural = re.sub("y$", "ie", kind.lower()) + "s"
        status, text = self._get(f"{group}/{namespace}{plural}/{quote(name)}", {}, _REQUEST_SECONDS)
        if status == _NOT_FOUND:
            return None
        if status != _OK:
            raise NoClusterError(f"{self.url} does not show {kind} {name} ({status}): {_message(text)}")
        if "deletionTimestamp" in (metadata := json.loads(text)["metadata"]):
            return None
        return cast("dict[str, str]", metadata.get("annotations", {}))

    def serves(self, api_version: str, kind: str) -> bool:
        """Ask whether the cluster has a kind.

        Args:
            api_version: its group and version, as in an object.
            kind: its name.

        Raises:
            NoClusterError: there is no answer, or a refusal.
        """
        status, text = self._get(f"apis/{api_version}", {}, _REQUEST_SECONDS)
        if status == _NOT_FOUND:
            return False
        if status != _OK:
            raise NoClusterError(f"{self.url} does not show {api_version} ({status}): {_message(text)}")
        return any(resource["kind"] == kind for resource in json.loads(text)["resources"])

    def storage_classes(self) -> set[str] | None:
        """Read the names of the StorageClasses.

        Returns:
            None where the user may not list them.

        Raises:
            NoClusterError: there is no answer.
        """
        return self._names("apis/storage.k8s.io/v1", "storageclasses", lambda one: one["metadata"]["name"])

    def volume_classes(self) -> set[str] | None:
        """Read the classes of the volumes: one that was made by hand may be of a class that is no object.

        See "Persistent Volumes", "Class" in Kubernetes' documentation.

        Returns:
            None where the user may not list the volumes.

        Raises:
            NoClusterError: there is no answer.
        """
        return self._names("api/v1", "persistentvolumes", lambda one: one["spec"].get("storageClassName", ""))

    def _names(self, group: str, plural: str, name: Callable[[Object], object]) -> set[str] | None:
        try:
            return {str(name(one)) for one in self._list(group, plural, {}, in_namespace=False)} - {""}
        except _RefusalError:
            return None

    def workload(self, kind: str, name: str) -> Object | None:
        """Read a workload.

        Args:
            kind: Deployment, StatefulSet, DaemonSet or Job.
            name: its name.

        Returns:
            None where there is none of that name.

        Raises:
            NoClusterError: there is no answer, or a refusal.
        """
        status, text = self._get(self._workload_path(kind, name), {}, _REQUEST_SECONDS)
        if status == _NOT_FOUND:
            return None
        if status != _OK:
            raise _RefusalError(f"{self.url} does not show {kind} {name} ({status}): {_message(text)}")
        return cast("Object", json.loads(text))

    def pods(self, labels: Mapping[str, str]) -> list[Object]:
        """Read the pods with some labels, those that are about to go too.

        Args:
            labels: the labels.

        Raises:
            NoClusterError: there is no answer, or a refusal.
        """
        return self._list("api/v1", "pods", {"labelSelector": _selector(labels)})

    def scale(self, deployment: str, replicas: int) -> None:
        """Let a Deployment, if there is one of that name, have so many pods.

        Args:
            deployment: its name.
            replicas: how many.

        Raises:
            NoClusterError: there is no answer, or a refusal.
        """
        path = f"{self._workload_path('Deployment', deployment)}/scale"
        status, text = self._ask("PATCH", path, {}, _REQUEST_SECONDS, {"spec": {"replicas": replicas}})
        if status not in (_OK, _NOT_FOUND):
            raise _RefusalError(f"{self.url} does not scale Deployment {deployment} ({status}): {_message(text)}")

    def delete_job(self, name: str) -> None:
        """Delete a Job, if there is one of that name, and its pods.

        Args:
            name: its name.

        Raises:
            NoClusterError: there is no answer, or a refusal.
        """
        path = self._workload_path("Job", name)
        status, text = self._ask("DELETE", path, {"propagationPolicy": "Background"}, _REQUEST_SECONDS, None)
        if status not in (_OK, _NOT_FOUND):
            raise _RefusalError(f"{self.url} does not delete Job {name} ({status}): {_message(text)}")

    def read(self, app: str) -> ClusterObjects:
        """Ask for everything that tells how an instance is.

        Args:
            app: the instance's name.

        Raises:
            NoClusterError: there is no answer, or a refusal.
        """
        own = {"labelSelector": _selector(instance_selector(app))}
        return ClusterObjects(
            workloads=[
                {**each, "kind": kind}
                for kind, (group, plural) in _WORKLOADS.items()
                for each in self._list(group, plural, own)
            ],
            pods=self._list("api/v1", "pods", own),
            claims=self._list("api/v1", "persistentvolumeclaims", own),
            services=self._list("api/v1", "services", own),
            network_policies=self._if_shown("apis/networking.k8s.io/v1", "networkpolicies", own),
            events=self._list("api/v1", "events", {}, optional=True),
            nodes=self._list("api/v1", "nodes", {}, in_namespace=False, optional=True),
        )

    def last_log_line(self, pod: str, container: str, *, previous: bool) -> str | None:
        """Return the last line that a container wrote, None where there is none to be had.

        Of MySQL, which ends with "Aborting", it is the first that tells of an error ("MySQL 8.0 Reference Manual",
        "Error Log Output Format").

        Args:
            pod: its pod's name.
            container: its name.
            previous: whether the container is meant that ran before the present one.
        """
        lines = self.log_lines(pod, container, previous=previous)
        return next((line for line in lines if _MYSQL_ERROR in line), lines[-1]) if lines else None

    def log_lines(self, pod: str, container: str, *, previous: bool = False) -> list[str] | None:
        """Return the last lines that a container wrote; None where its log cannot be had.

        Args:
            pod: its pod's name.
            container: its name.
            previous: whether the container is meant that ran before the present one.
        """
        path = f"api/v1/namespaces/{quote(self._namespace)}/pods/{quote(pod)}/log"
        query = {"container": container, "previous": str(previous).lower(), "tailLines": str(_LOG_LINES)}
        try:
            status, text = self._get(path, query, _LOG_SECONDS)
        except NoClusterError:
            return None
        if status != _OK:
            return None
        return [self._masked(line.strip()) for line in text.splitlines() if line.strip()]

    def page_of_pod(self, pod: str, port: int, path: str) -> str:
        """Return what a pod serves; see `dragonfly.access.port_forward`.

        Args:
            pod: its name.
            port: where it listens.
            path: of the page.

        Raises:
            PageUnreadableError: no way leads there, or what answers is no page.
        """
        return page_of_pod(self._client, self._namespace, pod, port, path, _LOG_SECONDS)

    def _workload_path(self, kind: str, name: str) -> str:
        group, plural = _WORKLOADS[kind]
        return f"{group}/namespaces/{quote(self._namespace)}/{plural}/{quote(name)}"

    def _if_shown(self, group: str, plural: str, query: Mapping[str, str]) -> list[Object] | None:
        try:
            return self._list(group, plural, query)
        except _ForbiddenError:
            return None

    def _list(
        self, group: str, plural: str, query: Mapping[str, str], *, in_namespace: bool = True, optional: bool = False
    ) -> list[Object]:
        place = f"namespaces/{quote(self._namespace)}/{plural}" if in_namespace else plural
        status, text = self._get(f"{group}/{place}", query, _REQUEST_SECONDS)
        if status == _OK:
            return cast("list[Object]", json.loads(text, object_hook=self._masked_message)["items"])
        if optional and status == _FORBIDDEN:
            return []
        refusal = _ForbiddenError if status == _FORBIDDEN else _RefusalError
        raise refusal(f"{self.url} refuses to list {plural} with status {status}: {_message(text)}")

    def _get(self, path: str, query: Mapping[str, str], seconds: float) -> tuple[int, str]:
        """Return the status and the text of an answer."""
        return self._ask("GET", path, query, seconds, None)

    def _ask(self, method: str, path: str, query: Mapping[str, str], seconds: float, change: object) -> tuple[int, str]:
        client: Any = self._client
        patch = {} if change is None else {"Content-Type": "application/merge-patch+json"}
        request = client.param_serialize(
            method,
            f"/{path}",
            query_params=list(query.items()),
            header_params={"Accept": "application/json, */*", **patch},
            body=change,
            auth_settings=["BearerToken"],
        )
        try:
            response = client.call_api(*request, _request_timeout=seconds)
            text = cast("bytes", response.read()).decode(errors="replace")
        except (HTTPError, OSError, cast("type[Exception]", ApiException)) as error:
            raise NoClusterError(f"{self.url} does not answer: {_in_short(error)}") from None
        return cast("int", response.status), text

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text

    def _masked_message(self, value: dict[str, Any]) -> dict[str, Any]:
        # The one key under which Kubernetes tells what a program said. A name stays: a password may look like one.
        message = value.get("message")
        return {**value, "message": self._masked(message)} if isinstance(message, str) else value


def _selector(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:200]


def _in_short(error: Exception) -> str:
    # "<object at 0x...>: what happened", of the innermost: one is raised from another, or has it as reason or argument.
    reason = getattr(error, "reason", None)
    for inner in (error.__cause__, reason, *error.args[-1:]):
        if isinstance(inner, Exception):
            return _in_short(inner)
    return str(reason or error).rpartition(">: ")[2]
