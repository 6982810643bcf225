"""An object's name as an output, so that whatever is told the name waits until the object exists."""

from __future__ import annotations

import pulumi
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.scheduling import v1 as scheduling


def object_name(
    resource: core.Namespace
    | core.Secret
    | core.PersistentVolumeClaim
    | core.PersistentVolume
    | scheduling.PriorityClass,
) -> pulumi.Output[str]:
    """Return the name in the resource's metadata.

    A plain string would name the object too, but a pod could then start before its Secret exists, and kubelet's next
    try at the mount comes up to two minutes later; one whose class does not exist is refused.
    """
    return resource.metadata.apply(lambda metadata: str(metadata.name))
