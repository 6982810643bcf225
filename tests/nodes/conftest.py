"""What the tests with real containers share: a cluster of two nodes and kubectl. Without root they are skipped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType

import pytest
from rich.console import Console

from dragonfly.parts.images import Image
from local.api.kubeconfig import connect
from local.cluster.control_plane import Cluster
from local.command_line import READY_TIMEOUT_SECONDS
from local.engine.stack import Engine, LocalStack
from local.images.catalog import default_references, default_tag
from local.nodes.containers.container_nodes import ContainerNodes
from local.nodes.containers.requirements import why_not
from local.tools import toolchain
from local.tools.built_client import LATEST_TAG, why_no_client
from local.tools.catalog import CONTAINER_TOOLS, ENGINE_TOOLS, IMAGE_TOOLS, KUBE_STATE_METRICS, LINE_2_5_TOOLS
from tests.nodes.busybox_image import write_busybox_archive
from tests.nodes.client_pod import ClientPod, kubectl_command
from tests.nodes.installation import APP, NAMESPACE, Installation
from tests.nodes.local_registry import LocalRegistry, trusted_registry
from tests.nodes.mysql_image import unpack_image
from tests.nodes.node_images import give_images

NEEDS_CLIENT = pytest.mark.needs_client
"""Mark of tests of Dragonfly 2.5. They may run beside the others, and wait for its client."""

TAGS = (default_tag(), pytest.param(LATEST_TAG, marks=NEEDS_CLIENT))
"""Releases of Dragonfly whose installations are tested, one of each line."""


SAME_IN_EACH_LINE = pytest.mark.same_in_each_line
"""Mark of what is tested with the first of them alone."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what is tested with another release already."""
    first, *_ = TAGS
    again = [
        item
        for item in items
        if isinstance(item, pytest.Function)
        and item.get_closest_marker(SAME_IN_EACH_LINE.name)
        and item.callspec.params["tag"] != first
    ]
    config.hook.pytest_deselected(items=again)
    items[:] = [item for item in items if item not in again]


TEST_SECONDS = 420
"""Longest that a test may take, and as long again what its fixtures do after it, those of module and session too.

Alone on a quick machine the slowest takes a minute. Two sessions run beside each other, and of a machine that others
use too they were seen to have a quarter.
"""

SETUP_SECONDS = 900
"""Longest that a test's fixtures may take before it: a cluster, the images, once built here, and an installation."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Ends fixtures that hang, of any scope."""
    # Building may take minutes, and never hangs.
    _provide_tools()
    if item.get_closest_marker(NEEDS_CLIENT.name) and (fault := _client_fault()):
        pytest.fail(fault, pytrace=False)
    with _time_bound(f"what {item.name} needs", SETUP_SECONDS):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Ends a test that hangs."""
    with _time_bound(item.name, TEST_SECONDS):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Ends fixtures that hang when their time is over."""
    with _time_bound(f"what follows {item.name}", TEST_SECONDS):
        yield


