"""A stack of Dragonfly 2.5 whose nodes pull a local registry's images, and a Prometheus that reads it."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dragonfly.monitoring.scope import Scope
from local.api.kubeconfig import connect
from local.cluster.control_plane import Cluster
from local.cluster.kinds import define_kinds
from local.tools import toolchain
from local.tools.built_client import LATEST_TAG
from local.tools.catalog import PROMETHEUS_OPERATOR_KINDS
from tests.nodes.conftest import Kubectl
from tests.nodes.local_registry import LocalRegistry
from tests.nodes.mirrored_stack import MirroredStack
from tests.nodes.own_stack import NAMES, own_stack
from tests.nodes.prometheus_server import Prometheus, prometheus_for
from tests.nodes.small_disks import give_small_disks
from tests.nodes.trusted_peers import trust


@dataclass(frozen=True)
class WatchedStack(MirroredStack):
    """The stack.

    Attributes:
        prometheus: who reads its metrics.
    """

    prometheus: Prometheus

    @property
    def scope(self) -> Scope:
        """What queries about it say."""
        return Scope(self.stack.namespace, NAMES)


@contextmanager
def watched_stack(
    cluster: Cluster,
    kubectl: Kubectl,
    registry: LocalRegistry,
    archive: Path,
    folder: Path,
    name: str,
    first_port: int,
    *,
    small_disks: bool = False,
) -> Generator[WatchedStack]:
    """Install one, and let it be read.

    Args:
        cluster: where.
        kubectl: on that cluster.
        registry: whose images its nodes pull through their peers.
        archive: of the image that pods are made of.
        folder: for the engine's state.
        name: of the stack and its namespace.
        first_port: of those that its peers listen on.
        small_disks: whether Redis and the seed peer have disks that a test can fill.
    """
    watchers = f"{name}-by"
    config: dict[str, Any] = {
        "tag": LATEST_TAG,
        "registryMirrors": [registry.name],
        "monitoring": "operator",
        "metricsFrom": json.dumps([watchers]),
        **({"seedPeerCacheSize": "10Gi"} if small_disks else {}),
    }
    with connect(cluster.kubeconfig) as api:
        define_kinds(api, toolchain.provide([PROMETHEUS_OPERATOR_KINDS]).values())
        with own_stack(cluster, kubectl, folder, name, first_port, **config) as own:
            trust(own, registry, f"daemonset/{NAMES.peer}", f"statefulset/{NAMES.seed_peer}")
            if small_disks:
                give_small_disks(cluster, own, NAMES.redis, NAMES.seed_peer)
            with prometheus_for(kubectl, api, watchers, name) as prometheus:
                yield WatchedStack(own, registry, cluster, archive, first_port + 1, prometheus)
