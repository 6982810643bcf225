"""What an installation needs to know about a cluster that is made and destroyed with it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from dragonfly.access.cluster_access import ClusterAccess
from dragonfly.pods.disk import DiskPlace


@dataclass(frozen=True)
class ProvisionedCluster:
    """A cluster of the same stack.

    Args:
        resource: the cluster, with which every object in it goes.
        access: to its API server.
        disk_place: where the databases' disks are made.
    """

    resource: pulumi.Resource
    access: ClusterAccess
    disk_place: DiskPlace
