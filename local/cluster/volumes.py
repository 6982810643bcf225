"""The StorageClasses, and the controller that gives their claims their volumes.

The controller keeps the contract of Kubernetes' external provisioners (the sig-storage library that Google's disk
driver uses too): the volume binding controller asks for a volume by an annotation on the claim, at once or, with
`WaitForFirstConsumer`, when a pod was placed; the provisioner creates one bound to the claim in advance, grows it when
the claim grows, and deletes it when it was released. In a cluster of the stand-in cloud, volumes are disks in its
ledger (`local/ledger/disk_driver.py`); where nodes run containers, folders
(`local/nodes/containers/volume_directories.py`); elsewhere there is nothing behind them: the nodes are kwok's, and
nothing is ever mounted.

Run as a process: `python -m local.cluster.volumes --kubeconfig FILE --ready FILE`, with `--ledger FILE --project ID` or
`--directories DIR`.
"""

from __future__ import annotations

import argparse
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

import urllib3
from kubernetes import watch
from kubernetes.client.api.core_v1_api import CoreV1Api
from kubernetes.client.api.storage_v1_api import StorageV1Api
from kubernetes.client.api_client import ApiClient
from kubernetes.client.exceptions import ApiException

from dragonfly.quantity import parse_quantity
from local.api.errors import create_unless_exists, exists_already, in_short, is_missing
from local.api.kubeconfig import connect
from local.cluster.kinds import define_later
from local.ledger.disk_driver import DRIVER, DiskDriver
from local.ledger.ledger import Ledger
from local.nodes.containers.volume_directories import VolumeDirectories

STORAGE_CLASS = "standard"
"""Name of the class: the guide's default, and that of GKE's own class."""

_CLOUD_DEFAULT = "standard-rwo"
_CLOUD_CLASSES = {_CLOUD_DEFAULT: "WaitForFirstConsumer", "premium-rwo": "WaitForFirstConsumer"}
"""GKE's other classes and how they bind; the first is its default (GKE documentation, "About persistent volumes")."""

PROVISIONER = "dragonfly.local/volumes"
"""Names this controller on the class, its claims and its volumes where no cloud is played."""

_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_PROVISION_REQUESTED_OF = "volume.kubernetes.io/storage-provisioner"
_WATCH_SECONDS = 300
"""A watch ends after this; the list that follows repairs whatever was missed."""

_RETRY_SECONDS = 0.2
_LONGEST_RETRY_SECONDS = 5.0
_MERGE_PATCH = "application/merge-patch+json"

_log = logging.getLogger("volumes")


class Backing(Protocol):
    """What is behind the volumes."""

    @property
    def provisioner(self) -> str:
        """Its name in StorageClasses, claims and volumes."""
        ...

    def make(self, claim: Any, name: str) -> dict[str, Any]:
        """Make what a claim asks for; returns the fields of the volume's spec that tell where it is."""
        ...

    def grow(self, volume: Any, size: str) -> None:
        """Make it at least as large as a Kubernetes quantity."""
        ...

    def remove(self, volume: Any) -> None:
        """Remove it for good; may take seconds."""
        ...

    def look_after(self) -> None:
        """Do what is to be done besides, for ever."""
        ...


class Nothing:
    """Nothing is behind the volumes: nodes of kwok write no data."""

    provisioner = PROVISIONER

    def make(self, claim: Any, name: str) -> dict[str, Any]:
        """Name a path on the node."""
        del claim
        return {"hostPath": {"path": f"/var/lib/dragonfly-local/{name}"}}

    def grow(self, volume: Any, size: str) -> None:
        """Do nothing."""
        del volume, size

    def remove(self, volume: Any) -> None:
        """Do nothing."""
        del volume

    def look_after(self) -> None:
        """Do nothing."""


def storage_class_manifests(*, in_cloud: bool) -> list[dict[str, Any]]:
    """Describe the classes, as on GKE: growing is allowed, and volumes are deleted with their claims.

    Args:
        in_cloud: all of GKE's everyday classes, on its disk driver; otherwise the guide's one, bound at once.
    """
    binding = {STORAGE_CLASS: "Immediate", **(_CLOUD_CLASSES if in_cloud else {})}
    # GKE's default is one that waits for the pod's zone.
    default = _CLOUD_DEFAULT if in_cloud else STORAGE_CLASS
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": name,
                "annotations": {"storageclass.kubernetes.io/is-default-class": str(name == default).lower()},
            },
            "provisioner": DRIVER if in_cloud else PROVISIONER,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": mode,
            "allowVolumeExpansion": True,
        }
        for name, mode in binding.items()
    ]


