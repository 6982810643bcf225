"""Which registries the nodes' containerd asks through their peer, and whom it asks when the peer does not answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dragonfly.parts.ports import LOOPBACK

DEFAULT_REGISTRIES = ("docker.io", "ghcr.io", "quay.io", "registry.k8s.io")

# GKE API reference, ContainerdConfig: each server is one hosts.toml, and at most so many are allowed.
MOST_REGISTRIES = 25

# The header by which the peer's proxy learns the registry's real address.
REGISTRY_HEADER = "X-Dragonfly-Registry"

MIRROR_WRITER = "registry-mirrors"
"""Container of the peer's pod that writes the mirrors onto the nodes of an existing cluster."""

# A peer listens or it does not: it is on the same node. containerd's own default would hold every pull of a node whose
# peer hangs for half a minute; GKE takes up to 180 s.
DIAL_TIMEOUT = "1s"

# What Docker Hub is called in image references, and where its API is: https://docker.io/v2 is not a registry.
_DOCKER_HUB = "docker.io"
DOCKER_HUB_API = "https://registry-1.docker.io"
# Google's cache of Docker Hub's popular images: no rate limit, and no NAT needed from nodes without public addresses.
_DOCKER_HUB_CACHE = "https://mirror.gcr.io"

# GKE's system pods and the default images come from here; the peer must not stand between a new node and what it needs
# to get going.
_INSTALLATION_REGISTRIES = ("gke.gcr.io", "marketplace.gcr.io")

_HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True)
class RegistryMirror:
    """One registry as the nodes' containerd sees it.

    Attributes:
        registry: its name in image references, with a port where it has one.
        upstream: URL of its API, which the peer fetches from.
        fallbacks: URLs that containerd asks, in order, when the peer does not answer.
    """

    registry: str
    upstream: str
    fallbacks: tuple[str, ...]


def registry_mirror(registry: str) -> RegistryMirror:
    """How a registry is mirrored.

    Args:
        registry: for example `docker.io` or `registry.example.com:5000`.
    """
    if registry == _DOCKER_HUB:
        return RegistryMirror(registry, DOCKER_HUB_API, (_DOCKER_HUB_CACHE, DOCKER_HUB_API))
    upstream = f"https://{registry}"
    return RegistryMirror(registry, upstream, (upstream,))


def registry_port(registry: str) -> int | None:
    """Return the port that a registry's name has, or None."""
    port = registry.partition(":")[2]
    return int(port) if port else None


def peer_proxy(proxy_port: int) -> str:
    """URL of a node's own peer. The scheme is said because containerd would try TLS."""
    return f"http://{LOOPBACK}:{proxy_port}"


def registry_name_fault(registry: str) -> str | None:
    """Return what is wrong with one entry of `registryMirrors` by GKE's rules and ours, or None."""
    if "://" in registry:
        return "must be a host without a scheme, for example quay.io"
    if "/" in registry:
        return "must be a host without a path: a mirror serves a whole registry"
    if "*" in registry:
        return "must be one host: GKE takes no wildcards"
    match = _HOST.fullmatch(registry)
    if match is None:
        return "must be a registry's host in lower-case letters, with a port where it has one, for example quay.io"
    if match["port"] and not 1 <= int(match["port"]) <= 65535:
        return "has a port outside 1 to 65535"
    if "." not in registry and match["port"] is None:
        return "must be a full host name: without a dot or a port containerd takes it for a repository of Docker Hub"
    if registry == "registry-1.docker.io":
        return f"is the API of Docker Hub: write {_DOCKER_HUB}, as image references do"
    if registry in _INSTALLATION_REGISTRIES:
        return "serves GKE's own images or the peer's: it must be reachable before the first peer runs"
    return None


def registry_list_fault(registries: Sequence[str]) -> str | None:
    """Return what is wrong with `registryMirrors` as a whole, or None."""
    if len(registries) > MOST_REGISTRIES:
        return f"has {len(registries)} entries; GKE takes at most {MOST_REGISTRIES}"
    if len(set(registries)) < len(registries):
        return "names a registry twice"
    return None
