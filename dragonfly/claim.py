"""A database's volume claim: a resource of the program, so that destroying the stack releases the disk.

A StatefulSet's own volumeClaimTemplates leave their claims behind, and with them disks that are billed for ever.
"""

from __future__ import annotations

import pulumi
from pulumi_kubernetes.core import v1 as core

from dragonfly.config_fault import ConfigFault
from dragonfly.google.database_disk import DiskPlace, database_volume
from dragonfly.instance import Instance
from dragonfly.labels import Component
from dragonfly.object_name import object_name
from dragonfly.quantity import parse_quantity
from dragonfly.refused_change import Inputs, refused_change, refuses

DATA_VOLUME = "data"


def volume_claim(
    resource_name: str,
    instance: Instance,
    *,
    name: str,
    component: Component,
    size: str,
    size_key: str,
    storage_class: str,
    disk_place: DiskPlace | None,
    parent: pulumi.Resource,
) -> core.PersistentVolumeClaim:
    """Declares the claim of one database.

    Args:
        resource_name: begins Pulumi's names of the claim and of what it is bound to.
        instance: the instance that the database belongs to.
        name: the claim's name.
        component: MySQL or Redis.
        size: a Kubernetes quantity; may grow later, a smaller one is refused.
        size_key: the config key that it comes from.
        storage_class: name of a StorageClass of the cluster; in force when the claim is made.
        disk_place: where the program makes the disk; None leaves it to the StorageClass.
        parent: the database's component resource.
    """
    volume = None
    if disk_place is not None:
        volume = database_volume(
            resource_name,
            instance,
            disk_place,
            component=component,
            claim_name=name,
            size=size,
            storage_class=storage_class,
            parent=parent,
        )
    return core.PersistentVolumeClaim(
        f"{resource_name}-claim",
        # Where the class binds late, the plug-in waits for the phase Pending: five minutes whatever the timeout, and in
        # updates too (pulumi-kubernetes 4.25, `await/awaiters.go`). A claim with a volume of its own may be Bound
        # before the plug-in looks, and one that grows is. The database's workload waits for the disk in any case.
        metadata=instance.metadata(name, component, awaited=False),
        spec=core.PersistentVolumeClaimSpecArgs(
            access_modes=["ReadWriteOnce"],
            storage_class_name=storage_class,
            volume_name=object_name(volume) if volume else None,
            resources=core.VolumeResourceRequirementsArgs(requests={"storage": size}),
        ),
        opts=pulumi.ResourceOptions.merge(
            pulumi.ResourceOptions.merge(
                instance.workload_options(parent),
                # Another class would delete the claim, and with it the data: it says how a disk is made, and this one
                # is.
                pulumi.ResourceOptions(ignore_changes=["spec.storageClassName"]),
            ),
            refuses(f"{resource_name}-claim-does-not-shrink", lambda old, new: shrunk_claim(size_key, old, new)),
        ),
    )


def shrunk_claim(key: str, old: Inputs, new: Inputs) -> list[ConfigFault]:
    """Return the fault of a claim that asks for less than before.

    Args:
        key: the full config key of its size.
        old: the claim's inputs of before: a size that it could not grow to is not among them, and can be taken back.
        new: those of now.
    """
    before, now = (str(inputs["spec"]["resources"]["requests"]["storage"]) for inputs in (old, new))
    if parse_quantity(now) >= parse_quantity(before):
        return []
    return [refused_change(key, before, now, "a disk can grow, not shrink")]


def data_volume(claim: core.PersistentVolumeClaim) -> core.VolumeArgs:
    """The pod's volume on that claim. Named by the claim's output: the pod goes before the claim at destroy."""
    return core.VolumeArgs(
        name=DATA_VOLUME,
        persistent_volume_claim=core.PersistentVolumeClaimVolumeSourceArgs(claim_name=object_name(claim)),
    )
