"""Signals to the first process of a container."""

from __future__ import annotations

import signal

from local.cluster.control_plane import Cluster
from local.nodes.containers.containerd import ctr_command
from tests.nodes.node_images import on_node


def send_signal(cluster: Cluster, node: str, container_id: str, number: signal.Signals) -> None:
    """Send one from the container's node: inside, nobody can do that to process 1.

    Args:
        cluster: the node's.
        node: where the container runs.
        container_id: as its pod's status has it.
        number: the signal.

    Raises:
        ProcessError: containerd has no such container.
    """
    identity = container_id.removeprefix("containerd://")
    on_node(cluster, node, *ctr_command("tasks", "kill", "--signal", number.name, identity))
