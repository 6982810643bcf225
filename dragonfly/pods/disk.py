"""The disk of a claim on a GKE cluster of the stack: a resource of the program, bound by a static volume.

A disk that the cluster makes for a claim is unknown to the state. When the cluster goes before the claim, such a disk
stays, and is billed for ever. One of our own outlives neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import compute
from pulumi_kubernetes.core import v1 as core

from dragonfly.google.disk_types import DISK_TYPES
from dragonfly.google.resource_names import google_name
from dragonfly.instance.objects import Instance
from dragonfly.parts.labels import Component
from dragonfly.quantity import whole_gibibytes

_CSI_DRIVER = "pd.csi.storage.gke.io"
_ZONE_LABEL = "topology.gke.io/zone"
_FILE_SYSTEM = "ext4"


@dataclass(frozen=True)
class DiskPlace:
    """Where the disks of a stack's own cluster are made.

    Args:
        project: the project's id.
        zone: the one zone whose nodes can have them.
        cluster_name: begins their names.
        protect: refuse whatever would delete them.
        depends_on: the APIs.
    """

    project: str
    zone: str
    cluster_name: str
    protect: bool
    depends_on: Sequence[pulumi.Resource]


def disk_name(place: DiskPlace, app: str, component: Component) -> str:
    """Return the name of a component's disk.

    Args:
        place: where it is made.
        app: name of the instance.
        component: whose data it holds.
    """
    return google_name(place.cluster_name, app, component.short_name)


def disk_path(place: DiskPlace, name: str) -> str:
    """Return by what Compute Engine knows a disk.

    Args:
        place: where it is made.
        name: its name.
    """
    return f"projects/{place.project}/zones/{place.zone}/disks/{name}"


def disk_volume(
    resource_name: str,
    instance: Instance,
    place: DiskPlace,
    *,
    component: Component,
    claim_name: str,
    size: str,
    storage_class: str,
    parent: pulumi.Resource,
) -> core.PersistentVolume:
    """Declare a disk and the volume that stands for it in the cluster.

    Args:
        resource_name: begins Pulumi's names of the two.
        instance: the instance that it belongs to.
        place: where the disk is made.
        component: whose data it holds.
        claim_name: the claim that alone may have the volume.
        size: a Kubernetes quantity; the disk has whole GiB. May grow later: the file system follows by itself.
        storage_class: a key of DISK_TYPES, in force when the disk is made; it is what allows the claim to grow.
        parent: the component resource.
    """
    name = disk_name(place, instance.names.app, component)
    gibibytes = whole_gibibytes(size)
    disk = compute.Disk(
        f"{resource_name}-disk",
        name=name,
        project=place.project,
        zone=place.zone,
        type=DISK_TYPES[storage_class],
        size=gibibytes,
        labels={"dragonfly-instance": instance.names.app},
        opts=pulumi.ResourceOptions(
            parent=parent,
            # Another zone or a smaller size would make a new, empty disk and delete this one.
            protect=place.protect,
            depends_on=place.depends_on,
            # Without protection a smaller one fails, then, at the name of the one that is there.
            delete_before_replace=False,
            # So would another type, before the pod has let go of the old one; and who asks for a faster disk does not
            # want an empty one. As in Kubernetes, the StorageClass only says how a disk is made.
            # A disk that somebody made from a snapshot, under this name, is the database as well.
            ignore_changes=["type", "snapshot"],
        ),
    )
    return core.PersistentVolume(
        f"{resource_name}-volume",
        metadata=instance.cluster_metadata(name, component),
        spec=core.PersistentVolumeSpecArgs(
            storage_class_name=storage_class,
            capacity={"storage": f"{gibibytes}Gi"},
            access_modes=["ReadWriteOnce"],
            # The disk belongs to the program; the cluster must not delete it.
            persistent_volume_reclaim_policy="Retain",
            claim_ref=core.ObjectReferenceArgs(
                api_version="v1", kind="PersistentVolumeClaim", namespace=instance.namespace, name=claim_name
            ),
            csi=core.CSIPersistentVolumeSourceArgs(
                driver=_CSI_DRIVER,
                # Written out and not taken from the disk's output: a preview that does not know the output would
                # announce a new volume for every change of the disk.
                volume_handle=disk_path(place, name),
                fs_type=_FILE_SYSTEM,
            ),
            node_affinity=core.VolumeNodeAffinityArgs(
                required=core.NodeSelectorArgs(
                    node_selector_terms=[
                        core.NodeSelectorTermArgs(
                            match_expressions=[
                                core.NodeSelectorRequirementArgs(key=_ZONE_LABEL, operator="In", values=[place.zone])
                            ]
                        )
                    ]
                )
            ),
        ),
        opts=pulumi.ResourceOptions.merge(
            instance.workload_options(parent),
            pulumi.ResourceOptions(
                # The disk goes last: Compute Engine would take it away from a running pod.
                depends_on=[disk],
                # As the disk's type.
                ignore_changes=["spec.storageClassName"],
            ),
        ),
    )
