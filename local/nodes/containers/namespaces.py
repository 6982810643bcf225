"""The namespaces that the control plane and the nodes live in. Each is held by a process, and goes with its last one:
nothing of them has a name on the machine, and nothing is mounted or configured outside them.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from local.machine.processes import Daemon, ProcessError
from local.nodes.containers.addresses import CONTROL_PLANE, NETWORK_BITS, node_address, pod_subnet
from local.nodes.containers.requirements import SEARCH_PATH

ENVIRONMENT: Final = {"PATH": SEARCH_PATH}
"""Of everything that runs in the namespaces."""

_BRIDGE = "nodes"
_INTERFACE = "eth0"
_NODE_INIT = Path(__file__).with_name("node_init.py")
_FORWARDER = Path(__file__).with_name("forwarder.py")
_TIMEOUT_SECONDS = 30


def network_holder(name: str) -> Daemon:
    """Return the process that holds a network namespace."""
    return Daemon(name, ["/usr/bin/unshare", "--net", "--", "sleep", "infinity"], ENVIRONMENT)


def node_holder(name: str, node: str, folder: Path, ready: Path, keep: Sequence[Path]) -> Daemon:
    """Return the process that holds a node.

    Args:
        name: the process' name.
        node: the node's host name.
        folder: what the node keeps.
        ready: file that tells that the node is made.
        keep: folders that the node sees as the machine does.
    """
    init = [sys.executable, "-I", "-S", str(_NODE_INIT), f"--name={node}", f"--folder={folder}", f"--ready={ready}"]
    init += [f"--keep={path}" for path in keep]
    # Ended with its holder, and every process of the node with it.
    kinds = ["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child=KILL", "--mount-proc"]
    return Daemon(name, ["/usr/bin/unshare", *kinds, "--", *init], ENVIRONMENT)


def forwarder(name: str, network: Path, ports: Sequence[int]) -> Daemon:
    """Return the process that brings ports of a network onto the machine's loopback address."""
    command = [sys.executable, "-I", "-S", str(_FORWARDER), f"--network={network}", *map(str, ports)]
    return Daemon(name, command, ENVIRONMENT)


def network_file(holder: int) -> Path:
    """Return the file that stands for the network namespace of a process."""
    return Path(f"/proc/{holder}/ns/net")


def has_own_network(holder: int) -> bool:
    """Whether a process has a network namespace of its own already."""
    return network_file(holder).readlink() != network_file_of_machine().readlink()


def network_file_of_machine() -> Path:
    """Return the file that stands for the machine's own network."""
    return Path("/proc/self/ns/net")


def in_network(holder: int, command: Sequence[str]) -> list[str]:
    """Return the command that runs a program in the network of a process."""
    return ["/usr/bin/nsenter", f"--net={network_file(holder)}", "--", *command]


def on_node(holder: int, command: Sequence[str]) -> list[str]:
    """Return the command that runs a program on the node that a process holds."""
    kinds = {"mount": "mnt", "net": "net", "uts": "uts", "ipc": "ipc", "pid": "pid_for_children"}
    options = [f"--{option}=/proc/{holder}/ns/{file}" for option, file in kinds.items()]
    return ["/usr/bin/nsenter", *options, "--", *command]


def run(command: Sequence[str], what: str, text: str = "", timeout_seconds: float = _TIMEOUT_SECONDS) -> str:
    """Run a program to its end.

    Args:
        command: what to run.
        what: what it is for, told when it fails.
        text: what it reads.
        timeout_seconds: how long it may take.

    Raises:
        ProcessError: it failed.
    """
    try:
        result = subprocess.run(
            list(command), input=text, capture_output=True, text=True, check=False, timeout=timeout_seconds
        )
    except subprocess.TimeoutExpired as error:
        raise ProcessError(f"{what}: not done after {timeout_seconds:.0f} s ({' '.join(command)})") from error
    if result.returncode != 0:
        raise ProcessError(f"{what} failed ({' '.join(command)}): {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def wire_control_plane(holder: int, service_range: str) -> None:
    """Give the control plane's namespace the bridge that the nodes are joined to.

    Args:
        holder: process that holds it.
        service_range: addresses of Services: one that no node knows ends here, at once.
    """
    _configure(
        holder,
        "the control plane's network",
        "link set lo up",
        f"link add {_BRIDGE} type bridge",
        f"address add {CONTROL_PLANE}/{NETWORK_BITS} dev {_BRIDGE}",
        f"link set {_BRIDGE} up",
        f"route add unreachable {service_range}",
    )
    forward = in_network(holder, ["/bin/sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])
    run(forward, "forwarding between the nodes")


def wire_node(control_plane: int, node: int, index: int, others: Sequence[int], service_range: str) -> None:
    """Join a node to the control plane's bridge. It has routes to the other nodes' pods and nowhere else.

    Args:
        control_plane: process that holds the control plane's namespace.
        node: process that holds the node.
        index: the node's number.
        others: the other nodes' numbers.
        service_range: addresses of Services.
    """
    port = f"node-{index + 1}"
    # The kernel takes its time to remove the network of a node that was stopped, and this end of its cable with it.
    with contextlib.suppress(ProcessError):
        run(in_network(control_plane, ["ip", "link", "delete", port]), f"removing the old network of {port}")
    _configure(
        control_plane,
        f"the network of {port}",
        f"link add {port} type veth peer name {_INTERFACE} netns {node}",
        f"link set {port} master {_BRIDGE} up",
        f"route replace {pod_subnet(index)} via {node_address(index)}",
    )
    _configure(
        node,
        f"the network of {port}",
        "link set lo up",
        f"address add {node_address(index)}/{NETWORK_BITS} dev {_INTERFACE}",
        f"link set {_INTERFACE} up",
        # Taken before kube-proxy's rules lead elsewhere.
        f"route add {service_range} via {CONTROL_PLANE}",
        *(f"route add {pod_subnet(other)} via {node_address(other)}" for other in others),
    )


def _configure(holder: int, what: str, *lines: str) -> None:
    run(in_network(holder, ["ip", "-batch", "-"]), what, "\n".join(lines) + "\n")
