"""What the tests on a real API server share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.cluster import Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running local cluster with three e2-standard-4 nodes, removed when the tests are over."""
    running = Cluster(tmp_path_factory.mktemp("cluster"))
    running.start()
    try:
        yield running
    finally:
        running.stop(remove=True)
