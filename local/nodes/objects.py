"""Nodes that kwok plays: as large as GKE nodes of a machine type, with nothing behind them.

kwok keeps their heartbeat and walks their pods through their life with stages of its own: a pod bound to such a node
becomes Ready at once (init containers completed), a Job's pod succeeds, a deleted pod goes at once. Whether pods fit is
judged by the real scheduler.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from kubernetes.client.api.coordination_v1_api import CoordinationV1Api
from kubernetes.client.api.core_v1_api import CoreV1Api
from kubernetes.client.api_client import ApiClient

from dragonfly.google.machine_types import DEFAULT_BOOT_DISK_GIB, GIB, MachineType, allocatable

MAXIMUM_NODES = 200
"""Bounded by the addresses given to nodes and pods below."""

SELECTOR = "kwok.x-k8s.io/node=fake"
"""Annotation of the nodes that kwok manages (kwok documentation, "Manage Nodes and Pods")."""

ZONE = "us-west1-a"
"""Zone the nodes claim to be in: the guide's."""

POOL_LABEL = "cloud.google.com/gke-nodepool"
"""Label with the name of a node's pool (GKE documentation, "About node pools")."""

_SELECTOR_KEY, _SELECTOR_VALUE = SELECTOR.split("=")
_CONTROLLER_ATTACHES = "volumes.kubernetes.io/controller-managed-attach-detach"
"""Annotation of nodes (Kubernetes documentation, "Well-known labels")."""

_NOT_READY_TAINTS = "node.kubernetes.io/"
"""Begins the keys of the taints that Kubernetes itself sets (Kubernetes documentation, "Well-known labels")."""

_LEASES = "kube-node-lease"
_MERGE_PATCH = "application/merge-patch+json"


def node_name(index: int) -> str:
    """Return the name of a node by its number, from 0 on."""
    return f"node-{index + 1}"


@dataclass(frozen=True)
class NodeShape:
    """What the nodes of one pool have in common.

    Attributes:
        machine_type: gives capacity, allocatable and a label.
        pool: the node pool's name.
        boot_disk_gib: size of the boot disk in GiB.
        labels: labels besides those that every node has.
        taints: taints as in a node's spec.
    """

    machine_type: MachineType
    pool: str = "default-pool"
    boot_disk_gib: int = DEFAULT_BOOT_DISK_GIB
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    taints: Sequence[Mapping[str, str]] = ()


def node_manifest(
    index: int, shape: NodeShape, kubernetes_version: str, *, name: str | None = None, zone: str = ZONE
) -> dict[str, Any]:
    """Describe a node as its kubelet would register it.

    Addresses are of TEST-NET-1 (RFC 5737), which leads nowhere: loopback ones are refused as endpoints of Services.

    Args:
        index: the node's number, from 0 to `MAXIMUM_NODES` - 1.
        shape: what it has in common with its pool.
        kubernetes_version: `v1.36.3`, told as the kubelet's.
        name: its name, unless it is the one that follows from its number.
        zone: where it claims to be.
    """
    name = name or node_name(index)
    machine_type = shape.machine_type
    pods_range = f"10.244.{index}.0/24"
    room = allocatable(machine_type, shape.boot_disk_gib)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            # As a kubelet leaves it to the controllers to attach volumes.
            "annotations": {_SELECTOR_KEY: _SELECTOR_VALUE, _CONTROLLER_ATTACHES: "true"},
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "node.kubernetes.io/instance-type": machine_type.name,
                "topology.kubernetes.io/region": zone.rpartition("-")[0],
                "topology.kubernetes.io/zone": zone,
                # Of the disk driver on the node (GKE documentation, "Persistent volumes": topology).
                "topology.gke.io/zone": zone,
                POOL_LABEL: shape.pool,
                **shape.labels,
            },
        },
        "spec": {
            "podCIDR": pods_range,
            "podCIDRs": [pods_range],
            **({"taints": [dict(taint) for taint in shape.taints]} if shape.taints else {}),
        },
        "status": {
            "capacity": {
                "cpu": str(machine_type.vcpus),
                "memory": str(int(machine_type.memory_gib * GIB)),
                "ephemeral-storage": str(room.ephemeral_storage_bytes),
                "pods": str(room.pods),
            },
            "allocatable": {
                "cpu": f"{room.cpu_millicores}m",
                "memory": str(room.memory_bytes),
                "ephemeral-storage": str(room.ephemeral_storage_bytes),
                "pods": str(room.pods),
            },
            "addresses": [
                {"type": "InternalIP", "address": f"192.0.2.{index + 1}"},
                {"type": "Hostname", "address": name},
            ],
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "kwok",
                "kernelVersion": "kwok",
                "kubeProxyVersion": kubernetes_version,
                "kubeletVersion": kubernetes_version,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "kwok",
                "systemUUID": "",
            },
        },
    }


