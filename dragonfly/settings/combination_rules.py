"""Rules between several config keys: a peer's ports, and what a stack that makes a GKE cluster needs."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence, Set
from typing import Any

from pydantic.alias_generators import to_camel

from dragonfly.google.disk_types import DISK_TYPES, MOST_GIBIBYTES
from dragonfly.google.location import is_zone, region_of
from dragonfly.google.machine_types import GIB, UnknownMachineTypeError, machine_type_named
from dragonfly.lines.known_lines import LINES
from dragonfly.monitoring.metrics import MANAGED_COLLECTORS, Monitoring
from dragonfly.parts.registry_mirrors import MOST_REGISTRIES
from dragonfly.quantity import parse_quantity, whole_gibibytes
from dragonfly.settings.fault import PROJECT, ConfigFault
from dragonfly.settings.model import Settings
from dragonfly.settings.node_pool_capacity import Pods
from dragonfly.settings.value_rules import SUBNETWORK_PATTERN

# Keys of the Google Cloud provider that a GKE cluster needs, the environment variables that the provider reads instead,
# and an example.
_GCP_KEYS = (
    (
        "gcp:project",
        ("GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"),
        "my-project",
    ),
    ("gcp:zone", ("GOOGLE_ZONE", "GCLOUD_ZONE", "CLOUDSDK_COMPUTE_ZONE"), "us-west1-a"),
)


def shared_port_faults(given: Mapping[str, Any], hidden: Set[str], keys: Sequence[str]) -> list[ConfigFault]:
    """Find the ports that two of a peer's servers would both listen on.

    Args:
        given: what the stack sets, by key without the namespace; values that are faulty by themselves, too.
        hidden: the full keys whose values must not be shown.
        keys: the ports' keys, without the namespace.
    """
    faults: list[ConfigFault] = []
    taken: dict[int, str] = {}
    defaults = {field.alias: field.default for field in Settings.model_fields.values()}
    for each in keys:
        port = given.get(each, defaults[each])
        if not isinstance(port, int):
            continue
        key = f"{PROJECT}:{each}"
        if port in taken:
            faults.append(
                ConfigFault(
                    key,
                    None if {key, taken[port]} & hidden else str(port),
                    f"is the port of {taken[port]} too; a peer's ports must differ",
                    f"pulumi config set --secret {key}" if key in hidden else f"pulumi config set {key} <value>",
                )
            )
        taken.setdefault(port, key)
    return faults


def cache_faults(settings: Settings, faulty: Set[str]) -> list[ConfigFault]:
    """Find a volume for the seed peer's cache that its release line cannot have.

    Args:
        settings: the stack's config, with defaults in place of values that are faulty by themselves.
        faulty: keys of such values, without the namespace.
    """
    size = settings.seed_peer_cache_size
    if size is None or settings.line.sizes_cache or "tag" in faulty:
        return []
    key, tag = _key("seed_peer_cache_size"), _key("tag")
    able = " or ".join(line.name for line in LINES if line.sizes_cache)
    rule = f"is for Dragonfly {able}, and {tag} is {settings.tag}: the cache of {settings.line.name} goes with its pod"
    return [ConfigFault(key, json.dumps(size), rule, f"pulumi config rm {key}   or   pulumi config set {tag} <value>")]


def monitoring_faults(settings: Settings, faulty: Set[str]) -> list[ConfigFault]:
    """Find keys of an operator's Prometheus that has no way to the metrics, or that there is none of.

    Args:
        settings: the stack's config, with defaults in place of values that are faulty by themselves.
        faulty: keys of such values, without the namespace.
    """
    if faulty & {"monitoring", "metricsFrom", "networkPolicies"}:
        return []
    key = _key("monitoring")
    by_operator = settings.monitored_by is Monitoring.OPERATOR
    faults: list[ConfigFault] = []
    if settings.notification_channels and not settings.has_alert_policies:
        channels, provision = _key("notification_channels"), _key("provision_cluster")
        rule = f"are told by alert policies, which are made where {provision} is true and {key} is managed"
        found = json.dumps(settings.notification_channels)
        remedy = f"pulumi config rm {channels}"
        if settings.provision_cluster:
            remedy = f"pulumi config set {key} managed   or   {remedy}"
        faults.append(ConfigFault(channels, found, rule, remedy))
    if settings.monitoring_labels and not by_operator:
        labels = _key("monitoring_labels")
        rule = f"are labels for a Prometheus Operator, and {key} is {settings.monitored_by}"
        found = json.dumps(settings.monitoring_labels)
        remedy = f"pulumi config set {key} operator   or   pulumi config rm {labels}"
        faults.append(ConfigFault(labels, found, rule, remedy))
    if by_operator and settings.network_policies and not {*settings.metrics_from} - {MANAGED_COLLECTORS}:
        reachable = _key("metrics_from")
        rule = f"does not name the namespace of a Prometheus of yours, and {key} is operator: it could read nothing"
        remedy = f"""pulumi config set {reachable} '["<namespace>"]'"""
        faults.append(ConfigFault(reachable, json.dumps(settings.metrics_from), rule, remedy))
    return faults


def gke_faults(
    settings: Settings, values: Mapping[str, str], environment: Mapping[str, str], faulty: Set[str]
) -> list[ConfigFault]:
    """Find the faults of a stack that makes a GKE cluster which need more than one key to be seen.

    Args:
        settings: the stack's config, with defaults in place of values that are faulty by themselves.
        values: the whole config as text, by full key: `gcp:project` and `gcp:zone` are not in the settings.
        environment: environment variables, where the Google Cloud provider looks for a project or zone too.
        faulty: keys of such values, without the namespace.
    """
    # The config's goes first, as the provider has it.
    google = {
        key: next(filter(None, [values.get(key), *map(environment.get, variables)]), None)
        for key, variables, _ in _GCP_KEYS
    }
    zone = google["gcp:zone"]
    return [
        *_existing_cluster_faults(settings),
        *(
            ConfigFault(
                key, None, "is not set, but the program provisions a GKE cluster", f"pulumi config set {key} {example}"
            )
            for key, _, example in _GCP_KEYS
            if google[key] is None
        ),
        *_location_faults(settings, zone),
        *_network_faults(settings, zone),
        *_disk_faults(settings),
        *_priority_faults(settings),
        *_mirror_faults(settings, zone),
        *_pool_faults(settings, faulty),
    ]


def _existing_cluster_faults(settings: Settings) -> list[ConfigFault]:
    provision = _key("provision_cluster")
    return [
        ConfigFault(
            _key(field),
            None,
            f"chooses an existing cluster, but {provision} is true: one of the two must go",
            f"pulumi config set {provision} false   or   pulumi config rm {_key(field)}",
        )
        for field in ("kubeconfig", "kube_context")
        if getattr(settings, field) is not None
    ]


def _key(field: str) -> str:
    return f"{PROJECT}:{to_camel(field)}"


def _location_faults(settings: Settings, zone: str | None) -> list[ConfigFault]:
    """Return the faults of a zone that is none, and of one for the disks that the cluster's nodes cannot be in."""
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


