"""The scheduler's config file (d7y.io: reference/configuration/scheduler)."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from dragonfly.config_files.document import Document
from dragonfly.parts import ports
from dragonfly.parts.databases import RedisDatabase
from dragonfly.parts.names import Names

CLUSTER_ID = 1
"""The cluster that the manager creates at its first start."""


def scheduler_config(
    names: Names,
    *,
    redis_password: pulumi.Input[str],
    server: Mapping[str, str],
    redis_databases: Mapping[str, int],
    keep_alive: str,
    seed_peer: Document,
) -> Document:
    """Return the scheduler's config for one instance. What is left out keeps Dragonfly's default.

    Args:
        names: the names of the instance's objects.
        redis_password: secret.
        server: where it writes and how much it logs, by the release line's key for each.
        redis_databases: numbers of databases that the release line needs besides, by its key for each.
        keep_alive: how often it tells the manager that it is there, as Go writes durations.
        seed_peer: the release line's switch for seed peers; empty where there is none.
    """
    return {
        "server": {"port": ports.SCHEDULER_GRPC, **server},
        "scheduler": {"algorithm": "default"},
        # Until 2.0 this stood under job.redis, which 2.1 still reads but calls deprecated.
        "database": {
            "redis": {
                "addrs": [f"{names.redis_service}:{ports.REDIS}"],
                "password": redis_password,
                "brokerDB": RedisDatabase.BROKER.value,
                "backendDB": RedisDatabase.BACKEND.value,
                **redis_databases,
            }
        },
        # The scheduler learns of its seed peers this way: with the default of a minute the first downloads after an
        # installation would all go to the registry.
        "dynConfig": {"refreshInterval": "10s"},
        "manager": {
            "addr": f"{names.manager_service}:{ports.MANAGER_GRPC}",
            "schedulerClusterID": CLUSTER_ID,
            "keepAlive": {"interval": keep_alive},
        },
        **seed_peer,
        "job": {"enable": True},
        "metrics": {"enable": True, "addr": f":{ports.METRICS}"},
        "network": {"enableIPv6": False},
        "console": True,
    }
