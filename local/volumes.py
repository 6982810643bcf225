"""The StorageClass `standard`, and the controller that gives its claims their volumes.

The controller keeps the contract of Kubernetes' external provisioners (the sig-storage library that Google's disk
driver uses too): the volume binding controller asks for a volume by an annotation on the claim, at once or, with
`WaitForFirstConsumer`, when a pod was placed; the provisioner creates one bound to the claim in advance, grows it when
the claim grows, and deletes it when it was released. Nothing is ever mounted: the nodes are kwok's.

Run as a process: `python -m local.volumes --kubeconfig FILE --ready FILE`.
"""

from __future__ import annotations

import argparse
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import urllib3
from kubernetes import watch
from kubernetes.client.api.core_v1_api import CoreV1Api
from kubernetes.client.api.storage_v1_api import StorageV1Api
from kubernetes.client.api_client import ApiClient
from kubernetes.client.exceptions import ApiException

from dragonfly.quantity import parse_quantity
from local.api_errors import exists_already, in_short, is_missing
from local.kubeconfig import connect

STORAGE_CLASS = "standard"
"""Name of the class: the guide's default, and that of GKE's own class."""

PROVISIONER = "dragonfly.local/volumes"
"""Names this controller on the class, its claims and its volumes."""

_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_PROVISION_REQUESTED_OF = "volume.kubernetes.io/storage-provisioner"
_WATCH_SECONDS = 300
"""A watch ends after this; the list that follows repairs whatever was missed."""

_RETRY_SECONDS = 0.2
_LONGEST_RETRY_SECONDS = 5.0
_MERGE_PATCH = "application/merge-patch+json"

_log = logging.getLogger("volumes")


def storage_class_manifest() -> dict[str, Any]:
    """Describe the class: bound at once, growing allowed and deleted with the claim, as GKE's `standard` is."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
        "allowVolumeExpansion": True,
    }


def apply_storage_class(client: ApiClient) -> None:
    """Create the class; one that exists is left as it is (most of its fields are immutable).

    Args:
        client: Of an administrator.

    Raises:
        ApiException: The API server refuses.
    """
    try:
        StorageV1Api(client).create_storage_class(cast(Any, storage_class_manifest()))
    except ApiException as error:
        if not exists_already(error):
            raise


class VolumeController:
    """Watches claims and volumes and brings each into the state it should have; every step can be repeated."""

    def __init__(self, client: ApiClient) -> None:
        """Work with the permissions of a client that may change claims' status and volumes."""
        self._core = CoreV1Api(client)
        # The typed methods take models only; patches and manifests are plain dictionaries here.
        self._untyped = cast(Any, self._core)
        self._class_grows = _class_lookup(StorageV1Api(client))
        self._listed = {"claims": threading.Event(), "volumes": threading.Event()}

    def run(self, ready: Path | None = None) -> None:
        """Work until the process is ended.

        Args:
            ready: Written when all claims and volumes of before were looked at and both watches start.
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
        if annotations.get(_PROVISION_REQUESTED_OF) != PROVISIONER:
            return
        if claim.spec.volume_name is None:
            self._provision(claim)
        elif claim.status.phase == "Bound":
            self._grow(claim)

    def _provision(self, claim: Any) -> None:
        manifest = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": _volume_name(claim), "annotations": {_PROVISIONED_BY: PROVISIONER}},
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
                "hostPath": {"path": f"/var/lib/dragonfly-local/{_volume_name(claim)}"},
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
        annotations = _annotations(volume)
        released = volume.status is not None and volume.status.phase == "Released"
        if (
            annotations.get(_PROVISIONED_BY) != PROVISIONER
            or not released
            or volume.spec.persistent_volume_reclaim_policy != "Delete"
            or volume.metadata.deletion_timestamp is not None
        ):
            return
        try:
            self._untyped.delete_persistent_volume(volume.metadata.name)
        except ApiException as error:
            if not is_missing(error):
                raise
            return
        _log.info("deleted %s", volume.metadata.name)


def _class_lookup(storage: StorageV1Api) -> Callable[[str], bool]:
    def grows(name: str) -> bool:
        return bool(storage.read_storage_class(name).allow_volume_expansion)

    return grows


def _volume_name(claim: Any) -> str:
    # The name external provisioners give: unique per claim, the same at every attempt.
    return f"pvc-{claim.metadata.uid}"


def _annotations(item: Any) -> dict[str, str]:
    return cast("dict[str, str]", item.metadata.annotations or {})


def main() -> None:
    """Run the controller with the kubeconfig named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m local.volumes", description="Gives claims their volumes.")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="kubeconfig of an administrator")
    parser.add_argument("--ready", type=Path, required=True, help="file to create once the first look is done")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    VolumeController(connect(arguments.kubeconfig)).run(arguments.ready)


if __name__ == "__main__":
    main()
