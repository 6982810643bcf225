"""Rules of the config keys that a GKE cluster has: each by itself, and those that need several keys."""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
from collections.abc import Set
from typing import Annotated, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from dragonfly.google.disk_types import DISK_TYPES, MOST_GIBIBYTES
from dragonfly.google.location import is_zone, region_of
from dragonfly.google.machine_types import GIB, UnknownMachineTypeError, is_of_known_family, machine_type_named
from dragonfly.parts.registry_mirrors import registry_list_fault, registry_name_fault
from dragonfly.quantity import parse_quantity, whole_gibibytes
from dragonfly.settings.fault import PROJECT, ConfigFault, rule_broken
from dragonfly.settings.node_pool_capacity import pool_holds, smallest_machine_type

# A name, or the path of one in another project (GKE API reference, `Cluster.network`).
_NETWORK = re.compile(r"(?:projects/[a-z0-9:.-]+/global/networks/)?[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SUBNETWORK = re.compile(
    r"(?:projects/[a-z0-9:.-]+/regions/(?P<region>[a-z0-9-]+)/subnetworks/)?[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
# GKE's greatest number of nodes in one zone of a node pool, and of networks that may reach a control plane.
_MOST_NODES = 1000
_MOST_AUTHORIZED_NETWORKS = 100
# Compute Engine's smallest disk that GKE's node image fits on.
_SMALLEST_NODE_DISK_GIB = 10


def _cluster_location(value: str) -> str:
    if region_of(value) is None:
        raise rule_broken("must be a zone such as us-west1-a or a region such as us-west1")
    return value


def _network(value: str) -> str:
    if _NETWORK.fullmatch(value) is None:
        raise rule_broken("must be a network's name, or projects/<project>/global/networks/<name> of another project")
    return value


def _subnetwork(value: str) -> str:
    if _SUBNETWORK.fullmatch(value) is None:
        raise rule_broken(
            "must be a subnetwork's name, or projects/<project>/regions/<region>/subnetworks/<name> of another project"
        )
    return value


def _machine_type(value: str) -> str:
    try:
        machine_type_named(value)
    except UnknownMachineTypeError as error:
        if not is_of_known_family(value):
            # Google has more machine types than this program knows, and new ones every year.
            return value
        # What it says first repeats the value, which the stack may have encrypted.
        raise rule_broken(f"is not a known machine type: {str(error).partition(': ')[2]}") from None
    return value


def _number_of_nodes(value: int) -> int:
    if not 1 <= value <= _MOST_NODES:
        raise rule_broken(f"must be 1 to {_MOST_NODES} nodes in each zone of the cluster")
    return value


def _node_disk_size(value: str) -> str:
    try:
        size = parse_quantity(value)
    except ValueError:
        raise rule_broken("must be a Kubernetes quantity such as 200Gi") from None
    if not _SMALLEST_NODE_DISK_GIB * GIB <= size <= MOST_GIBIBYTES * GIB:
        raise rule_broken(f"must be {_SMALLEST_NODE_DISK_GIB}Gi to {MOST_GIBIBYTES}Gi; write for example 200Gi")
    return value


def _authorized_network(value: str) -> str:
    try:
        ipaddress.IPv4Network(value)
    except ValueError:
        raise rule_broken(
            "must be an IPv4 network in CIDR notation whose host bits are zero, for example 203.0.113.0/24"
        ) from None
    return value


def _authorized_networks(value: list[str]) -> list[str]:
    if len(value) > _MOST_AUTHORIZED_NETWORKS:
        raise rule_broken(f"has {len(value)} entries; GKE takes at most {_MOST_AUTHORIZED_NETWORKS}")
    return value


def _registry_mirror(value: str) -> str:
    if fault := registry_name_fault(value):
        raise rule_broken(fault)
    return value


def _registry_mirrors(value: list[str]) -> list[str]:
    if fault := registry_list_fault(value):
        raise rule_broken(fault)
    return value


ClusterLocation = Annotated[str, AfterValidator(_cluster_location)]
ExistingNetwork = Annotated[str, AfterValidator(_network)]
ExistingSubnetwork = Annotated[str, AfterValidator(_subnetwork)]
AuthorizedNetworks = Annotated[
    list[Annotated[str, AfterValidator(_authorized_network)]], AfterValidator(_authorized_networks)
]
NodeMachineType = Annotated[str, AfterValidator(_machine_type)]
NodeCount = Annotated[int, AfterValidator(_number_of_nodes)]
NodeDiskSize = Annotated[str, AfterValidator(_node_disk_size)]
RegistryMirrors = Annotated[list[Annotated[str, AfterValidator(_registry_mirror)]], AfterValidator(_registry_mirrors)]


class NodeAutoscaling(BaseModel):
    """How many nodes the autoscaler may have in each zone of the cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    min: Annotated[NodeCount, Field(strict=True)]
    max: Annotated[NodeCount, Field(strict=True)]

    @model_validator(mode="after")
    def _min_is_not_above_max(self) -> NodeAutoscaling:
        if self.min > self.max:
            raise rule_broken("has a min above its max")
        return self


class GkeKeys(Protocol):
    """The keys that the rules below read, as Settings has them."""

    @property
    def cluster_location(self) -> str | None: ...
    @property
    def network(self) -> str | None: ...
    @property
    def subnetwork(self) -> str | None: ...
    @property
    def default_storage_class(self) -> str: ...
    @property
    def db_persistent_disk_size(self) -> str: ...
    @property
    def redis_persistent_disk_size(self) -> str: ...
    @property
    def node_machine_type(self) -> str: ...
    @property
    def node_count(self) -> int: ...
    @property
    def node_autoscaling(self) -> NodeAutoscaling | None: ...
    @property
    def node_disk_size(self) -> str: ...
    @property
    def metrics_exporter_enabled(self) -> bool: ...


def gke_faults(settings: GkeKeys, zone: str | None, faulty: Set[str]) -> list[ConfigFault]:
    """Faults of a stack that makes a GKE cluster which need more than one key to be seen.

    Args:
        settings: the stack's config, with defaults in place of values that are faulty by themselves.
        zone: `gcp:zone`, where the stack or its environment sets it.
        faulty: keys of such values.
    """
    return [
        *_location_faults(settings, zone),
        *_network_faults(settings, zone),
        *_disk_faults(settings),
        *_pool_faults(settings, faulty),
    ]


def _key(field: str) -> str:
    return f"{PROJECT}:{to_camel(field)}"


def _location_faults(settings: GkeKeys, zone: str | None) -> list[ConfigFault]:
    """A zone that is none, and one for the disks that the cluster's nodes cannot be in."""
    if not zone:
        return []
    if not is_zone(zone):
        what = "is a region and" if region_of(zone) else "is no zone and"
        rule = f"{what} must be a zone such as us-west1-a; `gcloud compute zones list` shows them"
        return [ConfigFault("gcp:zone", json.dumps(zone), rule, "pulumi config set gcp:zone <zone>")]
    location = settings.cluster_location
    if location is None or is_zone(location) or region_of(zone) == location:
        return []
    return [
        ConfigFault(
            _key("cluster_location"),
            json.dumps(location),
            f"is a region that gcp:zone, {zone}, is not in: the databases' disks lie in that zone",
            # Not every region has a zone -a.
            "pulumi config set gcp:zone <zone>",
        )
    ]


def _network_faults(settings: GkeKeys, zone: str | None) -> list[ConfigFault]:
    """One of network and subnetwork without the other, and a subnetwork that the cluster is not in the region of."""
    pair = ("network", "subnetwork")
    given = [field for field in pair if getattr(settings, field) is not None]
    if len(given) != 1:
        return _subnetwork_faults(settings, zone)
    missing = next(field for field in pair if field not in given)
    return [
        ConfigFault(
            _key(missing),
            None,
            f"is not set, but {_key(given[0])} is: an existing network needs both, a new one neither",
            f"pulumi config set {_key(missing)} <value>   or   pulumi config rm {_key(given[0])}",
        )
    ]


def _subnetwork_faults(settings: GkeKeys, zone: str | None) -> list[ConfigFault]:
    match = _SUBNETWORK.fullmatch(settings.subnetwork or "")
    found, region = match and match["region"], region_of(settings.cluster_location or zone or "")
    if not found or region in (None, found):
        return []
    key = _key("subnetwork")
    rule = f"is in {found} and the cluster in {region}: GKE takes a subnetwork of the cluster's own region only"
    return [ConfigFault(key, json.dumps(settings.subnetwork), rule, f"pulumi config set {key} <value>")]


def _disk_faults(settings: GkeKeys) -> list[ConfigFault]:
    """Databases' disks that the program cannot make on Google Cloud."""
    faults: list[ConfigFault] = []
    storage_class = settings.default_storage_class
    if storage_class not in DISK_TYPES:
        (nearest,) = difflib.get_close_matches(storage_class, DISK_TYPES, n=1, cutoff=0)
        faults.append(
            ConfigFault(
                _key("default_storage_class"),
                json.dumps(storage_class),
                f"is no StorageClass of a new GKE cluster, which has {', '.join(DISK_TYPES)}",
                f"pulumi config set {_key('default_storage_class')} {nearest}",
            )
        )
    for field in ("db_persistent_disk_size", "redis_persistent_disk_size"):
        size = str(getattr(settings, field))
        if parse_quantity(size) > MOST_GIBIBYTES * GIB:
            faults.append(
                ConfigFault(
                    _key(field),
                    json.dumps(size),
                    f"is more than the {MOST_GIBIBYTES}Gi of Compute Engine's greatest disk",
                    f"pulumi config set {_key(field)} <value>",
                )
            )
    return faults


def _pool_faults(settings: GkeKeys, faulty: Set[str]) -> list[ConfigFault]:
    """A node pool that cannot hold what the components request."""
    fields = ("node_machine_type", "node_count", "node_autoscaling", "node_disk_size", "metrics_exporter_enabled")
    if faulty & {to_camel(field) for field in fields}:
        return []
    nodes = settings.node_autoscaling.max if settings.node_autoscaling else settings.node_count
    try:
        machine_type = machine_type_named(settings.node_machine_type)
    except UnknownMachineTypeError:
        # Google knows whether there is one.
        return []
    disk = whole_gibibytes(settings.node_disk_size)
    metrics = settings.metrics_exporter_enabled
    if pool_holds(machine_type, nodes, disk, metrics_exporter_enabled=metrics):
        return []
    enough = smallest_machine_type(machine_type, nodes, disk, metrics_exporter_enabled=metrics)
    key = _key("node_machine_type")
    count = "one node" if nodes == 1 else f"{nodes} nodes"
    more = f"--path {_key('node_autoscaling')}.max" if settings.node_autoscaling else _key("node_count")
    return [
        ConfigFault(
            key,
            json.dumps(machine_type.name),
            f"is too small: {count} of it cannot hold what Dragonfly and GKE's own pods request; "
            + (f"the smallest type that can is {enough.name}" if enough else "no known type can: take more nodes"),
            f"pulumi config set {key} {enough.name}" if enough else f"pulumi config set {more} <value>",
        )
    ]
