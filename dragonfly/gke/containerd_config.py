"""What the containerd of GKE's nodes is told of the mirrors: the peer first, the registry itself after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from pulumi_gcp import container

from dragonfly.parts.registry_mirrors import (
    DIAL_TIMEOUT,
    REGISTRY_HEADER,
    RegistryMirror,
    peer_proxy,
    registry_mirror,
)
from dragonfly.settings.model import Settings

# A peer only reads: nobody must be able to push through it.
_READ = ["HOST_CAPABILITY_PULL", "HOST_CAPABILITY_RESOLVE"]


def registry_host(
    mirror: RegistryMirror, proxy_port: int
) -> container.NodePoolNodeConfigContainerdConfigRegistryHostArgs:
    """Return one registry's hosts.toml as GKE writes it onto every node.

    Args:
        mirror: the registry.
        proxy_port: of the peer's proxy on the node's loopback address.
    """
    hosts = [
        container.NodePoolNodeConfigContainerdConfigRegistryHostHostArgs(
            host=host["host"],
            capabilities=host["capabilities"],
            headers=[
                container.NodePoolNodeConfigContainerdConfigRegistryHostHostHeaderArgs(
                    key=header["key"], values=header["value"]
                )
                for header in host.get("header", [])
            ]
            or None,
            dial_timeout=host.get("dialTimeout"),
        )
        for host in _hosts(mirror, proxy_port)
    ]
    return container.NodePoolNodeConfigContainerdConfigRegistryHostArgs(server=mirror.registry, hosts=hosts)


def containerd_config(settings: Settings) -> str:
    """Return the same as a file, for node pools that somebody else has made.

    `gcloud container node-pools update --containerd-config-from-file` takes it: the API's names (GKE API reference,
    ContainerdConfig), which are not those of the resource.

    Args:
        settings: the stack's config.
    """

    registry_hosts = [
        {"server": mirror.registry, "hosts": list(_hosts(mirror, settings.proxy_port))}
        for mirror in map(registry_mirror, settings.registry_mirrors)
    ]
    return yaml.safe_dump({"registryHosts": registry_hosts}, sort_keys=False)


def _hosts(mirror: RegistryMirror, proxy_port: int) -> Iterator[dict[str, Any]]:
    """Yield whom containerd asks, in this order, by the API's names."""
    header = [{"key": REGISTRY_HEADER, "value": [mirror.upstream]}]
    peer = {"host": peer_proxy(proxy_port), "header": header, "dialTimeout": DIAL_TIMEOUT}
    for host in (peer, *({"host": url} for url in mirror.fallbacks)):
        yield {**host, "capabilities": [*_READ]}
