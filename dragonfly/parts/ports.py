"""Ports that the installed software listens on, where the stack's config does not choose them.

TCP, but for QUIC. The numbers are the defaults of Dragonfly 2.1 and of the Rust client, of the click-to-deploy images
and of the two exporters. The peers on the nodes' own network take theirs from the config: see `Settings.peer_port` and
its neighbours.
"""

from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - other peers and kubelet must reach it; who else does is the firewall's

MANAGER_REST = 8080
MANAGER_GRPC = 65003
SCHEDULER_GRPC = 8002

SEED_PEER_GRPC = 65006
SEED_PEER_PROXY = 65007
SEED_PEER_UPLOAD = 65008
SEED_PEER_HEALTH = 40902
SEED_PEER_STATS = 4004
SEED_PEER_QUIC = 4006

# Manager, scheduler and seed peer each have a network namespace of their own, so one number serves all three.
METRICS = 8000

MYSQL = 3306
MYSQLD_EXPORTER = 9104
REDIS = 6379
REDIS_EXPORTER = 9121


@dataclass(frozen=True)
class PeerPorts:
    """Ports of one peer or seed peer.

    Attributes:
        grpc: serves other peers, and kubelet's probes.
        proxy: on the loopback address, for containerd.
        upload: serves pieces to other peers.
        health: answers health checks by HTTP.
        metrics: serves Prometheus.
        stats: on the loopback address, profiles of the process; from 2.5 on.
        quic: serves pieces by UDP; from 2.5 on.
    """

    grpc: int
    proxy: int
    upload: int
    health: int
    metrics: int
    stats: int
    quic: int
