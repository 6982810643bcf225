"""The scheduler's config file, as Dragonfly 2.1 reads it (d7y.io: reference/configuration/scheduler)."""

from __future__ import annotations

from typing import TypedDict

import pulumi

from dragonfly.config_files.manager import Metrics, Network
from dragonfly.parts import ports
from dragonfly.parts.databases import RedisDatabase
from dragonfly.parts.names import Names
from dragonfly.parts.work_directories import CACHE, DATA, LOGS, WORK_HOME

# The cluster that the manager creates at its first start.
CLUSTER_ID = 1


class SchedulerServer(TypedDict):
    port: int
    workHome: str
    cacheDir: str
    logDir: str
    dataDir: str


class Scheduling(TypedDict):
    algorithm: str


class SchedulerRedisClient(TypedDict):
    addrs: list[str]
    password: pulumi.Input[str]
    brokerDB: int
    backendDB: int
    networkTopologyDB: int


class SchedulerDatabase(TypedDict):
    redis: SchedulerRedisClient


class DynConfig(TypedDict):
    refreshInterval: str


class KeepAlive(TypedDict):
    interval: str


# The manager counts a scheduler or a seed peer as active from its first keep-alive on, which comes a whole interval
# after its start, and gives out only active ones: a seed peer that finds no scheduler asks again 10 s later. The
# interval is therefore shorter than what a seed peer takes from the scheduler's open port to its question. A message
# costs the manager a read from a stream, nothing else, and only schedulers and seed peers send them.
KEEP_ALIVE: KeepAlive = {"interval": "200ms"}


class ManagerClient(TypedDict):
    addr: str
    schedulerClusterID: int
    keepAlive: KeepAlive


class Switch(TypedDict):
    enable: bool


class SchedulerConfig(TypedDict):
    """The whole file. What is left out keeps Dragonfly's default."""

    server: SchedulerServer
    scheduler: Scheduling
    database: SchedulerDatabase
    dynConfig: DynConfig
    manager: ManagerClient
    seedPeer: Switch
    job: Switch
    metrics: Metrics
    network: Network
    console: bool


def scheduler_config(names: Names, *, redis_password: pulumi.Input[str]) -> SchedulerConfig:
    """Return the scheduler's config for one instance.

    Args:
        names: the names of the instance's objects.
        redis_password: secret.
    """
    return {
        "server": {
            "port": ports.SCHEDULER_GRPC,
            "workHome": WORK_HOME,
            "cacheDir": CACHE,
            "logDir": LOGS,
            "dataDir": DATA,
        },
        "scheduler": {"algorithm": "default"},
        # Until 2.0 this stood under job.redis, which 2.1 still reads but calls deprecated.
        "database": {
            "redis": {
                "addrs": [f"{names.redis_service}:{ports.REDIS}"],
                "password": redis_password,
                "brokerDB": RedisDatabase.BROKER.value,
                "backendDB": RedisDatabase.BACKEND.value,
                "networkTopologyDB": RedisDatabase.NETWORK_TOPOLOGY.value,
            }
        },
        # The scheduler learns of its seed peers this way: with the default of a minute the first downloads after an
        # installation would all go to the registry.
        "dynConfig": {"refreshInterval": "10s"},
        "manager": {
            "addr": f"{names.manager_service}:{ports.MANAGER_GRPC}",
            "schedulerClusterID": CLUSTER_ID,
            "keepAlive": KEEP_ALIVE,
        },
        "seedPeer": {"enable": True},
        "job": {"enable": True},
        "metrics": {"enable": True, "addr": f":{ports.METRICS}"},
        "network": {"enableIPv6": False},
        "console": True,
    }