def apply_nodes(client: ApiClient, count: int, machine_type: MachineType, kubernetes_version: str) -> None:
    """Make the cluster have exactly these nodes: missing ones are created, others changed or removed.

    Args:
        client: of an administrator.
        count: how many nodes, 1 to `MAXIMUM_NODES`.
        machine_type: of every node.
        kubernetes_version: `v1.36.3`.

    Raises:
        ApiException: the API server refuses.
    """
    core = CoreV1Api(client)
    shape = NodeShape(machine_type)
    wanted = {node_name(index): node_manifest(index, shape, kubernetes_version) for index in range(count)}
    existing = {_name(node) for node in core.list_node().items}
    for name in existing - wanted.keys():
        core.delete_node(name)
    for name, manifest in wanted.items():
        if name in existing:
            _patch(core, name, manifest)
        else:
            core.create_node(cast(Any, manifest))


def node_count(client: ApiClient) -> int:
    """Return how many nodes there are, Ready or not.

    Args:
        client: of an administrator.

    Raises:
        ApiException: the API server refuses.
    """
    return len(CoreV1Api(client).list_node().items)


def forget_heartbeats(client: ApiClient) -> None:
    """Remove the heartbeats of an earlier run: kwok leaves a node alone for as long as another kwok seems to hold it.

    Args:
        client: of an administrator.

    Raises:
        ApiException: the API server refuses.
    """
    CoordinationV1Api(client).delete_collection_namespaced_lease(_LEASES)


def node_faults(client: ApiClient, since: datetime.datetime) -> dict[str, str]:
    """Return of each node by its name why pods cannot run on it now, an empty text where they can.

    They can when it is Ready, without the taint of nodes which are not, and when its heartbeat is of this run: a
    cluster that was stopped comes back with the nodes' last state, Ready for as long as nobody looks.

    Args:
        client: of an administrator.
        since: when kwok was started, with time zone.

    Raises:
        ApiException: the API server refuses.
    """
    leases = CoordinationV1Api(client).list_namespaced_lease(_LEASES).items
    renewed = {_name(lease): lease.spec.renew_time for lease in leases if lease.spec}
    faults: dict[str, str] = {}
    for node in CoreV1Api(client).list_node().items:
        conditions = (node.status.conditions if node.status else None) or []
        taints = (node.spec.taints if node.spec else None) or []
        found = [str(taint.key) for taint in taints if str(taint.key).startswith(_NOT_READY_TAINTS)]
        if not any(condition.type == "Ready" and condition.status == "True" for condition in conditions):
            found.append("not Ready")
        heartbeat = renewed.get(_name(node))
        if heartbeat is None or heartbeat < since:
            found.append("no heartbeat")
        faults[_name(node)] = ", ".join(found)
    return faults


def _patch(core: CoreV1Api, name: str, manifest: dict[str, Any]) -> None:
    body = {"metadata": manifest["metadata"]}
    cast(Any, core).patch_node(name, body, _content_type=_MERGE_PATCH)
    status = {"status": {key: manifest["status"][key] for key in ("capacity", "allocatable", "nodeInfo")}}
    cast(Any, core).patch_node_status(name, status, _content_type=_MERGE_PATCH)


def _name(node: Any) -> str:
    return str(node.metadata.name)
