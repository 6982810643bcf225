"""Where in Google Cloud a stack lives: project, the cluster's zone or region, and the zone of its disks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi_gcp as gcp

# us-west1, northamerica-northeast2; a zone of it adds -a, or -ai1a for the newest kind (Compute Engine documentation,
# "Regions and zones").
_LOCATION = re.compile(r"(?P<region>[a-z]+(?:-[a-z]+)*\d+)(?:-(?P<zone>[a-z0-9]+))?")
_ORDINARY_ZONE = re.compile(r"-[a-z]$")
# In as many zones GKE keeps the nodes of a regional cluster by default.
_NODE_ZONES = 3


def region_of(location: str) -> str | None:
    """Return the region of a zone or region, or None where the text is neither.

    Args:
        location: for example `us-west1-a` or `us-west1`.
    """
    match = _LOCATION.fullmatch(location)
    return match["region"] if match else None


def is_zone(location: str) -> bool:
    """Whether a location is a zone and not a region."""
    match = _LOCATION.fullmatch(location)
    return match is not None and match["zone"] is not None


def node_zones(zone: str, zones_of_region: Sequence[str]) -> list[str]:
    """Return the zones of a regional cluster's nodes: the one of the disks, and the first others by name.

    Left to itself GKE takes three zones of its choice. In a region of four the disks' may not be among them, and no
    node could have the disks.

    Args:
        zone: the disks'.
        zones_of_region: all that the region has.
    """
    # Zones for accelerators alone have longer names; ordinary machine types do not exist there.
    others = [other for other in sorted(zones_of_region) if _ORDINARY_ZONE.search(other) and other != zone]
    return sorted([zone, *others[: _NODE_ZONES - 1]])


@dataclass(frozen=True)
class GoogleLocation:
    """Project and places of one cluster.

    Args:
        project: the project's id.
        zone: the provider's zone, `gcp:zone`.
        cluster_location: zone or region of the cluster.
    """

    project: str
    zone: str
    cluster_location: str

    @property
    def region(self) -> str:
        """The region that network and cluster lie in."""
        region = region_of(self.cluster_location)
        if region is None:
            raise ValueError(f"{self.cluster_location!r} is neither a zone nor a region of Google Cloud")
        return region

    @property
    def disk_zone(self) -> str:
        """The zone of the database disks: a disk can only be attached to nodes of its own zone."""
        return self.cluster_location if is_zone(self.cluster_location) else self.zone


def stack_location(cluster_location: str | None) -> GoogleLocation:
    """Return where the running program's stack lives, by the Google Cloud provider's own config.

    Args:
        cluster_location: zone or region of the cluster; the provider's zone when None.
    """
    # Settings has seen to it that both are set.
    zone = str(gcp.config.zone)
    return GoogleLocation(str(gcp.config.project), zone, cluster_location or zone)
