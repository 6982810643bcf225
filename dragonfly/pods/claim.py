"""A volume claim: a resource of the program, so that destroying the stack releases the disk.

A StatefulSet's own volumeClaimTemplates leave their claims behind, and with them disks that are billed for ever.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi_kubernetes.core import v1 as core

from dragonfly.instance.object_name import object_name
from dragonfly.instance.objects import Instance
from dragonfly.parts.labels import Component
from dragonfly.parts.names import DATA_VOLUME
from dragonfly.pods.disk import DiskPlace, disk_volume
from dragonfly.quantity import parse_quantity
from dragonfly.settings.fault import ConfigFault
from dragonfly.updates.refused_change import Inputs, refused_change, refuses

_ASKED, _CLAIMED = "diskSize", "claimedSize"


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
    """Declare the claim of one pod.

    Args:
        resource_name: begins Pulumi's names of the claim and of what it is bound to.
        instance: the instance that it belongs to.
        name: the claim's name.
        component: whose data it holds.
        size: a Kubernetes quantity; may grow later, a smaller one is refused.
        size_key: the config key that it comes from.
        storage_class: name of a StorageClass of the cluster; in force when the claim is made.
        disk_place: where the program makes the disk; None leaves it to the StorageClass.
        parent: the component resource.
    """
    volume = None
    if disk_place is not None:
        volume = disk_volume(
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
        # before the plug-in looks, and one that grows is. The workload waits for the disk in any case.
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
        old: the claim of before. A size that it could not grow to is not in it, and can be taken back.
        new: its inputs of now.
    """
    before, now = (str(claim["spec"]["resources"]["requests"]["storage"]) for claim in (old, new))
    return _shrunk(key, before, now)


def asked_size(size: str) -> dict[str, str]:
    """Return the inputs of a component that has a disk: the size that is asked for.

    Args:
        size: a Kubernetes quantity.
    """
    return {_ASKED: size}


def claimed_size(claim: core.PersistentVolumeClaim) -> dict[str, pulumi.Output[str]]:
    """Return outputs of a component that has a disk: the size that its claim has, once it has it."""
    spec: pulumi.Output[Any] = claim.spec
    return {_CLAIMED: spec.apply(lambda found: found.resources.requests["storage"])}


def keeps_its_size(component: str, key: str) -> pulumi.ResourceOptions:
    """Return the options of a component that has a disk: a smaller one is refused before the disk itself is looked at.

    The disk comes before the claim: where it is protected, the engine would speak of protection, and how to end it.

    Args:
        component: Pulumi's name of it.
        key: the full config key of the size.
    """

    def faults(old: Inputs, new: Inputs) -> list[ConfigFault]:
        # What was installed by a program that recorded nothing, or did not get as far, has no record.
        return _shrunk(key, old[_CLAIMED], new[_ASKED]) if _CLAIMED in old else []

    return refuses(f"{component}-keeps-its-size", faults)


def _shrunk(key: str, before: str, now: str) -> list[ConfigFault]:
    if parse_quantity(now) >= parse_quantity(before):
        return []
    return [refused_change(key, before, now, "a disk can grow, not shrink")]


def data_volume(claim: core.PersistentVolumeClaim) -> core.VolumeArgs:
    """Return the pod's volume on that claim. Named by the claim's output: the pod goes before the claim at destroy."""
    return core.VolumeArgs(
        name=DATA_VOLUME,
        persistent_volume_claim=core.PersistentVolumeClaimVolumeSourceArgs(claim_name=object_name(claim)),
    )
