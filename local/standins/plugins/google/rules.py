"""Rules of Google's APIs for names, addresses and registry mirrors, that can be told from the inputs alone."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from local.standins.plugins.google.types import Fault
from local.standins.plugins.object_fields import objects_at, text_at, value_at
from local.standins.plugins.property_values import Properties, Value

Network: TypeAlias = ipaddress.IPv4Network

_RESOURCE_NAME: Final = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
_ACCOUNT_ID: Final = re.compile(r"[a-z](?:[-a-z0-9]{4,28}[a-z0-9])")
_CLUSTER_NAME_LIMIT: Final = 40
_POOL_NAME_LIMIT: Final = 40
_PROJECT: Final = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]")

_MOST_SERVERS: Final = 25
_MOST_HOSTS: Final = 10
_MOST_DIAL_SECONDS: Final = 180
_CAPABILITIES: Final = ("HOST_CAPABILITY_PULL", "HOST_CAPABILITY_RESOLVE", "HOST_CAPABILITY_PUSH")
_SERVER: Final = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\d{1,5})?")
_DURATION: Final = re.compile(r"(?P<seconds>\d+(?:\.\d{1,9})?)s")


def is_project(text: str) -> bool:
    """Whether a text can be a project's ID."""
    return _PROJECT.fullmatch(text) is not None


def name_faults(inputs: Properties, field: str = "name") -> list[Fault]:
    """Return what Compute Engine has against a name (RFC 1035, 63 characters)."""
    name = inputs.get(field)
    if not isinstance(name, str) or _RESOURCE_NAME.fullmatch(name):
        return []
    return [Fault(field, f'"{field}" ("{name}") doesn\'t match regexp "^(?:[a-z](?:[-a-z0-9]{{0,61}}[a-z0-9])?)$"')]


def account_id_faults(inputs: Properties) -> list[Fault]:
    """Return what IAM has against the id of a service account (6 to 30 characters)."""
    name = inputs.get("accountId")
    if not isinstance(name, str) or _ACCOUNT_ID.fullmatch(name):
        return []
    reason = f'"account_id" ("{name}") doesn\'t match regexp "^[a-z](?:[-a-z0-9]{{4,28}}[a-z0-9])$"'
    return [Fault("accountId", reason)]


def cluster_name_faults(inputs: Properties) -> list[Fault]:
    """Return what the provider has against a cluster's name (`resource_container_cluster.go`)."""
    name = inputs.get("name")
    if not isinstance(name, str):
        return []
    reasons: list[str] = []
    if len(name) > _CLUSTER_NAME_LIMIT:
        reasons.append(f'"name" cannot be longer than {_CLUSTER_NAME_LIMIT} characters')
    if not re.fullmatch(r"[a-z0-9-]*", name):
        reasons.append('"name" can only contain lowercase letters, numbers and hyphens')
    if not re.match(r"[a-z]", name):
        reasons.append('"name" must start with a letter')
    if not re.search(r"[a-z0-9]$", name):
        reasons.append('"name" must end with a number or a letter')
    return [Fault("name", reason) for reason in reasons]


def pool_name_faults(inputs: Properties) -> list[Fault]:
    """Return what GKE has against a node pool's name."""
    name = inputs.get("name")
    if isinstance(name, str) and len(name) > _POOL_NAME_LIMIT:
        return [Fault("name", f'"name" cannot be longer than {_POOL_NAME_LIMIT} characters')]
    return name_faults(inputs)


def choice_faults(inputs: Value, steps: tuple[str, ...], known: tuple[str, ...], prefix: str = "") -> list[Fault]:
    """Return what is wrong with a text that must be one of a few, and may be missing.

    Args:
        inputs: where it is looked for.
        steps: where in the inputs it is.
        known: what it may be.
        prefix: of its path in the message.
    """
    found, path = value_at(inputs, *steps), prefix + ".".join(steps)
    if not isinstance(found, str) or found in known:
        return []
    return [Fault(path, f"expected {path} to be one of [{' '.join(known)}], got {found}")]


