"""Draws docs/dashboard.svg: the dashboard of a real installation of Dragonfly 2.5 through which nodes pull images.

Not a test: `make pictures` runs it, for about ten minutes. The file is read in docs/metrics.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from dragonfly.monitoring.panels import panels
from dragonfly.monitoring.scope import Scope
from local.api.errors import create_unless_exists
from local.api.kubeconfig import connect
from local.cluster.control_plane import Cluster
from local.cluster.kinds import define_kinds
from local.tools import toolchain
from local.tools.built_client import LATEST_TAG
from local.tools.catalog import PROMETHEUS_OPERATOR_KINDS
from tests.nodes.conftest import Kubectl
from tests.nodes.local_registry import LocalRegistry
from tests.nodes.mirrored_stack import MirroredStack
from tests.nodes.node_images import NODES
from tests.nodes.own_stack import NAMES, own_stack
from tests.nodes.prometheus_server import Prometheus, start
from tests.nodes.trusted_peers import trust
from tests.program.recorded.panel_plots import PICTURE, lines_of, picture

FIRST_PORT = 64600
NAME, WATCHERS = "pictured", "pictured-by"
SECONDS, STEP_SECONDS = 240, 5
SIZE = 40_000_000


@pytest.fixture
def watched(
    cluster: Cluster, kubectl: Kubectl, images: list[Path], registry: LocalRegistry, tmp_path: Path
) -> Iterator[tuple[MirroredStack, Prometheus]]:
    """An installation and who reads its metrics."""
    config = {
        "tag": LATEST_TAG,
        "registryMirrors": [registry.name],
        "monitoring": "operator",
        "metricsFrom": json.dumps([WATCHERS]),
    }
    with connect(cluster.kubeconfig) as api:
        core: Any = client.CoreV1Api(api)
        define_kinds(api, toolchain.provide([PROMETHEUS_OPERATOR_KINDS]).values())
        create_unless_exists(core.create_namespace, {"metadata": {"name": WATCHERS}})
        with own_stack(cluster, kubectl, tmp_path, NAME, FIRST_PORT, **config) as own:
            trust(own, registry, f"daemonset/{NAMES.peer}", f"statefulset/{NAMES.seed_peer}")
            custom: Any = client.CustomObjectsApi(api)
            found = custom.list_namespaced_custom_object("monitoring.coreos.com", "v1", NAME, "podmonitors")
            pods = core.list_namespaced_pod(NAME, label_selector="!batch.kubernetes.io/job-name").items
            prometheus = start(kubectl, api, WATCHERS, found["items"], pods)
            yield MirroredStack(own, registry, cluster, images[0], FIRST_PORT + 1), prometheus


@pytest.mark.needs_client
def test_the_dashboard_is_drawn(watched: tuple[MirroredStack, Prometheus]) -> None:
    stack, prometheus = watched
    begun = time.time()
    turn = 0
    while time.time() < begun + SECONDS:
        reference = stack.push(f"picture-{turn}", SIZE)
        for node in NODES:
            stack.run(f"picture-{node}", reference, node)
        turn += 1
        time.sleep(SECONDS / 20)
    drawn = [
        (
            panel,
            [
                line
                for query in panel.queries
                for line in lines_of(query, prometheus.range(query.expression, begun, STEP_SECONDS), begun)
            ],
        )
        for panel in panels(Scope(NAME, NAMES))
    ]
    PICTURE.write_text(picture(drawn))
    assert [panel.title for panel, lines in drawn if not lines] == []
