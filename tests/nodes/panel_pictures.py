"""Draws docs/dashboard.svg: the dashboard of a real installation of Dragonfly 2.5 through which nodes pull images.

Not a test: `make pictures` runs it, for a quarter of an hour. The file is read in docs/metrics.md.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dragonfly.monitoring.panels import Panel, Query, panels
from local.cluster.control_plane import Cluster
from tests.nodes.conftest import Kubectl
from tests.nodes.local_registry import LocalRegistry
from tests.nodes.node_images import NODES
from tests.nodes.watched_stack import watched_stack
from tests.program.recorded.panel_plots import PICTURE, Line, lines_of, picture

FIRST_PORT = 64600
SECONDS, STEP_SECONDS = 240, 5
BEFORE_SECONDS = 300
"""As far as a rate looks back: of less it seems to grow."""

SIZE = 40_000_000


@pytest.fixture
def drawn(
    cluster: Cluster, kubectl: Kubectl, images: list[Path], registry: LocalRegistry, tmp_path: Path
) -> list[tuple[Panel, list[Line]]]:
    """Every panel with what it shows of the pulls."""
    with watched_stack(cluster, kubectl, registry, images[0], tmp_path, "pictured", FIRST_PORT) as stack:
        begun = time.time() + BEFORE_SECONDS
        turn = 0
        while time.time() < begun + SECONDS:
            reference = stack.push(f"picture-{turn}", SIZE)
            for node in NODES:
                stack.run(f"picture-{node}", reference, node)
            turn += 1
            time.sleep(SECONDS / 20)

        def lines(query: Query) -> list[Line]:
            return lines_of(query, stack.prometheus.range(query.expression, begun, STEP_SECONDS), begun)

        return [(panel, [line for query in panel.queries for line in lines(query)]) for panel in panels(stack.scope)]


@pytest.mark.needs_client
def test_the_dashboard_is_drawn(drawn: list[tuple[Panel, list[Line]]]) -> None:
    PICTURE.write_text(picture(drawn))
    assert [panel.title for panel, lines in drawn if not lines] == []
