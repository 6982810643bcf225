"""The images of an installation on the nodes of a test's cluster, which starts with a smaller one."""

from __future__ import annotations

from local.cluster.control_plane import Cluster
from local.images.archive import provide_archive
from local.nodes.containers import namespaces

NODES = ("node-1", "node-2")


def give_images(cluster: Cluster, tag: str | None = None) -> None:
    """Give the nodes the images of an installation, unless they have them.

    Args:
        cluster: the cluster.
        tag: of Dragonfly; the default one when not given.
    """
    cluster.give_images([provide_archive(tag=tag)])


def on_node(cluster: Cluster, node: str, *command: str) -> str:
    """Run a program on a node; returns what it writes."""
    return namespaces.run(cluster.on_node(node, command), f"{command[0]} on {node}")