def range_at(inputs: Value, *path: str) -> Network | None:
    """Return the IPv4 range at a path, or None where there is none or it is not one."""
    text = text_at(inputs, *path)
    try:
        return ipaddress.IPv4Network(text) if "/" in text else None
    except ValueError:
        return None


def range_faults(inputs: Value, path: str, *steps: str) -> list[Fault]:
    """Return what is wrong with the form of a range in CIDR notation, which may be missing.

    Args:
        inputs: where it is looked for.
        path: how it is called in the message.
        steps: where in the inputs it is.
    """
    found = value_at(inputs, *steps)
    if not isinstance(found, str) or not found:
        return []
    try:
        ipaddress.IPv4Network(found)
    except ValueError as error:
        return [Fault(path, f"expected {path} to contain a valid network CIDR, got {found!r} ({error})")]
    if "/" not in found:
        return [Fault(path, f"expected {path} to contain a valid network CIDR, got {found!r}")]
    return []


def overlap(ranges: Sequence[tuple[str, Network]]) -> tuple[str, str] | None:
    """Return the names of the first two ranges that overlap, or None.

    Args:
        ranges: names and ranges.
    """
    for index, (name, one) in enumerate(ranges):
        for other_name, other in ranges[index + 1 :]:
            if one.overlaps(other):
                return name, other_name
    return None


def registry_faults(containerd_config: Properties, path: str) -> list[Fault]:
    """Return what GKE has against registry hosts (GKE API reference, `ContainerdConfig.registryHosts`).

    Args:
        containerd_config: the node pool's.
        path: where it is, for the messages.
    """
    servers = objects_at(containerd_config, "registryHosts")
    faults: list[Fault] = []
    if len(servers) > _MOST_SERVERS:
        faults.append(Fault(f"{path}.registryHosts", f"{len(servers)} servers; at most {_MOST_SERVERS} are allowed"))
    names = [text_at(server, "server") for server in servers]
    for index, server in enumerate(servers):
        at = f"{path}.registryHosts[{index}]"
        name = names[index]
        if isinstance(server.get("server"), str) and _SERVER.fullmatch(name) is None:
            faults.append(
                Fault(
                    f"{at}.server",
                    f"invalid registry server {name!r}: expected a host name or IP address with an optional port; "
                    "schemes, paths and wildcards are not supported",
                )
            )
        if name in names[:index]:
            faults.append(Fault(f"{at}.server", f"duplicate registry server {name!r}"))
        faults += _hosts_faults(objects_at(server, "hosts"), at)
    return faults


def _hosts_faults(hosts: list[Properties], at: str) -> Iterator[Fault]:
    if len(hosts) > _MOST_HOSTS:
        yield Fault(f"{at}.hosts", f"{len(hosts)} hosts; at most {_MOST_HOSTS} are allowed for a server")
    for index, host in enumerate(hosts):
        inner = f"{at}.hosts[{index}]"
        url = host.get("host")
        if isinstance(url, str) and not re.fullmatch(r"https?://[^/\s]+(?:/\S*)?", url):
            yield Fault(f"{inner}.host", f"invalid host {url!r}: expected it to start with http:// or https://")
        capabilities = host.get("capabilities")
        for capability in capabilities if isinstance(capabilities, list) else []:
            if isinstance(capability, str) and capability not in _CAPABILITIES:
                yield Fault(
                    f"{inner}.capabilities", f"expected one of {', '.join(_CAPABILITIES)}, found {capability!r}"
                )
        timeout = host.get("dialTimeout")
        if isinstance(timeout, str):
            match = _DURATION.fullmatch(timeout)
            if match is None or float(match["seconds"]) > _MOST_DIAL_SECONDS:
                yield Fault(
                    f"{inner}.dialTimeout", f"expected a duration of 0s to {_MOST_DIAL_SECONDS}s, found {timeout!r}"
                )
