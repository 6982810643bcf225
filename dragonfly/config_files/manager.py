"""The manager's config file (d7y.io: reference/configuration/manager)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from dragonfly.config_files.document import Document
from dragonfly.parts import ports
from dragonfly.parts.databases import DATABASE, USER, RedisDatabase
from dragonfly.parts.names import Names


@dataclass(frozen=True)
class ManagerSecrets:
    """What the manager signs in with, and signs with.

    Attributes:
        mysql_password: of the user `dragonfly`.
        redis_password: of Redis.
        token_key: signs the console's tokens.
    """

    mysql_password: pulumi.Input[str]
    redis_password: pulumi.Input[str]
    token_key: pulumi.Input[str]


def manager_config(
    names: Names, secrets: ManagerSecrets, *, directories: Mapping[str, str], object_storage: Document
) -> Document:
    """Return the manager's config for one instance. What is left out keeps Dragonfly's default.

    Args:
        names: the names of the instance's objects.
        secrets: what it signs in with.
        directories: where it writes, by the key that the release line has for each.
        object_storage: the release line's switch for object storage, which it does not need; empty where there is none.
    """
    return {
        "server": {
            # A range of ports to try in turn; one port twice leaves no choice.
            "grpc": {"port": {"start": ports.MANAGER_GRPC, "end": ports.MANAGER_GRPC}},
            "rest": {"addr": f":{ports.MANAGER_REST}"},
            **directories,
        },
        # A public key would let anyone who reaches the console sign an administrator's token.
        "auth": {"jwt": {"realm": "Dragonfly", "key": secrets.token_key, "timeout": "48h", "maxRefresh": "48h"}},
        "database": {
            "type": "mysql",
            "mysql": {
                "user": USER,
                "password": secrets.mysql_password,
                "host": names.mysql_service,
                "port": ports.MYSQL,
                "dbname": DATABASE,
                "migrate": True,
            },
            "redis": {
                "addrs": [f"{names.redis_service}:{ports.REDIS}"],
                "password": secrets.redis_password,
                "db": RedisDatabase.CACHE.value,
                "brokerDB": RedisDatabase.BROKER.value,
                "backendDB": RedisDatabase.BACKEND.value,
            },
        },
        # What the manager tells a seed peer of schedulers, and a scheduler of seed peers, is kept for both times
        # together: after one has moved they would look for each other at the old address for minutes. Few ask, each
        # every 10 s: peers are told the scheduler's Service. Redis would keep what is to go within a second for hours.
        "cache": {"redis": {"ttl": "2s"}, "local": {"size": 200000, "ttl": "2s"}},
        **object_storage,
        "metrics": {"enable": True, "addr": f":{ports.METRICS}"},
        "network": {"enableIPv6": False},
        # Logs on standard output, where the node's log agent and kubectl logs find them.
        "console": True,
    }
