"""Rules of single values: what a value must be, and what is said of one that is not."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from typing import Any

import yaml
from pydantic import AfterValidator, SecretStr

from dragonfly.google.disk_types import MOST_GIBIBYTES
from dragonfly.google.location import region_of
from dragonfly.google.machine_types import GIB, UnknownMachineTypeError, is_of_known_family, machine_type_named
from dragonfly.lines.known_lines import client_fault, line_fault
from dragonfly.monitoring.metrics import Monitoring
from dragonfly.parts.cache import LEAST_CACHE_GIB
from dragonfly.parts.images import image_reference_fault, registry_fault, tag_fault
from dragonfly.parts.names import longest_app_name, too_long_name
from dragonfly.parts.registry_mirrors import registry_list_fault, registry_name_fault
from dragonfly.quantity import parse_quantity
from dragonfly.settings.fault import rule_broken

# Linux hands these ports to outgoing connections (net.ipv4.ip_local_port_range), so that a peer on the node's network
# could find its port taken.
_EPHEMERAL_PORTS = range(32768, 61000)
_UNPRIVILEGED_PORTS = range(1024, 65536)
# GKE's greatest number of nodes in one zone of a node pool, and of networks that may reach a control plane.
_MOST_NODES = 1000
_MOST_AUTHORIZED_NETWORKS = 100
# Cloud Monitoring's greatest number of channels in one alert policy (Google Cloud documentation, "Quotas and limits").
_MOST_CHANNELS = 16
# Compute Engine's smallest disk that GKE's node image fits on.
_SMALLEST_NODE_DISK_GIB = 10

# A name, or the path of one in another project (GKE API reference, `Cluster.network`).
_NETWORK_PATTERN = r"(?:projects/[a-z0-9:.-]+/global/networks/)?[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
SUBNETWORK_PATTERN = (
    r"(?:projects/[a-z0-9:.-]+/regions/(?P<region>[a-z0-9-]+)/subnetworks/)?[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


def _rule(fault: Callable[[Any], str | None]) -> AfterValidator:
    """Return the rule that a function knows: it says what is wrong with a value, or None."""

    def checked(value: Any) -> Any:
        if message := fault(value):
            raise rule_broken(message)
        return value

    return AfterValidator(checked)


def _must(holds: Callable[[Any], object], message: str) -> AfterValidator:
    return _rule(lambda value: None if holds(value) else message)


def _must_match(pattern: str, message: str, text: Callable[[Any], str] = str) -> AfterValidator:
    return _must(lambda value: re.fullmatch(pattern, text(value)), message)


def _must_lie_between(least: int, most: int, what: str) -> AfterValidator:
    return _must(lambda value: least <= value <= most, f"must be {least} to {most} {what}")


def _must_be_quantity(least: int, most: float, unreadable: str, outside: str) -> AfterValidator:
    def fault(value: str) -> str | None:
        try:
            size = parse_quantity(value)
        except ValueError:
            return unreadable
        return None if least <= size <= most else outside

    return _rule(fault)


def _length_fault(app: str) -> str | None:
    limit = longest_app_name()
    if len(app) > limit:
        return (
            f"has {len(app)} characters, may have {limit}: names derived from it, such as {too_long_name(app)}, "
            "would be longer than Kubernetes allows"
        )
    return None


def _machine_type_fault(name: str) -> str | None:
    try:
        machine_type_named(name)
    except UnknownMachineTypeError as error:
        if not is_of_known_family(name):
            # Google has more machine types than this program knows, and new ones every year.
            return None
        # What it says first repeats the value, which the stack may have encrypted.
        return f"is not a known machine type: {str(error).partition(': ')[2]}"
    return None


def _ipv4_network_fault(network: str) -> str | None:
    try:
        ipaddress.IPv4Network(network)
    except ValueError:
        return "must be an IPv4 network in CIDR notation whose host bits are zero, for example 203.0.113.0/24"
    return None


def _is_mapping(text: SecretStr) -> bool:
    try:
        return isinstance(yaml.safe_load(text.get_secret_value()), dict)
    except yaml.YAMLError:
        return False


def _at_most(number: int, who: str) -> AfterValidator:
    return _rule(
        lambda entries: f"has {len(entries)} entries; {who} at most {number}" if len(entries) > number else None
    )


# What the API server demands of names (k8s.io/apimachinery/pkg/util/validation).
DNS_1035_LABEL = _must_match(
    r"[a-z](?:[a-z0-9-]*[a-z0-9])?",
    "must be a DNS-1035 label: lower-case letters, digits and '-', starting with a letter, not ending in '-'",
)
KUBECONFIG = _must(
    _is_mapping, "must be the contents of a kubeconfig, not its path; the command below reads them with `< FILE`"
)
DNS_1123_LABEL = _must_match(
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
    "must be a DNS-1123 label: up to 63 lower-case letters, digits and '-', not at either end '-'",
)
_DNS_1123_SUBDOMAIN = r"(?!.{254})[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
OBJECT_NAME = _must_match(
    _DNS_1123_SUBDOMAIN, "must be the name of an object: lower-case letters, digits, '-' and '.', up to 253 of them"
)
# k8s.io/apimachinery/pkg/util/validation, `IsQualifiedName` and `IsValidLabelValue`.
_LABEL_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
LABEL_KEY = _must_match(
    rf"(?!app\.kubernetes\.io/)(?:{_DNS_1123_SUBDOMAIN}/)?{_LABEL_NAME}",
    "must be the key of a label, for example release; those of app.kubernetes.io are the program's own",
)
LABEL_VALUE = _must_match(
    f"(?:{_LABEL_NAME})?", "must be the value of a label: up to 63 letters, digits, '-', '_' and '.'"
)
STORAGE_CLASS = _must_match(
    _DNS_1123_SUBDOMAIN,
    "must be the name of a StorageClass; `kubectl get storageclass` lists them",
)
SHORT_ENOUGH_FOR_ALL_NAMES = _rule(_length_fault)
NOT_OF_KUBERNETES = _must_match(r"(?!kube-).*", "starts with kube-, which Kubernetes reserves for its own namespaces")
CLUSTER_NAME = _must_match(
    r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?",
    "must be 1 to 40 lower-case letters, digits and '-', starting with a letter, not ending in '-'",
)
CLUSTER_LOCATION = _must(region_of, "must be a zone such as us-west1-a or a region such as us-west1")
NETWORK = _must_match(
    _NETWORK_PATTERN, "must be a network's name, or projects/<project>/global/networks/<name> of another project"
)
SUBNETWORK = _must_match(
    SUBNETWORK_PATTERN,
    "must be a subnetwork's name, or projects/<project>/regions/<region>/subnetworks/<name> of another project",
)
IPV4_NETWORK = _rule(_ipv4_network_fault)
NOT_TOO_MANY_NETWORKS = _at_most(_MOST_AUTHORIZED_NETWORKS, "GKE takes")
MACHINE_TYPE = _rule(_machine_type_fault)
NUMBER_OF_NODES = _must_lie_between(1, _MOST_NODES, "nodes in each zone of the cluster")
NODE_DISK_SIZE = _must_be_quantity(
    _SMALLEST_NODE_DISK_GIB * GIB,
    MOST_GIBIBYTES * GIB,
    "must be a Kubernetes quantity such as 200Gi",
    f"must be {_SMALLEST_NODE_DISK_GIB}Gi to {MOST_GIBIBYTES}Gi; write for example 200Gi",
)
DISK_SIZE = _must_be_quantity(
    1, math.inf, "must be a Kubernetes quantity such as 8Gi", "must be at least one byte; write for example 8Gi"
)
CACHE_SIZE = _must_be_quantity(
    LEAST_CACHE_GIB * GIB,
    math.inf,
    "must be a Kubernetes quantity such as 100Gi",
    f"must be at least {LEAST_CACHE_GIB}Gi: a layer of some gigabytes must have room; write for example 100Gi",
)
REGISTRY = _rule(registry_name_fault)
PORT = _must(range(1, 65536).__contains__, "must be a port from 1 to 65535")
NO_ENTRY_TWICE = _must(lambda entries: len(set(entries)) == len(entries), "names an entry twice")
REGISTRY_LIST = _rule(registry_list_fault)
# The pod of the peer can write there: nothing but the directory of the mirrors may be named.
REGISTRY_CONFIG_PATH = _must_match(
    r"(?!.*\.\.)(?:/[A-Za-z0-9._-]+)+/containerd/[A-Za-z0-9._-]+",
    "must be the absolute path of a directory in containerd's own, as its config.toml names it",
)
IMAGE_TAG = _rule(tag_fault)
RELEASE = _rule(line_fault)
CLIENT_RELEASE = _rule(client_fault)
IMAGE_REGISTRY = _rule(registry_fault)
IMAGE_REFERENCE = _rule(image_reference_fault)
# Characters that need no quoting in YAML, SQL, a MySQL DSN, my.cnf, redis.conf and a shell.
PASSWORD = _must_match(
    r"[A-Za-z0-9._~+=,^!*-]{12,128}",
    "must be 12 to 128 characters out of letters, digits and . _ ~ + = , ^ ! * - "
    "(others would have to be quoted differently in SQL, DSN, YAML and shell)",
    SecretStr.get_secret_value,
)
UNPRIVILEGED_PORT = _must(
    _UNPRIVILEGED_PORTS.__contains__,
    f"must be a port from {_UNPRIVILEGED_PORTS.start} to {_UNPRIVILEGED_PORTS.stop - 1}; "
    "lower ones need root on the node",
)
NO_EPHEMERAL_PORT = _must(
    lambda port: port not in _EPHEMERAL_PORTS,
    f"lies in {_EPHEMERAL_PORTS.start} to {_EPHEMERAL_PORTS.stop - 1}, which Linux hands to outgoing "
    "connections: the peer could find it taken",
)
MONITORING = _must(tuple(Monitoring).__contains__, f"must be one of {', '.join(Monitoring)}")
NOTIFICATION_CHANNEL = _must_match(
    r"[^@\s/]+@[^@\s/]+\.[^@\s/.]+|projects/[a-z0-9:.-]+/notificationChannels/\d+",
    "must be an e-mail address, or projects/<project>/notificationChannels/<number> of a channel that is there",
)
NOT_TOO_MANY_CHANNELS = _at_most(_MOST_CHANNELS, "an alert policy takes")
TIME_OF_DAY = _must_match(r"(?:[01]\d|2[0-3]):[0-5]\d", "must be a time of day in UTC, for example 03:00")
# Google wants at least 4 hours at a time, and 48 in 32 days (GKE documentation, "Maintenance windows and exclusions").
MAINTENANCE_HOURS = _must_lie_between(4, 24, "hours a day")
READY_SECONDS = _must_lie_between(10, 3600, "seconds")
