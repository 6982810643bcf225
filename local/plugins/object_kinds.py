"""Which kinds Kubernetes itself serves, under which name and scope: saves asking the API server for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Kind:
    """How a kind is addressed: its API version as objects state it, its plural and whether it lives in namespaces."""

    api_version: str
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str = "") -> str:
        """Return the URL path of one object, or of the collection where the name is empty."""
        root = "/api" if "/" not in self.api_version else "/apis"
        scope = f"/namespaces/{namespace or 'default'}" if self.namespaced else ""
        return f"{root}/{self.api_version}{scope}/{self.plural}" + (f"/{name}" if name else "")


_NAMESPACED: Final[dict[str, str]] = {
    "v1": "ConfigMap Endpoints Event LimitRange PersistentVolumeClaim Pod ReplicationController ResourceQuota Secret "
    "Service ServiceAccount",
    "apps/v1": "DaemonSet Deployment ReplicaSet StatefulSet",
    "batch/v1": "CronJob Job",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "discovery.k8s.io/v1": "EndpointSlice",
    "networking.k8s.io/v1": "Ingress NetworkPolicy",
    "policy/v1": "PodDisruptionBudget",
    "rbac.authorization.k8s.io/v1": "Role RoleBinding",
}
_CLUSTER_WIDE: Final[dict[str, str]] = {
    "v1": "Namespace Node PersistentVolume",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding",
    "scheduling.k8s.io/v1": "PriorityClass",
    "storage.k8s.io/v1": "StorageClass",
}


def _plural(kind: str) -> str:
    lower = kind.lower()
    if lower == "endpoints":
        return lower
    if lower.endswith("y"):
        return f"{lower[:-1]}ies"
    return f"{lower}es" if lower.endswith("s") else f"{lower}s"


BUILT_IN: Final[dict[tuple[str, str], Kind]] = {
    (api_version, kind): Kind(api_version, _plural(kind), namespaced)
    for table, namespaced in ((_NAMESPACED, True), (_CLUSTER_WIDE, False))
    for api_version, kinds in table.items()
    for kind in kinds.split()
}
"""Kinds that every API server of the versions in use serves."""


def is_built_in(api_version: str) -> bool:
    """Tell whether the API version is Kubernetes' own, and so no custom resource's: `v1`, `apps/v1`, `*.k8s.io/...`.

    `app.k8s.io` is the exception: the Application kind is a custom resource in spite of its name.
    """
    group = api_version.partition("/")[0] if "/" in api_version else ""
    return "." not in group or (group.endswith(".k8s.io") and group != "app.k8s.io")
