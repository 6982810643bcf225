"""The nodes of a GKE node pool: as many as asked for, and changed one by one, a new one before each old one goes."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, cast

from kubernetes.client.api.core_v1_api import CoreV1Api
from kubernetes.client.api_client import ApiClient
from kubernetes.client.exceptions import ApiException

from local.api.errors import is_missing
from local.cluster.control_plane import Cluster
from local.ledger.disk_driver import attachments
from local.nodes.objects import MAXIMUM_NODES, POOL_LABEL, NodeShape, node_manifest
from local.tools.catalog import TOOLS

_SHAPE_ANNOTATION: Final = "dragonfly.local/shape"
"""Says what a node was made from, so that one of another shape is known."""

_NAME_LIMIT: Final = 63
_READY_SECONDS: Final = 30.0
_DRAIN_SECONDS: Final = 15.0
"""How long a node's pods may resist eviction: GKE gives them an hour."""

_POLL_SECONDS: Final = 0.1


class NodePoolError(RuntimeError):
    """The nodes cannot be made."""


@dataclass(frozen=True)
class NodePool:
    """What a pool's nodes should be.

    Attributes:
        cluster: the cluster's name.
        name: the pool's name.
        shape: what its nodes have in common.
        zones: where they are.
        per_zone: number of nodes in each zone.
        surge: nodes beyond that number while nodes are replaced; 0 takes an old one away first.
        revision: changes with everything else that needs new nodes.
    """

    cluster: str
    name: str
    shape: NodeShape
    zones: Sequence[str]
    per_zone: int
    surge: int = 1
    revision: str = ""


def apply_pool(plane: Cluster, client: ApiClient, pool: NodePool, progress: Callable[[str], None]) -> None:
    """Make the cluster have exactly the pool's nodes.

    Args:
        plane: the cluster, which runs.
        client: of its administrator.
        pool: what it should be.
        progress: told in a few words what goes on.

    Raises:
        NodePoolError: there are too many nodes.
        ProcessError: a node does not become Ready.
        ApiException: the API server refuses.
    """
    fingerprint = _fingerprint(pool)
    for zone in pool.zones:
        current = [node for node in _nodes(client, pool.name) if _zone(node) == zone]
        new = [node for node in current if _annotation(node) == fingerprint]
        # What is too many goes, first of the old shape.
        ordered = sorted(current, key=lambda node: node not in new)
        for node in ordered[: max(0, len(current) - pool.per_zone)]:
            _retire(client, _name(node))
            current.remove(node)
        missing = [_create(client, pool, zone) for _ in range(pool.per_zone - len(current))]
        plane.wait_for_nodes(client, missing, _READY_SECONDS)
        old = [node for node in current if _annotation(node) != fingerprint]
        for number, node in enumerate(old, 1):
            progress(f"upgrading node {number} of {len(old)} in {zone}")
            if pool.surge > 0:
                plane.wait_for_nodes(client, [_create(client, pool, zone)], _READY_SECONDS)
                _retire(client, _name(node))
            else:
                _retire(client, _name(node))
                plane.wait_for_nodes(client, [_create(client, pool, zone)], _READY_SECONDS)


def remove_pool(client: ApiClient, name: str) -> None:
    """Take a pool's nodes away, with their pods.

    Args:
        client: of an administrator.
        name: the pool's name.

    Raises:
        ApiException: the API server refuses.
    """
    for node in _nodes(client, name):
        _delete_node(client, _name(node))


def _create(client: ApiClient, pool: NodePool, zone: str) -> str:
    core: Any = CoreV1Api(client)
    taken = {int(str(node.spec.pod_cidr).split(".")[2]) for node in core.list_node().items}
    free = next((index for index in range(MAXIMUM_NODES) if index not in taken), None)
    if free is None:
        raise NodePoolError(f"the stand-in cloud has room for {MAXIMUM_NODES} nodes in a cluster")
    digest = hashlib.sha256(f"{pool.cluster}/{pool.name}/{zone}".encode()).hexdigest()[:8]
    ending = f"-{digest}-{secrets.token_hex(2)}"
    name = f"gke-{pool.cluster}-{pool.name}"[: _NAME_LIMIT - len(ending)] + ending
    version = TOOLS["kubernetes"].version
    manifest = node_manifest(free, pool.shape, version, name=name, zone=zone)
    manifest["metadata"]["annotations"][_SHAPE_ANNOTATION] = _fingerprint(pool)
    core.create_node(manifest)
    return name


def _retire(client: ApiClient, name: str) -> None:
    """Drain a node as GKE does before it takes one away, and delete it."""
    core: Any = CoreV1Api(client)
    core.patch_node(name, {"spec": {"unschedulable": True}})
    deadline = time.monotonic() + _DRAIN_SECONDS
    while time.monotonic() < deadline:
        movable = [pod for pod in _pods(core, name) if not _of_daemon_set(pod)]
        attached = [attachment for attachment in attachments(client) if attachment.node == name]
        if not movable and not attached:
            break
        for pod in movable:
            _evict(core, pod)
        time.sleep(_POLL_SECONDS)
    _delete_node(client, name)


def _evict(core: Any, pod: Any) -> None:
    metadata = {"name": pod.metadata.name, "namespace": pod.metadata.namespace}
    try:
        core.create_namespaced_pod_eviction(
            pod.metadata.name,
            pod.metadata.namespace,
            {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata},
        )
    except ApiException as error:
        # 429: a disruption budget says not yet.
        if not is_missing(error) and cast(Any, error).status != 429:
            raise


def _delete_node(client: ApiClient, name: str) -> None:
    core: Any = CoreV1Api(client)
    core.delete_node(name)
    # With the machine its pods are gone; nobody is left to confirm their end.
    for pod in _pods(core, name):
        try:
            core.delete_namespaced_pod(pod.metadata.name, pod.metadata.namespace, grace_period_seconds=0)
        except ApiException as error:
            if not is_missing(error):
                raise


def _pods(core: Any, node: str) -> list[Any]:
    return list(core.list_pod_for_all_namespaces(field_selector=f"spec.nodeName={node}").items)


def _of_daemon_set(pod: Any) -> bool:
    owners = cast("list[Any]", pod.metadata.owner_references or [])
    return any(owner.kind == "DaemonSet" for owner in owners)


def _nodes(client: ApiClient, pool: str) -> list[Any]:
    return list(cast(Any, CoreV1Api(client)).list_node(label_selector=f"{POOL_LABEL}={pool}").items)


def _fingerprint(pool: NodePool) -> str:
    document = json.dumps([asdict(pool.shape), pool.revision], sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()[:16]


def _annotation(node: Any) -> str:
    return cast("dict[str, str]", node.metadata.annotations or {}).get(_SHAPE_ANNOTATION, "")


def _zone(node: Any) -> str:
    return str(node.metadata.labels["topology.kubernetes.io/zone"])


def _name(node: Any) -> str:
    return str(node.metadata.name)
