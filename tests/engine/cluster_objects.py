"""Questions to the API server that several tests ask."""

from __future__ import annotations

import base64
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from kubernetes import client
from kubernetes.client.api_client import ApiClient


def names(listed: Any) -> set[str]:
    """Names of the objects of a list response."""
    return {cast("str", item.metadata.name) for item in listed.items}


def objects_by_kind(api: ApiClient, namespace: str) -> dict[str, set[str]]:
    """Names of the objects that the program declares in a namespace, by kind; what Kubernetes adds itself left out."""
    core: Any = client.CoreV1Api(api)
    apps: Any = client.AppsV1Api(api)
    custom: Any = client.CustomObjectsApi(api)
    try:
        listed = custom.list_namespaced_custom_object("app.k8s.io", "v1beta1", namespace, "applications")
        applications = cast("list[dict[str, Any]]", listed["items"])
    except client.ApiException as error:
        if cast("int", error.status) != 404:
            raise
        applications = []
    return {
        "Deployment": names(apps.list_namespaced_deployment(namespace)),
        "StatefulSet": names(apps.list_namespaced_stateful_set(namespace)),
        "DaemonSet": names(apps.list_namespaced_daemon_set(namespace)),
        "Service": names(core.list_namespaced_service(namespace)) - {"kubernetes"},
        "Secret": names(core.list_namespaced_secret(namespace)),
        "PersistentVolumeClaim": names(core.list_namespaced_persistent_volume_claim(namespace)),
        "Application": {application["metadata"]["name"] for application in applications},
    }


def generations(api: ApiClient, namespace: str) -> dict[str, int]:
    """How often each workload's spec has changed, by the workload's name."""
    apps: Any = client.AppsV1Api(api)
    return {
        workload.metadata.name: workload.metadata.generation
        for listed in (
            apps.list_namespaced_deployment(namespace),
            apps.list_namespaced_stateful_set(namespace),
            apps.list_namespaced_daemon_set(namespace),
        )
        for workload in listed.items
    }


def unready_pods(api: ApiClient, namespace: str) -> list[str]:
    """Names of the pods that are neither Ready nor done."""
    core: Any = client.CoreV1Api(api)
    return [
        pod.metadata.name
        for pod in core.list_namespaced_pod(namespace).items
        if pod.status.phase != "Succeeded" and not _is_ready(pod)
    ]


def _is_ready(pod: Any) -> bool:
    # A pod that was made just now has none.
    conditions: list[Any] = pod.status.conditions or []
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)


def secret_values(api: ApiClient, namespace: str, name: str) -> dict[str, str]:
    """What a Secret holds, decoded."""
    core: Any = client.CoreV1Api(api)
    data = cast("dict[str, str]", core.read_namespaced_secret(name, namespace).data)
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def volumes_of(api: ApiClient, namespace: str) -> set[str]:
    """Names of the volumes that are or were bound to claims of a namespace."""
    core: Any = client.CoreV1Api(api)
    return {
        volume.metadata.name
        for volume in core.list_persistent_volume().items
        if volume.spec.claim_ref and volume.spec.claim_ref.namespace == namespace
    }


@contextmanager
def no_room(api: ApiClient, resource: str = "pods", amount: str = "0") -> Generator[None]:
    """Lets no pod be scheduled for a while, so that an update waits; every node gets back what it had.

    An extended resource that no node has cannot be asked of our pods, and peers tolerate every taint.

    Args:
        api: of the nodes' cluster.
        resource: of which each node has too little for us, `pods` or `memory`.
        amount: how much it has of it.
    """
    core: Any = client.CoreV1Api(api)
    before = {node.metadata.name: node.status.allocatable[resource] for node in core.list_node().items}

    def set_amounts(amounts: dict[str, str]) -> None:
        for name, each in amounts.items():
            core.patch_node_status(name, {"status": {"allocatable": {resource: each}}})

    set_amounts(dict.fromkeys(before, amount))
    try:
        yield
    finally:
        set_amounts(before)