@contextmanager
def _time_bound(what: str, seconds: int) -> Generator[None]:
    def give_up(number: int, frame: FrameType | None) -> None:
        # No error of the operating system's, which what is asked again and again gets over.
        pytest.fail(f"{what} took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@cache
def _provide_tools() -> dict[str, Path]:
    """All that any test here needs, unless this machine cannot run containers: then every test is skipped."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    return toolchain.provide((*CONTAINER_TOOLS, *ENGINE_TOOLS, *IMAGE_TOOLS, KUBE_STATE_METRICS))


@cache
def _client_fault() -> str | None:
    """Why the real programs of Dragonfly 2.5 cannot be built, once somebody has asked for what takes so long."""
    reason = why_no_client()
    if reason is not None and not os.environ.get("BUILD_CLIENT"):
        pytest.skip(reason)
    try:
        toolchain.provide(LINE_2_5_TOOLS)
    except toolchain.ToolchainError as error:
        # Kept: each of the tests would build it once more.
        return str(error)
    return None


@pytest.fixture(scope="session")
def node_tools() -> dict[str, Path]:
    """Every binary, built before any time is taken."""
    return _provide_tools()


@pytest.fixture(scope="session")
def mysql_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the MySQL image."""
    if shutil.which("mmdebstrap") is None:
        pytest.skip("images are built by mmdebstrap, not on PATH")
    root = tmp_path_factory.mktemp("mysql-image")
    # pytest's folders are for their owner alone, and this one is the server's `/`.
    root.chmod(0o755)
    config = unpack_image(default_references().reference(Image.MYSQL), root)
    assert config["Entrypoint"] == ["mysql-entrypoint"]
    return root


@pytest.fixture(scope="session")
def images(node_tools: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Archives for the nodes."""
    return [write_busybox_archive(tmp_path_factory.mktemp("images"))]


ClusterFactory = Callable[[Path, int], Cluster]


@pytest.fixture(scope="session")
def make_cluster(node_tools: dict[str, Path], images: list[Path]) -> ClusterFactory:
    """Describes clusters whose nodes run containers."""

    def make(state: Path, count: int) -> Cluster:
        return Cluster(state, node_count=count, tools=node_tools, node_kind="containers", images=images)

    return make


@pytest.fixture(scope="session")
def cluster(make_cluster: ClusterFactory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running cluster of two nodes, removed when the tests are over."""
    running = make_cluster(tmp_path_factory.mktemp("nodes"), 2)
    try:
        running.start()
        yield running
    finally:
        running.stop(remove=True)


@pytest.fixture
def small(make_cluster: ClusterFactory, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of one node of the test's own, beside the shared one."""
    own = make_cluster(tmp_path / "small", 1)
    yield own
    own.stop(remove=True)


Kubectl = Callable[..., str]


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster, node_tools: dict[str, Path]) -> Kubectl:
    """kubectl on that cluster; returns what it writes, or fails with it."""
    return kubectl_of(cluster, node_tools)


def kubectl_of(cluster: Cluster, tools: dict[str, Path]) -> Kubectl:
    """kubectl on a cluster."""

    def run(*arguments: str, text: str = "") -> str:
        command = [str(tools["kubectl"]), f"--kubeconfig={cluster.kubeconfig}", *arguments]
        result = subprocess.run(command, input=text, capture_output=True, text=True, timeout=90, check=False)
        assert result.returncode == 0, f"{' '.join(arguments)}: {result.stdout}{result.stderr}"
        return result.stdout

    return run


@pytest.fixture(scope="session")
def registry_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where registries keep their one authority: a node's containerd reads whom it trusts a single time."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def registry(cluster: Cluster, registry_folder: Path) -> Iterator[LocalRegistry]:
    """A registry that the nodes trust."""
    with trusted_registry(cluster, registry_folder) as running:
        yield running


@pytest.fixture(scope="session", params=TAGS)
def tag(request: pytest.FixtureRequest) -> str:
    """A release of each line in turn."""
    return request.param


@pytest.fixture(scope="session")
def installation(
    tag: str, cluster: Cluster, node_tools: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The program, installed on that cluster, with a client beside it."""
    give_images(cluster, tag)
    engine = Engine.provide(tmp_path_factory.mktemp("installation"), Console(stderr=True), node_tools)
    config = {
        "dragonfly:provisionCluster": False,
        "dragonfly:tag": tag,
        "dragonfly:namespace": NAMESPACE,
        "dragonfly:readyTimeoutSeconds": READY_TIMEOUT_SECONDS[ContainerNodes.name],
    }
    stack = LocalStack(engine, "installation", cluster.kubeconfig, config)
    client = ClientPod(kubectl_command(node_tools["kubectl"], cluster.kubeconfig), "client", NAMESPACE, APP)
    with connect(cluster.kubeconfig) as api:
        made = Installation(cluster, stack, api, client)
        made.install()
        client.start()
        yield made
        # The next one wants the same ports of the nodes.
        stack.output("destroy", "--yes", "--skip-preview")
