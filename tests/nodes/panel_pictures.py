"""Draws docs/dashboard.svg: the dashboard of a real installation of Dragonfly 2.5 through which nodes pull images.

Not a test: `make pictures` runs it, for about ten minutes. The file is read in docs/metrics.md.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dragonfly.monitoring.panels import panels
from local.cluster.control_plane import Cluster
from tests.nodes.conftest import Kubectl
from tests.nodes.local_registry import LocalRegistry
from tests.nodes.node_images import NODES
from tests.nodes.watched_stack import watched_stack
from tests.program.recorded.panel_plots import PICTURE, lines_of, picture

FIRST_PORT = 64600
SECONDS, STEP_SECONDS = 240, 5
SIZE = 40_000_000


@pytest.mark.needs_client
def test_the_dashboard_is_drawn(
    cluster: Cluster, kubectl: Kubectl, images: list[Path], registry: LocalRegistry, tmp_path: Path
) -> None:
    with watched_stack(cluster, kubectl, registry, images[0], tmp_path, "pictured", FIRST_PORT) as stack:
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
                    for line in lines_of(query, stack.prometheus.range(query.expression, begun, STEP_SECONDS), begun)
                ],
            )
            for panel in panels(stack.scope)
        ]
    PICTURE.write_text(picture(drawn))
    assert [panel.title for panel, lines in drawn if not lines] == []