def apply_storage_classes(client: ApiClient, *, in_cloud: bool) -> None:
    """Create the classes; one that exists is left as it is (most of its fields are immutable).

    Args:
        client: of an administrator.
        in_cloud: whether the stand-in cloud runs the cluster.

    Raises:
        ApiException: the API server refuses.
    """
    for manifest in storage_class_manifests(in_cloud=in_cloud):
        create_unless_exists(StorageV1Api(client).create_storage_class, manifest)


class VolumeController:
    """Watches claims and volumes and brings each into the state it should have; every step can be repeated."""

    def __init__(self, client: ApiClient, backing: Backing) -> None:
        """Work with the permissions of a client that may change claims' status and volumes."""
        self._backing = backing
        self._going: set[str] = set()
        self._core = CoreV1Api(client)
        # The typed methods take models only; patches and manifests are plain dictionaries here.
        self._untyped = cast(Any, self._core)
        self._class_grows = _class_lookup(StorageV1Api(client), backing.provisioner)
        self._listed = {"claims": threading.Event(), "volumes": threading.Event()}

    def run(self, ready: Path | None = None) -> None:
        """Work until the process is ended.

        Args:
            ready: written when all claims and volumes of before were looked at and both watches start.
        """
        loops = [
            threading.Thread(
                target=self._follow,
                args=("claims", self._untyped.list_persistent_volume_claim_for_all_namespaces, self._reconcile_claim),
                daemon=True,
            ),
            threading.Thread(
                target=self._follow,
                args=("volumes", self._untyped.list_persistent_volume, self._reconcile_volume),
                daemon=True,
            ),
        ]
        for loop in loops:
            loop.start()
        threading.Thread(target=self._backing.look_after, daemon=True).start()
        for event in self._listed.values():
            event.wait()
        if ready is not None:
            ready.touch()
        for loop in loops:
            loop.join()

    def _follow(self, what: str, list_all: Callable[..., Any], reconcile: Callable[[Any], None]) -> None:
        retry = _RETRY_SECONDS
        while True:
            try:
                listed = list_all()
                for item in listed.items:
                    reconcile(item)
                self._listed[what].set()
                self._watch(list_all, str(listed.metadata.resource_version), reconcile)
                retry = _RETRY_SECONDS
            except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
                # The server restarts, a watch is too old, or somebody changed the object first: list again.
                _log.warning("%s: %s; again in %.1f s", what, in_short(error), retry)
                time.sleep(retry)
                retry = min(2 * retry, _LONGEST_RETRY_SECONDS)

    def _watch(self, list_all: Callable[..., Any], version: str, reconcile: Callable[[Any], None]) -> None:
        # With a time limit the client does not reconnect by itself: after a break the version reached is taken up here,
        # and one that is too old raises, which leads to a new list.
        deadline = time.monotonic() + _WATCH_SECONDS
        while (left := int(deadline - time.monotonic())) > 0:
            stream = cast(Any, watch).Watch()
            events = stream.stream(list_all, resource_version=version, timeout_seconds=left, allow_watch_bookmarks=True)
            for event in events:
                if event["type"] in ("ADDED", "MODIFIED"):
                    reconcile(event["object"])
                version = stream.resource_version or version

    def _reconcile_claim(self, claim: Any) -> None:
        if claim.metadata.deletion_timestamp is not None:
            return
        annotations = _annotations(claim)
        if claim.spec.volume_name is None:
            if annotations.get(_PROVISION_REQUESTED_OF) == self._backing.provisioner:
                self._provision(claim)
        elif claim.status.phase == "Bound" and claim.spec.storage_class_name:
            self._grow(claim)

    def _provision(self, claim: Any) -> None:
        manifest = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": _volume_name(claim), "annotations": {_PROVISIONED_BY: self._backing.provisioner}},
            "spec": {
                "capacity": {"storage": claim.spec.resources.requests["storage"]},
                "accessModes": claim.spec.access_modes,
                "volumeMode": claim.spec.volume_mode,
                "storageClassName": claim.spec.storage_class_name,
                "persistentVolumeReclaimPolicy": "Delete",
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": claim.metadata.namespace,
                    "name": claim.metadata.name,
                    "uid": claim.metadata.uid,
                },
                **self._backing.make(claim, _volume_name(claim)),
            },
        }
        try:
            self._untyped.create_persistent_volume(manifest)
        except ApiException as error:
            if not exists_already(error):
                raise
            return
        _log.info("created %s for claim %s/%s", _volume_name(claim), claim.metadata.namespace, claim.metadata.name)

    def _grow(self, claim: Any) -> None:
        wanted = str(claim.spec.resources.requests["storage"])
        has = str(claim.status.capacity["storage"])
        if parse_quantity(wanted) <= parse_quantity(has) or not self._class_grows(str(claim.spec.storage_class_name)):
            return
        capacity = {"storage": wanted}
        self._backing.grow(self._untyped.read_persistent_volume(claim.spec.volume_name), wanted)
        self._untyped.patch_persistent_volume(
            claim.spec.volume_name, {"spec": {"capacity": capacity}}, _content_type=_MERGE_PATCH
        )
        # The claim's capacity follows the volume's, and the conditions that tell of the growing are over.
        self._untyped.patch_namespaced_persistent_volume_claim_status(
            claim.metadata.name,
            claim.metadata.namespace,
            {"status": {"capacity": capacity, "conditions": None}},
            _content_type=_MERGE_PATCH,
        )
        _log.info("grew %s from %s to %s", claim.spec.volume_name, has, wanted)

    def _reconcile_volume(self, volume: Any) -> None:
        annotations, name = _annotations(volume), str(volume.metadata.name)
        released = volume.status is not None and volume.status.phase == "Released"
        if (
            annotations.get(_PROVISIONED_BY) != self._backing.provisioner
            or name in self._going
            or not released
            or volume.spec.persistent_volume_reclaim_policy != "Delete"
            or volume.metadata.deletion_timestamp is not None
        ):
            return
        self._going.add(name)
        # What is behind it takes its time; other volumes do not wait for that.
        threading.Thread(target=self._remove, args=(volume, name), daemon=True).start()

    def _remove(self, volume: Any, name: str) -> None:
        try:
            self._backing.remove(volume)
            self._untyped.delete_persistent_volume(name)
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            if not (isinstance(error, ApiException) and is_missing(error)):
                # Tried again when all volumes are listed again.
                _log.warning("%s: %s", name, in_short(error))
        else:
            _log.info("deleted %s", name)
        finally:
            self._going.discard(name)


