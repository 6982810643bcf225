"""A stack that one module's tests have to themselves, beside whatever else runs on the cluster."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from dragonfly.lines.known_lines import line_of
from dragonfly.parts.names import APPLICATION_CRD, Names
from local.cluster.control_plane import Cluster
from local.command_line import READY_TIMEOUT_SECONDS
from local.engine.stack import Engine, LocalStack
from local.nodes.containers.container_nodes import ContainerNodes
from local.tools import toolchain
from local.tools.built_client import LATEST_TAG
from local.tools.catalog import ENGINE_TOOLS
from tests.nodes.conftest import Kubectl
from tests.nodes.node_images import give_images

NAMES = Names("dragonfly-1")
"""Of its objects; the instance has the default name."""

_PROJECT = "dragonfly"


@dataclass(frozen=True)
class OwnStack:
    """An installation in a namespace that is called as the stack.

    Attributes:
        stack: of the engine.
        namespace: where its objects are.
        kubectl: in that namespace.
    """

    stack: LocalStack
    namespace: str
    kubectl: Kubectl

    def configure(self, values: Mapping[str, object]) -> None:
        """Set keys of the stack's config; `images.manager` is a path."""
        pairs = [f"--plaintext={_PROJECT}:{key}={value}" for key, value in values.items()]
        self.stack.output("config", "set-all", "--path", *pairs)

    def up(self) -> None:
        """Bring the cluster to what the config says."""
        self.stack.output("up", "--yes", "--skip-preview")

    def destroy(self) -> None:
        """Delete everything of it."""
        self.stack.output("destroy", "--yes", "--skip-preview")

    def pods(self, component: str) -> list[dict[str, Any]]:
        """A component's pods, without those that are about to go."""
        selector = f"--selector=app.kubernetes.io/component=dragonfly-{component}"
        found = cast("dict[str, Any]", json.loads(self.kubectl("get", "pods", selector, "--output=json")))
        return [pod for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]


@contextmanager
def own_stack(
    cluster: Cluster, kubectl: Kubectl, folder: Path, name: str, first_port: int, **config: Any
) -> Generator[OwnStack]:
    """Give the nodes its images, install a stack, and destroy it at the end.

    Args:
        cluster: the cluster.
        kubectl: on that cluster.
        folder: for the engine's state.
        name: of the stack and of its namespace.
        first_port: of the nodes' seven ports that its peers listen on, which no other stack's may be.
        config: keys of its config, and their values.
    """
    give_images(cluster, config.get("tag"))
    engine = Engine.provide(folder, Console(stderr=True), toolchain.provide(ENGINE_TOOLS))
    has_kind = bool(kubectl("get", "crd", APPLICATION_CRD, "--ignore-not-found").strip())
    ports = line_of(LATEST_TAG).peer_ports
    settings: Mapping[str, Any] = {
        "provisionCluster": False,
        "namespace": name,
        "readyTimeoutSeconds": READY_TIMEOUT_SECONDS[ContainerNodes.name],
        # It belongs to the whole cluster, and outlives the stack that makes it.
        "installApplicationCrd": not has_kind,
        **{key: first_port + offset for offset, key in enumerate(ports)},
        **config,
    }
    stack = LocalStack(
        engine, name, cluster.kubeconfig, {f"{_PROJECT}:{key}": value for key, value in settings.items()}
    )
    stack.prepare()

    def in_namespace(*arguments: str, text: str = "") -> str:
        return kubectl("--namespace", name, *arguments, text=text)

    own = OwnStack(stack, name, in_namespace)
    try:
        own.up()
        yield own
    finally:
        own.destroy()
