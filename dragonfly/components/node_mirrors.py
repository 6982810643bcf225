"""The registry mirrors of an existing cluster: the peer's pod writes them where its node's containerd looks for them.

A GKE node pool takes the mirrors as its configuration. On any other node a second container of the peer's pod writes
one hosts.toml for each registry, which containerd reads at every pull, and removes exactly these files when the pod
goes. It starts nothing anew and enters nobody's namespaces: one directory of the node is all that it can write to.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core import v1 as core

from dragonfly.parts.container_resources import MIRROR_WRITER_RESOURCES
from dragonfly.parts.registry_mirrors import MIRROR_WRITER, REGISTRY_HEADER, RegistryMirror, peer_proxy
from dragonfly.pods.security import container_security_context
from dragonfly.scripts.shell_command import shell_command

_HOSTS = "/node/hosts"
_CONFIG = "/node/containerd"
_HOSTS_VOLUME = "registry-hosts"
_CONFIG_VOLUME = "containerd-config"


@dataclass(frozen=True)
class NodeMirrors:
    """Mirrors of the nodes of an existing cluster.

    Args:
        mirrors: the registries.
        proxy_port: of the peer's proxy on the node's loopback address.
        config_path: directory of the node that its containerd names as `config_path`.
    """

    mirrors: Sequence[RegistryMirror]
    proxy_port: int
    config_path: str

    def container(self, image: str, instance: pulumi.Input[str]) -> core.ContainerArgs:
        """Return the container beside the peer.

        Args:
            image: the peer's, which has a shell and is on the node already.
            instance: what tells this instance from every other in the cluster.
        """
        files: list[pulumi.Input[str]] = []
        for mirror in self.mirrors:
            files += [mirror.registry, hosts_file(mirror, self.proxy_port)]
        security = container_security_context(0)
        # containerd's directories belong to root. Without capabilities, on a read-only image, that means no more than
        # owning them.
        security.run_as_non_root = False
        return core.ContainerArgs(
            name=MIRROR_WRITER,
            image=image,
            command=shell_command("registry_mirrors", instance, self.config_path, *files),
            env=[core.EnvVarArgs(name="HOSTS", value=_HOSTS), core.EnvVarArgs(name="CONFIG", value=_CONFIG)],
            resources=MIRROR_WRITER_RESOURCES.requirements(),
            security_context=security,
            volume_mounts=[
                core.VolumeMountArgs(name=_HOSTS_VOLUME, mount_path=_HOSTS),
                core.VolumeMountArgs(name=_CONFIG_VOLUME, mount_path=_CONFIG, read_only=True),
            ],
        )

    def volumes(self) -> list[core.VolumeArgs]:
        """Return the node's directories that the container sees.

        The mirrors', to write, and the one above it, to read: only containerd's own config says whether it looks for
        mirrors at all. The script reads config.toml and what is beside it in *.d there; whoever takes over the
        container could read the rest, too, such as a registry's password in that config. Settings sees to it that both
        are containerd's and no other directory of the node.
        """
        directories = {_HOSTS_VOLUME: self.config_path, _CONFIG_VOLUME: posixpath.dirname(self.config_path)}
        return [
            core.VolumeArgs(name=name, host_path=core.HostPathVolumeSourceArgs(path=path, type="DirectoryOrCreate"))
            for name, path in directories.items()
        ]


def hosts_file(mirror: RegistryMirror, proxy_port: int) -> str:
    """Return what a registry's hosts.toml says (containerd documentation, "Registry Configuration").

    Args:
        mirror: the registry.
        proxy_port: of the peer's proxy on the node's loopback address.
    """
    *between, last = mirror.fallbacks
    peer = _text(peer_proxy(proxy_port))
    capabilities = '  capabilities = ["pull", "resolve"]'
    lines = [
        # Asked when no host below answers.
        f"server = {_text(last)}",
        f"[host.{peer}]",
        capabilities,
        f"[host.{peer}.header]",
        f"  {REGISTRY_HEADER} = {_text(mirror.upstream)}",
    ]
    for url in between:
        lines += [f"[host.{_text(url)}]", capabilities]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    # A string of JSON is one of TOML.
    return json.dumps(value)