def _network_faults(settings: Settings, zone: str | None) -> list[ConfigFault]:
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


def _subnetwork_faults(settings: Settings, zone: str | None) -> list[ConfigFault]:
    match = re.fullmatch(SUBNETWORK_PATTERN, settings.subnetwork or "")
    found, region = match and match["region"], region_of(settings.cluster_location or zone or "")
    if not found or region in (None, found):
        return []
    key = _key("subnetwork")
    rule = f"is in {found} and the cluster in {region}: GKE takes a subnetwork of the cluster's own region only"
    return [ConfigFault(key, json.dumps(settings.subnetwork), rule, f"pulumi config set {key} <value>")]


def _disk_faults(settings: Settings) -> list[ConfigFault]:
    """Disks that the program cannot make on Google Cloud."""
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
    for field in ("db_persistent_disk_size", "redis_persistent_disk_size", "seed_peer_cache_size"):
        size = str(getattr(settings, field) or 0)
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


def _priority_faults(settings: Settings) -> list[ConfigFault]:
    """Return the fault of a class that a GKE cluster lets nobody else have (GKE documentation, "Pod Priority")."""
    name = settings.peer_priority_class
    if name is None or not name.startswith("system-"):
        return []
    key = _key("peer_priority_class")
    rule = "is a class of Kubernetes' own, which GKE keeps for kube-system"
    return [ConfigFault(key, json.dumps(name), rule, f"pulumi config rm {key}")]


def _mirror_faults(settings: Settings, zone: str | None) -> list[ConfigFault]:
    """Return the fault of more mirrors than GKE takes, with Google's own registries."""
    region = region_of(settings.cluster_location or zone or "")
    all_of_them, own = len(settings.mirrored_registries(region or "")), len(settings.registry_mirrors)
    if region is None or all_of_them <= MOST_REGISTRIES:
        return []
    key, private = _key("registry_mirrors"), _key("mirror_private_registries")
    rule = f"has {own} entries, {private} adds {all_of_them - own}, and GKE takes at most {MOST_REGISTRIES}"
    return [ConfigFault(key, None, rule, f"pulumi config set {private} false   or name fewer in {key}")]


def _pool_faults(settings: Settings, faulty: Set[str]) -> list[ConfigFault]:
    """Return the fault of a node pool that cannot hold what the components request."""
    fields = (
        "node_machine_type",
        "node_count",
        "node_autoscaling",
        "node_disk_size",
        "metrics_exporter_enabled",
        "tag",
    )
    if faulty & {to_camel(field) for field in fields}:
        return []
    nodes = settings.node_autoscaling.max if settings.node_autoscaling else settings.node_count
    try:
        machine_type = machine_type_named(settings.node_machine_type)
    except UnknownMachineTypeError:
        # Google knows whether there is one.
        return []
    disk = whole_gibibytes(settings.node_disk_size)
    pods = Pods(settings.line.resources, metrics_exporter_enabled=settings.metrics_exporter_enabled)
    if pods.fit(machine_type, nodes, disk):
        return []
    enough = pods.smallest_machine_type(machine_type, nodes, disk)
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
