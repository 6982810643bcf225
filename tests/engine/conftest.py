"""What the tests on a real API server share: one cluster and one engine for each process of the test runner."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.api.core_v1_api import CoreV1Api
from kubernetes.client.api_client import ApiClient
from rich.console import Console

from local.api.kubeconfig import connect
from local.cluster.control_plane import Cluster
from local.engine.stack import Engine, LocalStack
from local.tools import toolchain
from local.tools.catalog import CLUSTER_TOOLS, ENGINE_TOOLS
from tests.engine.cloud_stacks import CloudStackFactory, cloud_stacks
from tests.engine.cluster_objects import names
from tests.engine.fork_server import fork_server
from tests.waiting import wait_until

StackFactory = Callable[..., LocalStack]

_LONGEST_FIRST = (
    "test_gke_stack",
    "test_install",
    "test_gke_config_changes",
    "test_gke_interruption",
    "test_status",
    "test_recorded_stack",
    "test_side_by_side",
)
"""Modules. What takes a minute must not be what the last process of the test runner still has to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Orders the modules as the processes of the test runner are to take them."""

    def rank(item: pytest.Item) -> int:
        stem = item.path.stem
        return _LONGEST_FIRST.index(stem) if stem in _LONGEST_FIRST else len(_LONGEST_FIRST)

    items.sort(key=rank)


@pytest.fixture(scope="session")
def tools() -> dict[str, Path]:
    """Every binary, built before any time is taken."""
    return toolchain.provide((*ENGINE_TOOLS, *CLUSTER_TOOLS))


@pytest.fixture(scope="session")
def cluster(tools: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running local cluster with three e2-standard-4 nodes, removed when the tests are over."""
    running = Cluster(tmp_path_factory.mktemp("cluster"), tools=tools)
    running.start()
    try:
        yield running
    finally:
        running.stop(remove=True)


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Iterator[ApiClient]:
    """A client of that cluster's API server."""
    with connect(cluster.kubeconfig) as client:
        yield client


@pytest.fixture(scope="session")
def plain_engine(tools: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The CLI with a state of its own; each Python program loads the SDKs, as the user's does."""
    return Engine.provide(tmp_path_factory.mktemp("pulumi"), Console(stderr=True), tools)


@pytest.fixture(scope="session")
def engine(plain_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The same, with a Python that has loaded the SDKs."""
    with fork_server(tmp_path_factory.mktemp("python")) as python:
        yield replace(plain_engine, python=str(python))


@contextmanager
def _stacks(engine: Engine, cluster: Cluster) -> Generator[StackFactory]:
    """Makes stacks by name, each in a namespace of that name, and deletes their namespaces at the end.

    One on a cluster of the test's own goes with that cluster.
    """
    made: list[LocalStack] = []

    def make(name: str, kubeconfig: Path | None = None, **config: Any) -> LocalStack:
        stack = LocalStack(
            engine,
            name,
            kubeconfig or cluster.kubeconfig,
            {
                "dragonfly:provisionCluster": False,
                "dragonfly:namespace": name,
                "dragonfly:readyTimeoutSeconds": 60,
                **{f"dragonfly:{key}": value for key, value in config.items()},
            },
        )
        # It would be run with the config of the other.
        assert not engine.has_stack(name), f"another test has made a stack {name}"
        stack.prepare()
        if kubeconfig is None:
            made.append(stack)
        return stack

    yield make
    # Without the engine, which a test that failed may have left in any state: the stacks are used no more.
    with connect(cluster.kubeconfig) as client:
        core: Any = CoreV1Api(client)
        left = {stack.name for stack in made} & names(core.list_namespace())
        for name in left:
            core.delete_namespace(name)
        # Its pods hold the nodes' ports. The namespace itself goes later: its controller looks again after a while.
        wait_until(
            lambda: not any(names(core.list_namespaced_pod(name)) for name in left), f"the pods of {left} are gone"
        )


@pytest.fixture
def make_stack(engine: Engine, cluster: Cluster) -> Iterator[StackFactory]:
    """Makes stacks whose namespaces go when the test is over."""
    with _stacks(engine, cluster) as factory:
        yield factory


@pytest.fixture(scope="module")
def make_shared_stack(engine: Engine, cluster: Cluster) -> Iterator[StackFactory]:
    """Makes stacks whose namespaces go when the module's tests are over."""
    with _stacks(engine, cluster) as factory:
        yield factory


@pytest.fixture
def make_cloud_stack(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudStackFactory]:
    """Makes GKE stacks whose cloud takes long enough over each operation to be interrupted in it."""
    monkeypatch.setenv("DRAGONFLY_CLOUD_SECONDS", "0.3")
    with cloud_stacks(engine) as factory:
        yield factory
