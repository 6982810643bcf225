"""What a peer or a seed peer keeps of the images that went through it. It can be fetched again."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from dragonfly.quantity import parse_quantity

CACHE_SIZE_LIMIT = "30Gi"
"""Of the volume: a pod beyond it is evicted, with all that it has cached."""

CACHE_SIZE_GIB = 20
"""From this size on 2.1 drops what was used least recently, but it looks only now and then: downloads need room."""

LEAST_CACHE_GIB = 10
"""Of a volume: a layer of some gigabytes must have room before something else is freed."""

CLIENT_FULL_PERCENT, CLIENT_FREED_PERCENT = 75, 60
"""Of what the client takes at most. It frees the rest before there is no room for a layer of some gigabytes."""

TASK_LIFETIME = "6h"
"""After which what nobody asked for is dropped in any case: the cache shares the node's boot disk with images and logs.

Written as Go and Rust's humantime both read it.
"""

DISK_LIFETIME = "720h"
"""The same of a cache on a disk of its own, which takes room from nobody: the client's own default of thirty days."""


@dataclass(frozen=True)
class Cache:
    """Where a client keeps what it has fetched.

    Attributes:
        size: of the volume, a Kubernetes quantity of at least `LEAST_CACHE_GIB`.
        lifetime: after which what nobody asked for is dropped.
    """

    size: str
    lifetime: str


POD_CACHE = Cache(CACHE_SIZE_LIMIT, TASK_LIFETIME)
"""On the node's boot disk; goes with the pod."""

# The log and what else the program writes may lie on the same volume.
_CLIENT_SHARE = Decimal("0.8")


def client_cache_gibibytes(volume_size: str) -> int:
    """Return what the client takes at most: it refuses what would go beyond, and the node asks the registry for that.

    Args:
        volume_size: of the volume that the cache lies on, a Kubernetes quantity of at least `LEAST_CACHE_GIB`.
    """
    return int(parse_quantity(volume_size) * _CLIENT_SHARE) // 2**30