def _class_lookup(storage: StorageV1Api, provisioner: str) -> Callable[[str], bool]:
    def grows(name: str) -> bool:
        try:
            found = storage.read_storage_class(name)
        except ApiException as error:
            if not is_missing(error):
                raise
            # A claim of a static volume may name a class that nobody made.
            return False
        return found.provisioner == provisioner and bool(found.allow_volume_expansion)

    return grows


def _volume_name(claim: Any) -> str:
    # The name external provisioners give: unique per claim, the same at every attempt.
    return f"pvc-{claim.metadata.uid}"


def _annotations(item: Any) -> dict[str, str]:
    return cast("dict[str, str]", item.metadata.annotations or {})


def main() -> None:
    """Run the controller with the kubeconfig named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m local.cluster.volumes", description="Gives claims their volumes.")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="kubeconfig of an administrator")
    parser.add_argument("--ready", type=Path, required=True, help="file to create once the first look is done")
    parser.add_argument("--ledger", type=Path, help="ledger of the stand-in cloud that runs the cluster")
    parser.add_argument("--directories", type=Path, help="folder for the volumes of nodes that run containers")
    parser.add_argument("--project", default="", help="the cloud's project")
    parser.add_argument("--zone", default="", help="zone of disks that are made before a pod needs them")
    parser.add_argument(
        "--kind", type=Path, action="append", default=[], help="definition of a kind of the cloud's own"
    )
    parser.add_argument("--kinds-after", type=float, default=0.0, help="seconds after which the kinds are defined")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    client = connect(arguments.kubeconfig)
    if arguments.kind:
        define_later(arguments.kubeconfig, arguments.kind, arguments.kinds_after)
    backing: Backing = Nothing()
    if arguments.ledger is not None:
        backing = DiskDriver(client, Ledger(arguments.ledger), arguments.project, arguments.zone)
    elif arguments.directories is not None:
        backing = VolumeDirectories(arguments.directories, PROVISIONER)
    VolumeController(client, backing).run(arguments.ready)


if __name__ == "__main__":
    main()
