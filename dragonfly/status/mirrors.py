"""Whether the nodes of an existing cluster pull through their peers, by what the writers of the mirrors log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dragonfly.access.objects import Object
from dragonfly.parts.registry_mirrors import MIRROR_WRITER

# What registry_mirrors.sh says.
_MIRRORED, _NOT_MIRRORED, _UNWRITTEN = " go through the peer", " do not go through", " could not be written"
_IGNORED = "containerd on this node does not name "

# Each waits for the kubelet of its node.
_AT_ONCE = 16

LogLines = Callable[[str, str], list[str] | None]
"""Reads the last lines of a container's log, by the names of its pod and its own; None where it cannot be had."""

HOW_TO_ASK = (
    'give containerd the mirrors: docs/existing-cluster.md, "Nodes whose containerd asks no mirrors", has the commands'
)


@dataclass(frozen=True)
class NodeMirror:
    """How one node pulls.

    Attributes:
        node: its name.
        fault: why its pulls, or some of them, do not go through its peer; None where they do.
        is_ignored: whether the node's containerd looks at no mirrors at all.
    """

    node: str
    fault: str | None = None
    is_ignored: bool = False


def node_mirrors(pods: Sequence[Object], log_lines: LogLines) -> list[NodeMirror]:
    """Return how each node with a peer pulls, by the nodes' names; none of peers that write no mirrors.

    Args:
        pods: of the instance.
        log_lines: reads a container's log.
    """
    writers: dict[str, str] = {
        pod["spec"]["nodeName"]: pod["metadata"]["name"]
        for pod in pods
        # Of two on one node one is going.
        if "deletionTimestamp" not in pod["metadata"]
        and pod["spec"].get("nodeName")
        and any(each["name"] == MIRROR_WRITER for each in pod["spec"]["containers"])
    }

    def read(node: str) -> NodeMirror:
        return _read(node, log_lines(writers[node], MIRROR_WRITER))

    with ThreadPoolExecutor(_AT_ONCE) as readers:
        return list(readers.map(read, sorted(writers)))


def _read(node: str, lines: Sequence[str] | None) -> NodeMirror:
    """Read from the last time that the writer looked at containerd's config, after which it tells of each registry."""
    if lines is None:
        return NodeMirror(node, f"the log of its container {MIRROR_WRITER} cannot be read")
    ignored: str | None = None
    last: dict[str, str] = {}
    for line in lines:
        if line.startswith(_IGNORED):
            ignored, last = line, {}
        elif any(words in line for words in (_MIRRORED, _UNWRITTEN)):
            ignored = None
            last[_registry(line)] = line
    if ignored is not None:
        return NodeMirror(node, ignored.partition(":")[0].replace("on this node ", ""), is_ignored=True)
    if not last:
        return NodeMirror(node, "the writer of its mirrors has said nothing yet")
    faults = [line for line in last.values() if _NOT_MIRRORED in line or _UNWRITTEN in line]
    return NodeMirror(node, "; ".join(faults) or None)


def _registry(line: str) -> str:
    """Return which registry a line is about: the word after "from", or the folder of the file that it names."""
    before, _, after = line.partition("pulls from ")
    return after.split()[0] if after else before.split("/hosts.toml")[0].rpartition("/")[2]


def told(mirrors: Sequence[NodeMirror]) -> Iterator[str]:
    """Yield what people read of the nodes.

    Args:
        mirrors: of each node.
    """
    by_fault: dict[str | None, list[NodeMirror]] = {}
    for each in mirrors:
        by_fault.setdefault(each.fault, []).append(each)
    for fault, nodes in by_fault.items():
        if fault is None:
            yield f"pulls go through the peer on {len(nodes)} of {len(mirrors)} nodes"
        else:
            names = ", ".join(each.node for each in nodes[:3]) + (", ..." if len(nodes) > 3 else "")
            yield f"{names} ({len(nodes)} of {len(mirrors)}): {fault}"
    if any(each.is_ignored for each in mirrors):
        yield f"-> {HOW_TO_ASK}"
