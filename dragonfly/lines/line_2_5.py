"""Dragonfly 2.5, of upstream's own images: the Rust client as peer and seed peer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pulumi

from dragonfly.config_files.client import client_config, scheduler_discovery
from dragonfly.config_files.document import Document
from dragonfly.config_files.manager import ManagerSecrets, manager_config
from dragonfly.config_files.scheduler import scheduler_config
from dragonfly.lines.release_line import PeerProgram, ReleaseLine
from dragonfly.parts import ports
from dragonfly.parts.cache import POD_CACHE, Cache
from dragonfly.parts.container_resources import ContainerResources
from dragonfly.parts.images import Image, ImageSource
from dragonfly.parts.names import Names
from dragonfly.parts.ports import PeerPorts
from dragonfly.parts.work_directories import CONFIG, LOGS

# Docker Hub, which has them too, limits anonymous pulls, and the nodes of a private cluster share one address.
_REGISTRY = "ghcr.io/dragonflyoss"

# The manager writes into its database at every one: at the default of five seconds twelve times a minute for each
# scheduler. Nobody waits for the first: peers and seed peers do not ask the manager for schedulers.
_KEEP_ALIVE = "5s"

# At `info` scheduler and client log the headers of each pull, and with them the password or token that a private
# registry was given: whoever may read logs could pull its images.
_LOG_LEVEL = "warn"

_CONFIG_FILE, _DISCOVERY_FILE = "dfdaemon.yaml", "dynconfig.yaml"
_COMMAND = (
    "/usr/local/bin/dfdaemon",
    "--console",
    "--log-level",
    _LOG_LEVEL,
    "--config",
    f"{CONFIG}/{_CONFIG_FILE}",
    "--dynconfig",
    f"{CONFIG}/{_DISCOVERY_FILE}",
)


class Line25(ReleaseLine):
    """Dragonfly 2.5."""

    name = "2.5"
    peer_ports = (
        "peerPort",
        "proxyPort",
        "uploadPort",
        "peerHealthPort",
        "peerMetricsPort",
        "peerStatsPort",
        "peerQuicPort",
    )
    # It caches rows as JSON, which leaves passwords out (d7y.io/dragonfly/v2, manager/database/cacher.go, `defaultTTL`,
    # and manager/models/user.go). Whatever it writes empties the cache, such as a scheduler's keep-alive.
    password_cache_seconds = 30
    finds_schedulers_by_name = True
    sizes_cache = True
    counts_transfers = True
    # Measured with 2.5.1 and the client 1.4.3, which was built in less time and for less speed than the released one
    # (at `opt-level` 1; `make client` builds it at 0 now): the most memory, and the CPU time, of 1 GB in four images
    # that two nodes pulled at once. The rest as with 2.1.
    resources: ClassVar[Mapping[Image, ContainerResources]] = {
        Image.MANAGER: ContainerResources("50m", "2", "128Mi", "1Gi"),  # 87 MB, 0.5 s
        Image.SCHEDULER: ContainerResources("50m", "2", "256Mi", "2Gi"),  # 60 MB, 1.6 s
        # 263 MB, 7.9 s; 215 MB before the first pull, and as much as here after a second GB: what it keeps of pieces in
        # memory is bounded (`storage.cacheCapacity`).
        Image.SEED_PEER: ContainerResources("100m", "2", "512Mi", "2Gi"),
        Image.PEER: ContainerResources("100m", "2", "384Mi", "1Gi"),  # 245 MB, 4.7 to 5.4 s
    }

    def images(self, tag: str, client_tag: str) -> Mapping[Image, ImageSource]:
        client = ImageSource(_REGISTRY, "client", _upstream(client_tag), tag_keys=("clientTag",))
        server = {
            image: ImageSource(_REGISTRY, f"dragonfly/{name}", _upstream(tag), mirrored=name, tag_keys=("tag",))
            for image, name in {Image.MANAGER: "manager", Image.SCHEDULER: "scheduler"}.items()
        }
        return {**server, Image.SEED_PEER: client, Image.PEER: client}

    def manager_config(self, names: Names, secrets: ManagerSecrets) -> Document:
        return manager_config(
            names,
            secrets,
            directories={"logDir": LOGS},
            object_storage={},
        )

    def scheduler_config(self, names: Names, *, redis_password: pulumi.Input[str]) -> Document:
        return scheduler_config(
            names,
            redis_password=redis_password,
            server={"logDir": LOGS, "logLevel": _LOG_LEVEL},
            redis_databases={},
            keep_alive=_KEEP_ALIVE,
            seed_peer={},
        )

    def peer(self, names: Names, ports: PeerPorts) -> PeerProgram:
        config = client_config(ports, cache=POD_CACHE, is_seed_peer=False)
        return _client(names, ports, config, {"proxy": ports.proxy, "stats": ports.stats})

    def seed_peer(self, names: Names, ports: PeerPorts, cache: Cache) -> PeerProgram:
        return _client(names, ports, client_config(ports, cache=cache, is_seed_peer=True), {})


def _client(names: Names, peer_ports: PeerPorts, config: Document, on_the_node: Mapping[str, int]) -> PeerProgram:
    # The name of the schedulers' own addresses: the client exits where it stands for none.
    schedulers = f"{names.scheduler_headless}:{ports.SCHEDULER_GRPC}"
    return PeerProgram(
        _COMMAND,
        {
            _CONFIG_FILE: config,
            _DISCOVERY_FILE: scheduler_discovery(schedulers),
        },
        (schedulers,),
        {
            "grpc": peer_ports.grpc,
            **on_the_node,
            "upload": peer_ports.upload,
            "health": peer_ports.health,
            "metrics": peer_ports.metrics,
        },
        {"quic": peer_ports.quic},
    )


def _upstream(tag: str) -> str:
    # Upstream's tags begin with a v.
    return tag if tag.startswith("v") else f"v{tag}"
