"""The config file of `dfget daemon`, which seed peers and peers both run (d7y.io: reference/configuration/dfdaemon)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NotRequired, TypedDict

from dragonfly.config_files.manager import Network, PortRange
from dragonfly.config_files.scheduler import CLUSTER_ID, KEEP_ALIVE, KeepAlive
from dragonfly.parts.ports import LOOPBACK
from dragonfly.parts.work_directories import CACHE, DATA, LOGS, RUN, WORK_HOME

ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - other peers and kubelet must reach it; who else does is the firewall's

# containerd says with a header which registry it wants; this one is asked only when the header is missing. An empty
# URL would switch the mirror off.
_DEFAULT_REGISTRY = "https://registry-1.docker.io"
# From this size on the daemon drops what was used least recently ...
CACHE_SIZE = "20Gi"
# ... but it looks only now and then, and a pod beyond its volume's limit is evicted: downloads need room meanwhile.
CACHE_SIZE_LIMIT = "30Gi"
# A name that no request can have (RFC 2606): requests to be forwarded must match the list, mirror requests need not.
_NOWHERE = "nowhere.invalid"


class NetAddr(TypedDict):
    type: str
    addr: str


class SeedPeerRole(TypedDict):
    enable: bool
    type: str
    clusterID: int
    keepAlive: KeepAlive


class ManagerDiscovery(TypedDict):
    enable: bool
    netAddrs: NotRequired[list[NetAddr]]
    refreshInterval: NotRequired[str]
    seedPeer: NotRequired[SeedPeerRole]


class SchedulerClient(TypedDict):
    manager: ManagerDiscovery
    netAddrs: NotRequired[list[NetAddr]]
    scheduleTimeout: str


class TcpListen(TypedDict):
    listen: str
    port: PortRange


class UnixListen(TypedDict):
    socket: str


class Security(TypedDict):
    insecure: bool


class TcpServer(TypedDict):
    security: Security
    tcpListen: TcpListen


class UnixServer(TypedDict):
    unixListen: UnixListen


class Download(TypedDict):
    totalRateLimit: str
    perPeerRateLimit: str
    downloadGRPC: UnixServer
    peerGRPC: TcpServer


class Upload(TcpServer):
    rateLimit: str


class Storage(TypedDict):
    taskExpireTime: str
    strategy: str
    diskGCThreshold: str
    diskGCThresholdPercent: int
    multiplex: bool


class RegistryMirror(TypedDict):
    dynamic: bool
    url: str
    insecure: bool
    direct: bool


class AllowedHost(TypedDict):
    host: str


class ProxyRule(TypedDict):
    regx: str


class Proxy(TcpServer):
    defaultFilter: str
    registryMirror: RegistryMirror
    proxies: list[ProxyRule]
    whiteList: list[AllowedHost]


class DaemonConfig(TypedDict):
    """The whole file. What is left out keeps Dragonfly's default."""

    console: bool
    aliveTime: str
    keepStorage: bool
    workHome: str
    cacheDir: str
    logDir: str
    dataDir: str
    metrics: str
    scheduler: SchedulerClient
    download: Download
    upload: Upload
    storage: Storage
    health: TcpServer
    proxy: Proxy
    network: Network


@dataclass(frozen=True)
class DaemonPorts:
    """TCP ports of one daemon."""

    grpc: int
    proxy: int
    upload: int
    health: int
    metrics: int


def seed_peer_discovery(manager_address: str) -> SchedulerClient:
    """Return how a seed peer finds schedulers: it registers with the manager, which tells it.

    Args:
        manager_address: `host:port` of the manager's gRPC server.
    """
    return {
        "manager": {
            "enable": True,
            "netAddrs": [{"type": "tcp", "addr": manager_address}],
            # How long an answer is kept. A seed peer that asks before the scheduler is active finds none, and serves
            # nothing until it asks again: at the next of its looks, every 10 s, that finds the answer too old; unless
            # set, after ten minutes.
            "refreshInterval": "2s",
            "seedPeer": {
                "enable": True,
                "type": "super",
                "clusterID": CLUSTER_ID,
                "keepAlive": KEEP_ALIVE,
            },
        },
        "scheduleTimeout": "30s",
    }


def peer_discovery(scheduler_address: str) -> SchedulerClient:
    """Return how a peer finds its scheduler: it is told; a thousand nodes that ask would only load the manager.

    Args:
        scheduler_address: `host:port` of the scheduler's gRPC server.
    """
    return {
        "manager": {"enable": False},
        "netAddrs": [{"type": "tcp", "addr": scheduler_address}],
        "scheduleTimeout": "30s",
    }


def daemon_config(ports: DaemonPorts, discovery: SchedulerClient) -> DaemonConfig:
    """Return the config of one daemon; nothing in it is secret.

    Args:
        ports: where it listens.
        discovery: how it finds its scheduler.
    """
    return {
        "console": True,
        # For ever: the default of five minutes without a download ends the daemon, which is meant for single commands.
        "aliveTime": "0s",
        # What has been downloaded is served again after a restart of the container.
        "keepStorage": True,
        "workHome": WORK_HOME,
        "cacheDir": CACHE,
        "logDir": LOGS,
        "dataDir": DATA,
        "metrics": f":{ports.metrics}",
        "scheduler": discovery,
        "download": {
            "totalRateLimit": "1024Mi",
            "perPeerRateLimit": "512Mi",
            "downloadGRPC": {"unixListen": {"socket": f"{RUN}/dfdaemon.sock"}},
            # Other peers fetch from here, and kubelet's probe asks here.
            "peerGRPC": _listen(ALL_ADDRESSES, ports.grpc),
        },
        "upload": {**_listen(ALL_ADDRESSES, ports.upload), "rateLimit": "1024Mi"},
        "storage": {
            "taskExpireTime": "6h",
            "strategy": "io.d7y.storage.v2.simple",
            # The cache shares the node's boot disk with images and logs.
            "diskGCThreshold": CACHE_SIZE,
            "diskGCThresholdPercent": 80,
            "multiplex": True,
        },
        "health": _listen(ALL_ADDRESSES, ports.health),
        "proxy": {
            # On every address, a pod could reach the node's metadata server, and with it the node's credentials,
            # through the proxy.
            **_listen(LOOPBACK, ports.proxy),
            # containerd adds ?ns=; without the filter one blob would have several task ids.
            "defaultFilter": "Expires&Signature&ns",
            "registryMirror": {
                "dynamic": True,
                "url": _DEFAULT_REGISTRY,
                # Manifests go through here unchecked by a digest: whoever stands in between could swap an image.
                "insecure": False,
                "direct": False,
            },
            "proxies": [{"regx": "blobs/sha256.*"}],
            # An open proxy on the node forwards anything to anywhere for whoever gets onto the node.
            "whiteList": [{"host": _NOWHERE}],
        },
        "network": {"enableIPv6": False},
    }


def _listen(address: str, port: int) -> TcpServer:
    return {
        # No TLS, said outright: where this part of a server's options is missing, some of them ask for a certificate.
        "security": {"insecure": True},
        # A single number is a start: the daemon would take the next free port, where nobody looks for it.
        "tcpListen": {"listen": address, "port": {"start": port, "end": port}},
    }
