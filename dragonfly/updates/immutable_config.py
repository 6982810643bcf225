"""Config that an installed stack keeps: what its cluster, its databases and their disks are known by.

Another value would delete them, much of it before the new one is there, and some changes would end halfway, where
neither a later update nor the old config leads on. A record keeps these values, to be compared with from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from dragonfly.google.location import stack_location
from dragonfly.settings.fault import PROJECT, ConfigFault
from dragonfly.settings.model import Settings
from dragonfly.updates.refused_change import Inputs, refused_change, refuses

_RECORD = "config"

_PROVISION = f"{PROJECT}:provisionCluster"
_LOCATION = f"{PROJECT}:clusterLocation"
_ZONE = "gcp:zone"

_CLUSTER = "the GKE cluster would be deleted with everything that runs in it"
_DISKS = "the databases' disks would be deleted, and new, empty ones made"
_CLUSTER_AND_DISKS = "the GKE cluster and the databases' disks would be deleted, and new, empty ones made"
_DATABASES = "the databases would be deleted with their data, and new, empty ones made"
_CONSEQUENCES = {
    _PROVISION: "the databases would be deleted with their data, and so would a GKE cluster of the stack",
    "gcp:project": _CLUSTER_AND_DISKS,
    f"{PROJECT}:clusterName": _CLUSTER_AND_DISKS,
    _LOCATION: _CLUSTER_AND_DISKS,
    _ZONE: _DISKS,
    f"{PROJECT}:network": _CLUSTER,
    f"{PROJECT}:subnetwork": _CLUSTER,
    f"{PROJECT}:appInstanceName": _DATABASES,
    f"{PROJECT}:namespace": _DATABASES,
}
"""What another value of a key would do."""


class KeptConfig(pulumi.ComponentResource):
    """The record, which refuses an update before any of it is done: whatever is lost or billed waits for `accepted`.

    Attributes:
        accepted: inputs of the components that wait. A dependency would not do: of a component's it means the children.
    """

    accepted: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, settings: Settings) -> None:
        """Record what the stack decides, or refuse it."""

        def faults(old: Inputs, new: Inputs) -> list[ConfigFault]:
            return changed_config(old[_RECORD], new[_RECORD], settings)

        super().__init__(
            "dragonfly:immutable_config:KeptConfig",
            name,
            {_RECORD: _kept(settings)},
            refuses("keeps-its-config", faults),
        )
        self.accepted = {"keptConfig": self.urn}
        self.register_outputs({})


def _kept(settings: Settings) -> dict[str, Any]:
    values: dict[str, Any] = {
        _PROVISION: settings.provision_cluster,
        f"{PROJECT}:appInstanceName": settings.app_instance_name,
        f"{PROJECT}:namespace": settings.namespace,
    }
    if settings.provision_cluster:
        location = stack_location(settings.cluster_location)
        values |= {
            "gcp:project": location.project,
            f"{PROJECT}:clusterName": settings.cluster_name,
            # In force, not as written: to write out what was the default changes nothing.
            _LOCATION: location.cluster_location,
            _ZONE: location.disk_zone,
            # A record has no gaps: what is missing in one was not recorded yet.
            f"{PROJECT}:network": settings.network or "",
            f"{PROJECT}:subnetwork": settings.subnetwork or "",
        }
    return values


def changed_config(old: Mapping[str, Any], new: Mapping[str, Any], settings: Settings) -> list[ConfigFault]:
    """Return a fault for each key that must not change and has.

    Args:
        old: the record of before, by full key.
        new: the one of now.
        settings: what the stack decides now.
    """
    consequences = dict(_CONSEQUENCES)
    changed = [key for key in consequences if key in old and key in new and old[key] != new[key]]
    if _PROVISION in changed:
        # Whatever else differs comes from it.
        changed = [_PROVISION]
    if {_LOCATION, _ZONE} <= set(changed):
        # A zonal cluster has its disks in its own zone: one of the two keys decides on both.
        by_zone = old[_LOCATION] == old[_ZONE] and settings.cluster_location is None
        changed.remove(_LOCATION if by_zone else _ZONE)
        consequences[_ZONE] = consequences[_LOCATION]
    return [refused_change(key, old[key], new[key], consequences[key]) for key in changed]
