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
    peer = container.NodePoolNodeConfigContainerdConfigRegistryHostHostArgs(
        host=peer_proxy(proxy_port),
        capabilities=_READ,
        headers=[
            container.NodePoolNodeConfigContainerdConfigRegistryHostHostHeaderArgs(
                key=REGISTRY_HEADER, values=[mirror.upstream]
            )
        ],
        dial_timeout=DIAL_TIMEOUT,
    )
    fallbacks = [
        container.NodePoolNodeConfigContainerdConfigRegistryHostHostArgs(host=url, capabilities=_READ)
        for url in mirror.fallbacks
    ]
    return container.NodePoolNodeConfigContainerdConfigRegistryHostArgs(
        server=mirror.registry, hosts=[peer, *fallbacks]
    )


def containerd_config(settings: Settings) -> str:
    """Return the same as a file, for node pools that somebody else has made.

    `gcloud container node-pools update --containerd-config-from-file` takes it: the API's names (GKE API reference,
    ContainerdConfig), which are not those of the resource.

    Args:
        settings: the stack's config.
    """

    def registry_hosts() -> Iterator[dict[str, Any]]:
        for mirror in map(registry_mirror, settings.registry_mirrors):
            header = [{"key": REGISTRY_HEADER, "value": [mirror.upstream]}]
            peer = {"host": peer_proxy(settings.proxy_port), "header": header, "dialTimeout": DIAL_TIMEOUT}
            hosts = [peer, *({"host": url} for url in mirror.fallbacks)]
            yield {"server": mirror.registry, "hosts": [{**host, "capabilities": [*_READ]} for host in hosts]}

    return yaml.safe_dump({"registryHosts": list(registry_hosts())}, sort_keys=False)
