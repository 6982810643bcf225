"""The manager's config file, as Dragonfly 2.1 reads it (d7y.io: reference/configuration/manager)."""

from __future__ import annotations

from typing import TypedDict

import pulumi

from dragonfly.parts import ports
from dragonfly.parts.databases import DATABASE, USER, RedisDatabase
from dragonfly.parts.names import Names
from dragonfly.parts.work_directories import CACHE, LOGS, WORK_HOME


class PortRange(TypedDict):
    """A range of ports to try in turn; one port twice leaves no choice."""

    start: int
    end: int


class ManagerGrpc(TypedDict):
    port: PortRange


class ManagerRest(TypedDict):
    addr: str


class ManagerServer(TypedDict):
    grpc: ManagerGrpc
    rest: ManagerRest
    workHome: str
    cacheDir: str
    logDir: str


class Jwt(TypedDict):
    realm: str
    key: pulumi.Input[str]
    timeout: str
    maxRefresh: str


class Auth(TypedDict):
    jwt: Jwt


class MysqlClient(TypedDict):
    user: str
    password: pulumi.Input[str]
    host: str
    port: int
    dbname: str
    migrate: bool


class ManagerRedisClient(TypedDict):
    addrs: list[str]
    password: pulumi.Input[str]
    db: int
    brokerDB: int
    backendDB: int


class ManagerDatabase(TypedDict):
    type: str
    mysql: MysqlClient
    redis: ManagerRedisClient


class RedisCache(TypedDict):
    ttl: str


class LocalCache(TypedDict):
    size: int
    ttl: str


class ManagerCache(TypedDict):
    redis: RedisCache
    local: LocalCache


class ObjectStorage(TypedDict):
    enable: bool


class Metrics(TypedDict):
    enable: bool
    addr: str


class Network(TypedDict):
    enableIPv6: bool


class ManagerConfig(TypedDict):
    """The whole file. What is left out keeps Dragonfly's default."""

    server: ManagerServer
    auth: Auth
    database: ManagerDatabase
    cache: ManagerCache
    objectStorage: ObjectStorage
    metrics: Metrics
    network: Network
    console: bool


def manager_config(
    names: Names,
    *,
    mysql_password: pulumi.Input[str],
    redis_password: pulumi.Input[str],
    token_key: pulumi.Input[str],
) -> ManagerConfig:
    """Return the manager's config for one instance.

    Args:
        names: the names of the instance's objects.
        mysql_password: of the user `dragonfly`, secret.
        redis_password: secret.
        token_key: signs the console's tokens, secret.
    """
    return {
        "server": {
            "grpc": {"port": {"start": ports.MANAGER_GRPC, "end": ports.MANAGER_GRPC}},
            "rest": {"addr": f":{ports.MANAGER_REST}"},
            "workHome": WORK_HOME,
            "cacheDir": CACHE,
            "logDir": LOGS,
        },
        # A public key would let anyone who reaches the console sign an administrator's token.
        "auth": {"jwt": {"realm": "Dragonfly", "key": token_key, "timeout": "48h", "maxRefresh": "48h"}},
        "database": {
            "type": "mysql",
            "mysql": {
                "user": USER,
                "password": mysql_password,
                "host": names.mysql_service,
                "port": ports.MYSQL,
                "dbname": DATABASE,
                "migrate": True,
            },
            "redis": {
                "addrs": [f"{names.redis_service}:{ports.REDIS}"],
                "password": redis_password,
                "db": RedisDatabase.CACHE.value,
                "brokerDB": RedisDatabase.BROKER.value,
                "backendDB": RedisDatabase.BACKEND.value,
            },
        },
        # What the manager tells a seed peer of schedulers, and a scheduler of seed peers, is kept for both times
        # together: after one has moved they would look for each other at the old address for minutes. Few ask, each
        # every 10 s: peers are told the scheduler's Service. Redis would keep what is to go within a second for hours.
        "cache": {"redis": {"ttl": "2s"}, "local": {"size": 200000, "ttl": "2s"}},
        "objectStorage": {"enable": False},
        "metrics": {"enable": True, "addr": f":{ports.METRICS}"},
        "network": {"enableIPv6": False},
        # Logs on standard output, where the node's log agent and kubectl logs find them.
        "console": True,
    }
