"""What GKE's own pods take of every node, so that a node has no more room for ours than a real one."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

from kubernetes.client.api.apps_v1_api import AppsV1Api
from kubernetes.client.api_client import ApiClient
from kubernetes.client.exceptions import ApiException

from dragonfly.settings.node_pool_capacity import SYSTEM_PODS_OF_A_NODE

_NAMESPACE = "kube-system"
_NAME = "gke-system-pods"


def apply_system_pods(client: ApiClient) -> None:
    """Declare a DaemonSet whose pods request what GKE's system DaemonSets request together; an existing one is kept."""
    labels = {"k8s-app": _NAME}
    manifest = {
        "metadata": {"name": _NAME, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    # They come first on a real node too, and stay when room gets scarce.
                    "priorityClassName": "system-node-critical",
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [
                        {
                            "name": "system",
                            "image": "gke-system",
                            "resources": {
                                "requests": {
                                    "cpu": f"{SYSTEM_PODS_OF_A_NODE.cpu_millicores}m",
                                    "memory": str(SYSTEM_PODS_OF_A_NODE.memory_bytes),
                                }
                            },
                        }
                    ],
                },
            },
        },
    }
    apps: Any = AppsV1Api(client)
    try:
        apps.create_namespaced_daemon_set(_NAMESPACE, manifest)
    except ApiException as error:
        if cast("int", error.status) != HTTPStatus.CONFLICT:
            raise
