"""A stack whose nodes fetch a local registry's images through their peers."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from local.cluster.control_plane import Cluster
from local.machine.processes import ProcessError
from tests.nodes.local_registry import LocalRegistry
from tests.nodes.node_images import on_node
from tests.nodes.own_stack import OwnStack
from tests.nodes.pods import apply, pod

NEEDS_REGISTRY = pytest.mark.skipif(
    shutil.which("docker-registry") is None, reason="needs docker-registry: `make test-packages`"
)
"""Mark of tests of one."""


@dataclass(frozen=True)
class MirroredStack:
    """The stack.

    Attributes:
        stack: the stack.
        registry: the registry.
        cluster: the cluster.
        archive: of the image that pods are made of.
        proxy_port: of the nodes' loopback address, where containerd looks for the peer.
    """

    stack: OwnStack
    registry: LocalRegistry
    cluster: Cluster
    archive: Path
    proxy_port: int

    def push(self, name: str, size: int) -> str:
        """Put an image of some bytes into the registry that no node has; returns its reference."""
        return self.registry.push(name, self.archive, os.urandom(size))

    def run(self, name: str, reference: str, node: str) -> str:
        """Run a pod of an image on a node, which pulls it; returns what kubelet says of the pull."""
        container = {"image": reference, "imagePullPolicy": "Always"}
        self.stack.kubectl("delete", "pod", name, "--ignore-not-found")
        apply(self.stack.kubectl, pod(name, "exec sleep infinity", nodeName=node, container=container))
        about = f"--field-selector=involvedObject.name={name},reason=Pulled"
        said = self.stack.kubectl("get", "events", about, "--output=jsonpath={.items[*].message}")
        print(f"{node}: {said}")
        return said

    def peer(self, node: str) -> str:
        """The name of a node's peer."""
        (name,) = [pod["metadata"]["name"] for pod in self.stack.pods("dfget") if pod["spec"]["nodeName"] == node]
        return cast("str", name)

    def metrics(self, pod_name: str, port: int) -> dict[str, float]:
        """What a pod tells Prometheus, by name and labels."""
        # From within: what the API server passes on to a pod, a network policy refuses.
        script = "exec 3<>/dev/tcp/127.0.0.1/$0; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
        said = self.stack.kubectl("exec", pod_name, "--", "bash", "-c", script, str(port))
        lines = said.replace("\r\n", "\n").partition("\n\n")[2].splitlines()
        return {
            name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        }

    def open_from_node(self, node: str, host: str, port: int) -> bool:
        """Whether a program on a node reaches a TCP port."""
        try:
            on_node(self.cluster, node, "timeout", "2", "bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}")
        except ProcessError:
            return False
        return True

    def container(self, pod_name: str, name: str) -> str:
        """Return the id of a pod's container, as its status has it."""
        path = f"jsonpath={{.status.containerStatuses[?(@.name=='{name}')].containerID}}"
        return self.stack.kubectl("get", "pod", pod_name, f"--output={path}")

    def node(self, pod_name: str) -> str:
        """Return where a pod runs."""
        return self.stack.kubectl("get", "pod", pod_name, "--output=jsonpath={.spec.nodeName}")

    def proxy_open(self, node: str) -> bool:
        """Whether anything listens where containerd looks for the peer."""
        return self.open_from_node(node, "127.0.0.1", self.proxy_port)
