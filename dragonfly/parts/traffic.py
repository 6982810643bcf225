"""Who opens connections to whom in an installation, and where: the network policies refuse everything else.

A stack that moves from one release line to another has pods of both for a time, so what either of them needs is here.
All of it is TCP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dragonfly.parts import ports
from dragonfly.parts.labels import Component
from dragonfly.parts.names import Names, workload_names
from dragonfly.parts.ports import PeerPorts


@dataclass(frozen=True)
class Flow:
    """Connections that one component opens to another.

    Attributes:
        source: who opens them.
        destination: who listens.
        ports: where.
    """

    source: Component
    destination: Component
    ports: tuple[int, ...]


METRICS_PORTS: Final[Mapping[Component, int]] = {
    Component.MANAGER: ports.METRICS,
    Component.SCHEDULER: ports.METRICS,
    Component.SEED_PEER: ports.METRICS,
    Component.MYSQL: ports.MYSQLD_EXPORTER,
    Component.REDIS: ports.REDIS_EXPORTER,
}
"""Where Prometheus finds each of them."""

# The manager asks for the manifest of an image that is to be preheated.
ASK_REGISTRIES: Final = (Component.MANAGER, Component.SEED_PEER)

REGISTRY_PORTS: Final = (443, 80)
"""Where registries listen unless their names say more."""


def flows(peer: PeerPorts) -> Sequence[Flow]:
    """Return all of them.

    Args:
        peer: ports of the nodes.
    """
    seed_peer_serves = (ports.SEED_PEER_GRPC, ports.SEED_PEER_UPLOAD)
    peer_serves = (peer.grpc, peer.upload)
    return (
        Flow(Component.MANAGER, Component.MYSQL, (ports.MYSQL,)),
        Flow(Component.MANAGER, Component.REDIS, (ports.REDIS,)),
        Flow(Component.ROOT_PASSWORD, Component.MANAGER, (ports.MANAGER_REST,)),
        Flow(Component.SCHEDULER, Component.MANAGER, (ports.MANAGER_GRPC,)),
        Flow(Component.SCHEDULER, Component.REDIS, (ports.REDIS,)),
        # It sends clients to fetch what is preheated; one of 2.1 also fetches files of a few bytes itself.
        Flow(Component.SCHEDULER, Component.SEED_PEER, seed_peer_serves),
        Flow(Component.SCHEDULER, Component.PEER, peer_serves),
        # One of 2.1 asks there for schedulers.
        Flow(Component.SEED_PEER, Component.MANAGER, (ports.MANAGER_GRPC,)),
        Flow(Component.SEED_PEER, Component.SCHEDULER, (ports.SCHEDULER_GRPC,)),
        Flow(Component.SEED_PEER, Component.SEED_PEER, seed_peer_serves),
        Flow(Component.SEED_PEER, Component.PEER, peer_serves),
        Flow(Component.PEER, Component.SCHEDULER, (ports.SCHEDULER_GRPC,)),
        Flow(Component.PEER, Component.SEED_PEER, seed_peer_serves),
    )


def policy_names(names: Names) -> dict[Component, str]:
    """Return the names of the network policies, of every component whose pods have addresses of their own.

    Args:
        names: of the instance's objects.
    """
    return {component: name for component, name in workload_names(names).items() if component is not Component.PEER}
