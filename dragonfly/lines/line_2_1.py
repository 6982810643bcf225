"""Dragonfly 2.1, of the click-to-deploy images: the Go peer, and nothing newer than March 2024."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pulumi

from dragonfly.config_files.daemon import daemon_config, peer_discovery, seed_peer_discovery
from dragonfly.config_files.document import Document
from dragonfly.config_files.manager import ManagerSecrets, manager_config
from dragonfly.config_files.scheduler import scheduler_config
from dragonfly.lines.release_line import PeerProgram, ReleaseLine
from dragonfly.parts import ports
from dragonfly.parts.cache import Cache
from dragonfly.parts.container_resources import ContainerResources
from dragonfly.parts.databases import RedisDatabase
from dragonfly.parts.images import MARKETPLACE, Image, ImageSource
from dragonfly.parts.names import Names
from dragonfly.parts.ports import PeerPorts
from dragonfly.parts.work_directories import CACHE, CONFIG, DATA, LOGS, WORK_HOME

# The guide writes dragonfly-seedpeer2, which does not exist.
_REPOSITORIES = {
    Image.MANAGER: "dragonfly-manager2",
    Image.SCHEDULER: "dragonfly-scheduler2",
    Image.SEED_PEER: "dragonfly-seed-peer2",
    Image.PEER: "dragonfly-dfget2",
}

# The manager counts a scheduler or a seed peer as active from its first keep-alive on, which comes a whole interval
# after its start, and gives out only active ones: a seed peer that finds no scheduler asks again 10 s later. The
# interval is therefore shorter than what a seed peer takes from the scheduler's open port to its question. A message
# costs the manager a read from a stream, nothing else, and only schedulers and seed peers send them.
_KEEP_ALIVE = "200ms"

_CONFIG_FILE = "dfget.yaml"
_COMMAND = ("/opt/dragonfly/bin/dfget", "daemon", "--config", f"{CONFIG}/{_CONFIG_FILE}")


class Line21(ReleaseLine):
    """Dragonfly 2.1."""

    name = "2.1"
    peer_ports = ("peerPort", "proxyPort", "uploadPort", "peerHealthPort", "peerMetricsPort")
    password_cache_seconds = 0
    finds_schedulers_by_name = False
    # Looked at only now and then, a volume that is nearly full would be over-full.
    sizes_cache = False
    counts_transfers = False
    # Measured with 2.1.34: the most memory, and the CPU time, of 1 GB pulled on three nodes. Ten times that is 10 GB,
    # or thirty nodes, for which the CPU requests count ten minutes: a measured second of CPU time is 17m. A download in
    # more of a hurry finds its CPU below the limit.
    resources: ClassVar[Mapping[Image, ContainerResources]] = {
        # 82 MB, 0.6 s. Memory hardly grows with load: peers do not ask it, and it keeps answers for two seconds. CPU is
        # for its start and for whoever signs in, when the node is busy.
        Image.MANAGER: ContainerResources("50m", "2", "128Mi", "1Gi"),
        # 55 MB, 0.9 s. It keeps every task of every peer in memory: by the request tenfold load may take 200 MB more.
        Image.SCHEDULER: ContainerResources("50m", "2", "256Mi", "2Gi"),
        # 56 MB, 5.9 s. More peers mean more uploads at once, each with its buffers.
        Image.SEED_PEER: ContainerResources("100m", "2", "256Mi", "2Gi"),
        # 56 MB, 3.4 to 4.8 s. Pieces go to the disk: memory follows how many layers a node pulls at once, which stays
        # the same, and how many others fetch from it, which the scheduler limits.
        Image.PEER: ContainerResources("100m", "2", "128Mi", "1Gi"),
    }

    def images(self, tag: str, client_tag: str) -> Mapping[Image, ImageSource]:
        del client_tag
        return {
            image: ImageSource(MARKETPLACE, repository, tag, tag_keys=("tag",))
            for image, repository in _REPOSITORIES.items()
        }

    def manager_config(self, names: Names, secrets: ManagerSecrets) -> Document:
        return manager_config(
            names,
            secrets,
            directories={"workHome": WORK_HOME, "cacheDir": CACHE, "logDir": LOGS},
            object_storage={"objectStorage": {"enable": False}},
        )

    def scheduler_config(self, names: Names, *, redis_password: pulumi.Input[str]) -> Document:
        return scheduler_config(
            names,
            redis_password=redis_password,
            server={"workHome": WORK_HOME, "cacheDir": CACHE, "logDir": LOGS, "dataDir": DATA},
            redis_databases={"networkTopologyDB": RedisDatabase.NETWORK_TOPOLOGY.value},
            keep_alive=_KEEP_ALIVE,
            seed_peer={"seedPeer": {"enable": True}},
        )

    def peer(self, names: Names, ports: PeerPorts) -> PeerProgram:
        scheduler = _scheduler(names)
        return PeerProgram(
            _COMMAND,
            {_CONFIG_FILE: daemon_config(ports, peer_discovery(scheduler))},
            (scheduler,),
            {"grpc": ports.grpc, "proxy": ports.proxy, **_for_others(ports)},
        )

    def seed_peer(self, names: Names, ports: PeerPorts, cache: Cache) -> PeerProgram:
        del cache
        manager = _manager(names)
        return PeerProgram(
            _COMMAND,
            {_CONFIG_FILE: daemon_config(ports, seed_peer_discovery(manager, _KEEP_ALIVE))},
            (manager, _scheduler(names)),
            {"grpc": ports.grpc, **_for_others(ports)},
        )


def _for_others(ports: PeerPorts) -> dict[str, int]:
    return {"upload": ports.upload, "health": ports.health, "metrics": ports.metrics}


def _manager(names: Names) -> str:
    return f"{names.manager_service}:{ports.MANAGER_GRPC}"


def _scheduler(names: Names) -> str:
    return f"{names.scheduler_service}:{ports.SCHEDULER_GRPC}"
