"""What a kind of local nodes has to do for its cluster: `kwok.py` plays them, `containers/` runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kubernetes.client.api_client import ApiClient

from dragonfly.google.machine_types import MachineType
from local.machine.certificates import Authority
from local.machine.processes import Daemon


@dataclass(frozen=True)
class NodesWanted:
    """What a user asks of the nodes.

    Attributes:
        machine_type: GKE machine type that gives a node's room for pods.
        count: how many; None where somebody else makes them and takes them away.
        images: archives of the images that nodes are given which run containers; None for those of an
            installation with default config, pulled or built on this machine.
    """

    machine_type: MachineType
    count: int | None
    images: Sequence[Path] | None = None


@dataclass(frozen=True)
class ControlPlane:
    """What nodes know of their control plane.

    Attributes:
        tools: binaries by name.
        ports: every port that the cluster's servers have on the machine's loopback address.
        api_server_port: the API server's among them.
        authority: signs the certificates of the API server and of its clients.
        api_server_user: the API server's name as a client of kubelets.
        kubeconfig: the administrator's.
        pod_range: addresses of pods.
        service_range: addresses of Services.
    """

    tools: Mapping[str, Path]
    ports: Sequence[int]
    api_server_port: int
    authority: Authority
    api_server_user: str
    kubeconfig: Path
    pod_range: str
    service_range: str


class NodeKind(Protocol):
    """The nodes of one cluster. All that it starts, it starts by the cluster's `Processes`."""

    name: str
    """As a user calls the kind."""

    tools: Sequence[str]
    """What `local.tools.toolchain` has to provide for the whole cluster."""

    processes: Sequence[str]
    """Names of all daemons, which run for as long as the cluster does."""

    api_server_hosts: Sequence[str]
    """Where the API server is reached besides the loopback address."""

    def check(self) -> None:
        """Raise a ValueError that says what to do where this machine cannot have such nodes."""
        ...

    def provide(self) -> None:
        """Get what may take minutes, before `open` and without the cluster's lock."""
        ...

    def open(self, plane: ControlPlane) -> None:
        """Start what must be there before the control plane."""
        ...

    def enter(self, command: Sequence[str]) -> list[str]:
        """Return the command by which a program of the control plane is started, after `open`."""
        ...

    def api_server_arguments(self, plane: ControlPlane) -> list[str]:
        """Arguments of the API server that depend on the nodes."""
        ...

    def controllers_arguments(self) -> list[str]:
        """Arguments of the controller manager that depend on the nodes."""
        ...

    def volumes_arguments(self) -> list[str]:
        """Arguments of the volumes controller that depend on the nodes."""
        ...

    def daemons(self, plane: ControlPlane) -> dict[str, Daemon]:
        """All of `processes`, as they are started; only after `open`."""
        ...

    def join(self, plane: ControlPlane, client: ApiClient) -> None:
        """Start the rest: the API server answers."""
        ...

    def match(self, client: ApiClient) -> None:
        """Make the cluster have exactly these nodes."""
        ...

    def count(self, client: ApiClient) -> int:
        """How many nodes there shall be."""
        ...

    def settle(self, client: ApiClient) -> None:
        """Do what can be done once all nodes are Ready."""
        ...

    def end(self) -> None:
        """End the nodes and all that runs on them; the control plane may still be there."""
        ...

    def sweep(self) -> None:
        """Take away from the machine what a crash may have left: no process of the cluster runs any more."""
        ...

    def remove(self) -> None:
        """Remove what is kept for the nodes; they were ended."""
        ...
