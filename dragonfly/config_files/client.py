"""The config files of the Rust client, which seed peers and peers of 2.5 run (d7y.io: reference/configuration/client).

Without a manager's address it finds the schedulers by its second file, `dynconfig.yaml`: a thousand nodes that ask the
manager would only load it.
"""

from __future__ import annotations

from dragonfly.config_files.document import Document
from dragonfly.parts.cache import (
    CLIENT_FREED_PERCENT,
    CLIENT_FULL_PERCENT,
    Cache,
    client_cache_gibibytes,
)
from dragonfly.parts.ports import ALL_ADDRESSES, LOOPBACK, PeerPorts
from dragonfly.parts.registry_mirrors import DOCKER_HUB_API
from dragonfly.parts.work_directories import CACHE, DATA, RUN

# As 2.1's peers have it.
_BYTES_PER_SECOND = "1GiB"


def client_config(ports: PeerPorts, *, cache: Cache, is_seed_peer: bool) -> Document:
    """Return `dfdaemon.yaml`; nothing in it is secret. What is left out keeps the client's default.

    Args:
        ports: where it listens.
        cache: where it keeps what it has fetched.
        is_seed_peer: whether the schedulers have it fetch from registries for all others.
    """
    return {
        "server": {"cacheDir": CACHE},
        "download": {
            "server": {"socketPath": f"{RUN}/dfdaemon.sock"},
            "bandwidthLimit": _BYTES_PER_SECOND,
            "backToSourceBandwidthLimit": _BYTES_PER_SECOND,
        },
        "upload": {
            # Other peers ask here, and kubelet's probe. Who else does is the firewall's: the node's own address, which
            # only its pod knows, would keep out nobody who reaches that.
            "server": {"ip": ALL_ADDRESSES, "port": ports.grpc},
            "bandwidthLimit": _BYTES_PER_SECOND,
        },
        # Every announcement looks for the schedulers anew: one that moved is found by the next.
        "scheduler": {"announceInterval": "10s"},
        **({"seedPeer": {"enable": True, "type": "super"}} if is_seed_peer else {}),
        "dynconfig": {"refreshInterval": "10s"},
        "storage": {
            "server": {"ip": ALL_ADDRESSES, "tcpPort": ports.upload, "quicPort": ports.quic},
            "dir": DATA,
            # What has been downloaded is served again after a restart of the container.
            "keep": True,
        },
        "gc": {
            # The default of 15 minutes is time enough to fill the volume.
            "interval": "10s",
            "policy": {
                "taskTTL": cache.lifetime,
                "diskThreshold": f"{client_cache_gibibytes(cache.size)}GiB",
                "diskHighThresholdPercent": CLIENT_FULL_PERCENT,
                "diskLowThresholdPercent": CLIENT_FREED_PERCENT,
            },
        },
        "proxy": {
            # On every address, a pod could reach the node's metadata server, and with it the node's credentials,
            # through the proxy, which forwards anything to anywhere. Its own `basicAuth` would take the header in which
            # a registry's token comes.
            "server": {"ip": LOOPBACK, "port": ports.proxy},
            # containerd says with a header which registry it wants; this one is asked only when the header is missing.
            "registryMirror": {"addr": DOCKER_HUB_API},
            "rules": [{"regex": "blobs/sha256.*"}],
        },
        "health": {"server": {"ip": ALL_ADDRESSES, "port": ports.health}},
        "metrics": {"server": {"ip": ALL_ADDRESSES, "port": ports.metrics}},
        # Profiles of the process, for whoever asks.
        "stats": {"server": {"ip": LOOPBACK, "port": ports.stats}},
        "network": {"enableIPv6": False},
    }


def scheduler_discovery(scheduler_address: str) -> Document:
    """Return `dynconfig.yaml`.

    Args:
        scheduler_address: `host:port`, whose name stands for every scheduler's own address: the client spreads the
            tasks over them, and each task has one scheduler that knows all of its peers.
    """
    return {"scheduler": {"addr": scheduler_address}}
