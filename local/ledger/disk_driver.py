"""The driver of Google's disks inside a cluster: makes, grows, attaches and deletes disks of the stand-in cloud.

It keeps the contract of `pd.csi.storage.gke.io` with Kubernetes' external provisioner, attacher and resizer. A deleted
claim's disk goes some seconds later, as real ones do; it stays when the cluster, and with it this driver, goes first.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import urllib3
from kubernetes.client.api.core_v1_api import CoreV1Api
from kubernetes.client.api.storage_v1_api import StorageV1Api
from kubernetes.client.api_client import ApiClient
from kubernetes.client.exceptions import ApiException

from dragonfly.quantity import whole_gibibytes
from local.api.errors import in_short
from local.ledger.ledger import DISK, Entry, Ledger

DRIVER: Final = "pd.csi.storage.gke.io"
"""Name of the driver in StorageClasses and volumes (GKE documentation, "Compute Engine persistent disk CSI Driver")."""

DELETION_SECONDS: Final = 3.0
"""From the claim's end to the disk's: real ones take from a few seconds to a minute."""

_POLL_SECONDS: Final = 0.25
_SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
_ZONE_LABEL: Final = "topology.gke.io/zone"
_VOLUME_ZONE_LABEL: Final = "topology.kubernetes.io/zone"
_NO_DISK: Final = "disk-not-found"
"""Zone of a volume whose disk does not exist. No node is in it, so that no pod that mounts the volume ever runs."""
_HANDLE: Final = re.compile(r"projects/[^/]+/zones/(?P<zone>[^/]+)/disks/[^/]+")
_MERGE_PATCH: Final = "application/merge-patch+json"

_log = logging.getLogger("disks")


@dataclass(frozen=True)
class Attachment:
    """A disk on a node.

    Attributes:
        disk: the disk's ID.
        node: the node's name.
    """

    disk: str
    node: str


class DiskDriver:
    """The driver in one cluster; what is behind its volumes is in the ledger."""

    provisioner = DRIVER

    def __init__(self, client: ApiClient, ledger: Ledger, project: str, zone: str) -> None:
        """Work for one cluster.

        Args:
            client: of an administrator.
            ledger: the cloud's.
            project: the project whose disks they are.
            zone: of disks that are not made for a pod on a certain node.
        """
        # The typed methods take models only; patches are plain dictionaries here.
        self._core = cast(Any, CoreV1Api(client))
        self._storage = cast(Any, StorageV1Api(client))
        self._ledger, self._project, self._zone = ledger, project, zone

    def make(self, claim: Any, name: str) -> dict[str, Any]:
        """Enter a disk for a claim, in the zone of the node that its pod was placed on."""
        node = cast("dict[str, str]", claim.metadata.annotations or {}).get(_SELECTED_NODE)
        zone = self._zone
        if node:
            zone = str(self._core.read_node(node).metadata.labels[_ZONE_LABEL])
        handle = f"projects/{self._project}/zones/{zone}/disks/{name}"
        size = whole_gibibytes(str(claim.spec.resources.requests["storage"]))
        properties: dict[str, Any] = {"name": name, "project": self._project, "zone": zone, "size": size, "users": []}
        with self._ledger.change() as entries:
            entries.put(Entry(DISK, handle, properties))
        return {
            "csi": {"driver": DRIVER, "volumeHandle": handle, "fsType": "ext4"},
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": _ZONE_LABEL, "operator": "In", "values": [zone]}]}
                    ]
                }
            },
        }

    def grow(self, volume: Any, size: str) -> None:
        """Make a disk at least so large; one that is already, because the program's disk grew first, stays."""
        handle, wanted = _handle(volume), whole_gibibytes(size)
        with self._ledger.change() as entries:
            disk = entries.get(handle or "")
            if disk is not None and int(disk.properties["size"]) < wanted:
                entries.put(replace(disk, properties={**disk.properties, "size": wanted}))

    def remove(self, volume: Any) -> None:
        """Delete a claim's disk, after a while."""
        handle = _handle(volume)
        time.sleep(DELETION_SECONDS)
        if handle is not None:
            with self._ledger.change() as entries:
                entries.remove(handle)

    def look_after(self) -> None:
        """Attach disks to the nodes that ask for them, and keep pods from volumes without a disk."""
        while True:
            try:
                self._mark_volumes()
                self._attach()
            except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
                _log.warning("%s", in_short(error))
            time.sleep(_POLL_SECONDS)

    def _mark_volumes(self) -> None:
        disks = {disk.id for disk in self._ledger.read().of_type(DISK)}
        for volume in self._core.list_persistent_volume().items:
            handle = _handle(volume)
            if handle is None:
                continue
            labels = cast("dict[str, str]", volume.metadata.labels or {})
            marked = labels.get(_VOLUME_ZONE_LABEL) == _NO_DISK
            if marked == (handle not in disks):
                continue
            label = None if marked else _NO_DISK
            body = {"metadata": {"labels": {_VOLUME_ZONE_LABEL: label}}}
            self._core.patch_persistent_volume(volume.metadata.name, body, _content_type=_MERGE_PATCH)
            _log.info("%s: %s", volume.metadata.name, f"{handle} is there" if marked else f"{handle} not found")

    def _attach(self) -> None:
        for attachment in self._storage.list_volume_attachment().items:
            done = attachment.status is not None and attachment.status.attached
            if attachment.spec.attacher != DRIVER or done or attachment.metadata.deletion_timestamp is not None:
                continue
            name = str(attachment.spec.source.persistent_volume_name)
            handle = _handle(self._core.read_persistent_volume(name))
            fault = self._attachment_fault(handle, str(attachment.spec.node_name))
            if fault:
                status: dict[str, Any] = {"attached": False, "attachError": {"message": fault}}
            else:
                status = {"attached": True, "attachError": None}
            if fault and attachment.status is not None and attachment.status.attach_error is not None:
                continue
            self._storage.patch_volume_attachment_status(
                attachment.metadata.name, {"status": status}, _content_type=_MERGE_PATCH
            )
            _log.info("%s on %s: %s", handle, attachment.spec.node_name, fault or "attached")

    def _attachment_fault(self, handle: str | None, node: str) -> str | None:
        disk = self._ledger.read().get(handle or "")
        if disk is None:
            return f"rpc error: code = NotFound desc = Could not find disk {handle}"
        match = _HANDLE.fullmatch(disk.id)
        zone = str(self._core.read_node(node).metadata.labels[_ZONE_LABEL])
        if match is None or match["zone"] != zone:
            return f"rpc error: code = InvalidArgument desc = disk {handle} is not in zone {zone} of instance {node}"
        return None


def attachments(client: ApiClient) -> list[Attachment]:
    """Return which disks are on which nodes of a cluster.

    Args:
        client: of an administrator.

    Raises:
        ApiException: the API server refuses.
    """
    listed = cast(Any, CoreV1Api(client)).list_persistent_volume().items
    volumes = {volume.metadata.name: _handle(volume) for volume in listed}
    found: list[Attachment] = []
    for attachment in cast(Any, StorageV1Api(client)).list_volume_attachment().items:
        handle = volumes.get(attachment.spec.source.persistent_volume_name)
        if handle and attachment.status is not None and attachment.status.attached:
            found.append(Attachment(handle, str(attachment.spec.node_name)))
    return found


def _handle(volume: Any) -> str | None:
    csi = volume.spec.csi
    return str(csi.volume_handle) if csi is not None and csi.driver == DRIVER else None
