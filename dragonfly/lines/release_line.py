"""What a release line decides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pulumi

from dragonfly.config_files.document import Document
from dragonfly.config_files.manager import ManagerSecrets
from dragonfly.parts.cache import Cache
from dragonfly.parts.container_resources import ContainerResources
from dragonfly.parts.images import Image, ImageSource
from dragonfly.parts.names import Names
from dragonfly.parts.ports import PeerPorts


@dataclass(frozen=True)
class PeerProgram:
    """The program that runs as a peer or as a seed peer.

    Attributes:
        command: the binary with its arguments.
        files: its config files, by name.
        waits_for: `host:port` of everything without which it exits.
        ports: the TCP ports that it listens on for others, by name.
        udp_ports: the same of UDP.
    """

    command: tuple[str, ...]
    files: Mapping[str, Document]
    waits_for: tuple[str, ...]
    ports: Mapping[str, int]
    udp_ports: Mapping[str, int] = field(default_factory=dict[str, int])


class ReleaseLine(ABC):
    """One release line. Only what differs is here: the rest is the same for every line.

    Attributes:
        name: the first two numbers of its releases.
        resources: of the containers that run Dragonfly's own images.
        peer_ports: the config keys of the ports that a peer takes on its node.
        password_cache_seconds: how long the manager may compare a password with what it has cached of a user, where
            there is none: it refuses the right one then.
        finds_schedulers_by_name: whether peers and seed peers look for schedulers by the name of their own addresses.
        sizes_cache: whether what a seed peer caches may have a volume of any size.
        counts_transfers: whether its metrics tell what clients have fetched and keep, and who signed in.
    """

    name: ClassVar[str]
    resources: ClassVar[Mapping[Image, ContainerResources]]
    peer_ports: ClassVar[tuple[str, ...]]
    password_cache_seconds: ClassVar[int]
    finds_schedulers_by_name: ClassVar[bool]
    sizes_cache: ClassVar[bool]
    counts_transfers: ClassVar[bool]

    @abstractmethod
    def images(self, tag: str, client_tag: str) -> Mapping[Image, ImageSource]:
        """Return where the images of Dragonfly's own programs come from.

        Args:
            tag: of the stack's config.
            client_tag: the same, of the client.
        """

    @abstractmethod
    def manager_config(self, names: Names, secrets: ManagerSecrets) -> Document:
        """Return the manager's config; see `manager_config`."""

    @abstractmethod
    def scheduler_config(self, names: Names, *, redis_password: pulumi.Input[str]) -> Document:
        """Return the scheduler's config; see `scheduler_config`."""

    @abstractmethod
    def peer(self, names: Names, ports: PeerPorts) -> PeerProgram:
        """Return what runs on every node.

        Args:
            names: of the instance's objects.
            ports: of the node.
        """

    @abstractmethod
    def seed_peer(self, names: Names, ports: PeerPorts, cache: Cache) -> PeerProgram:
        """Return what fetches from the registries for all.

        Args:
            names: of the instance's objects.
            ports: of its pod.
            cache: where it keeps what it has fetched.
        """
