"""The config file of `dfget daemon`, the peer and seed peer of 2.1 (d7y.io: reference/configuration/dfdaemon)."""

from __future__ import annotations

from dragonfly.config_files.document import Document
from dragonfly.config_files.scheduler import CLUSTER_ID
from dragonfly.parts.cache import CACHE_SIZE_GIB, TASK_LIFETIME
from dragonfly.parts.ports import ALL_ADDRESSES, LOOPBACK, PeerPorts
from dragonfly.parts.registry_mirrors import DOCKER_HUB_API
from dragonfly.parts.work_directories import CACHE, DATA, LOGS, RUN, WORK_HOME

# A name that no request can have (RFC 2606): requests to be forwarded must match the list, mirror requests need not.
_NOWHERE = "nowhere.invalid"


def seed_peer_discovery(manager_address: str, keep_alive: str) -> Document:
    """Return how a seed peer finds schedulers: it registers with the manager, which tells it.

    Args:
        manager_address: `host:port` of the manager's gRPC server.
        keep_alive: how often it tells the manager that it is there, as Go writes durations.
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
                "keepAlive": {"interval": keep_alive},
            },
        },
        "scheduleTimeout": "30s",
    }


def peer_discovery(scheduler_address: str) -> Document:
    """Return how a peer finds its scheduler: it is told; a thousand nodes that ask would only load the manager.

    Args:
        scheduler_address: `host:port` of the scheduler's gRPC server.
    """
    return {
        "manager": {"enable": False},
        "netAddrs": [{"type": "tcp", "addr": scheduler_address}],
        "scheduleTimeout": "30s",
    }


def daemon_config(ports: PeerPorts, discovery: Document) -> Document:
    """Return the config of one daemon; nothing in it is secret. What is left out keeps Dragonfly's default.

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
            "taskExpireTime": TASK_LIFETIME,
            "strategy": "io.d7y.storage.v2.simple",
            # The cache shares the node's boot disk with images and logs.
            "diskGCThreshold": f"{CACHE_SIZE_GIB}Gi",
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
                # containerd says with a header which registry it wants; this one is asked only when the header is
                # missing. An empty URL would switch the mirror off.
                "url": DOCKER_HUB_API,
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


def _listen(address: str, port: int) -> dict[str, object]:
    return {
        # No TLS, said outright: where this part of a server's options is missing, some of them ask for a certificate.
        "security": {"insecure": True},
        # A single number is a start: the daemon would take the next free port, where nobody looks for it.
        "tcpListen": {"listen": address, "port": {"start": port, "end": port}},
    }
