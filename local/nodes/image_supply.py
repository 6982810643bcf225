"""Whether nodes that run containers have the images that a stack names: nothing leads them to a registry."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import Protocol

from local.nodes.containers.containerd import image_names, images_command


class NodesWithContainers(Protocol):
    """A cluster, as far as it is needed here."""

    def on_node(self, name: str, command: Sequence[str]) -> list[str]:
        """Return the command that runs a program on a node."""
        ...


def what_is_missing(cluster: NodesWithContainers, nodes: Iterable[str], wanted: Iterable[str]) -> str | None:
    """Return which images the nodes have not got and what to type, or None.

    Args:
        cluster: it runs.
        nodes: their names.
        wanted: references of the images.

    Raises:
        ProcessError: a node does not run, or does not answer.
    """
    wanted = list(wanted)
    lines: list[str] = []
    for node in nodes:
        # containerd completes names of Docker Hub's.
        present = [f"/{name}" for name in image_names(cluster.on_node(node, []))]
        missing = [name for name in wanted if not any(each.endswith(f"/{name}") for each in present)]
        if missing:
            command = shlex.join(cluster.on_node(node, images_command("import", "-")))
            lines.append(f"  {node} has no {', '.join(missing)}: {command} < ARCHIVE")
    if not lines:
        return None
    note = "Nothing leads from the nodes to a registry, and pods wait for images that were not given to them:"
    return "\n".join([note, *lines, "  or `make down` and `make up NODES=kwok`, where no image is needed"])
