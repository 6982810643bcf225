"""The nodes that kwok plays, as a kind of nodes of a local cluster: no root, no containers, ready at once."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from kubernetes.client.api_client import ApiClient

from local.machine.processes import Daemon, Processes
from local.nodes.kind import ControlPlane, NodesWanted
from local.nodes.objects import MAXIMUM_NODES, SELECTOR, apply_nodes, forget_heartbeats, node_count
from local.nodes.system_pods import apply_system_pods
from local.tools.catalog import CLUSTER_TOOLS, KWOK_STAGES, TOOLS

_KWOK = "kwok"

_NODE_LEASE_SECONDS = 40
"""The kubelet's default (`nodeLeaseDurationSeconds` in the kubelet's configuration reference)."""


class KwokNodes:
    """Those of one cluster."""

    name = "kwok"
    tools: Sequence[str] = CLUSTER_TOOLS
    processes: Sequence[str] = (_KWOK,)
    api_server_hosts: Sequence[str] = ()

    def __init__(self, state: Path, processes: Processes, wanted: NodesWanted) -> None:
        """Describe them.

        Args:
            state: the cluster's folder.
            processes: the cluster's.
            wanted: what a user asks for.

        Raises:
            ValueError: the number is out of range.
        """
        if wanted.count is not None and not 1 <= wanted.count <= MAXIMUM_NODES:
            raise ValueError(f"a local cluster has 1 to {MAXIMUM_NODES} nodes, not {wanted.count}")
        self._state = state
        self._processes = processes
        self._machine_type = wanted.machine_type
        self._count = wanted.count

    def check(self) -> None:
        """Any machine will do."""

    def provide(self) -> None:
        """Get nothing: the cluster's tools are all."""

    def open(self, plane: ControlPlane) -> None:
        """Nothing comes before the control plane."""
        del plane

    def enter(self, command: Sequence[str]) -> list[str]:
        """Run the control plane on the machine itself."""
        return list(command)

    def api_server_arguments(self, plane: ControlPlane) -> list[str]:
        """On the loopback address alone."""
        del plane
        return [
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            # A loopback address is refused as an endpoint, and nothing runs in the pods that could ask for it.
            "--endpoint-reconciler-type=none",
        ]

    def controllers_arguments(self) -> list[str]:
        """As Kubernetes has them."""
        return []

    def volumes_arguments(self) -> list[str]:
        """Nothing is behind the volumes."""
        return []

    def daemons(self, plane: ControlPlane) -> dict[str, Daemon]:
        """kwok alone."""
        program = plane.tools[_KWOK]
        arguments = [
            f"--kubeconfig={plane.kubeconfig}",
            *(f"--config={program.parent / Path(stage).name}" for stage in KWOK_STAGES),
            f"--manage-nodes-with-annotation-selector={SELECTOR}",
            # A heartbeat by lease as kubelets have; kwok's default is a change of every node's status instead.
            f"--node-lease-duration-seconds={_NODE_LEASE_SECONDS}",
        ]
        return {_KWOK: Daemon(_KWOK, [str(program), *arguments])}

    def join(self, plane: ControlPlane, client: ApiClient) -> None:
        """Start kwok."""
        forget_heartbeats(client)
        self._processes.start(self.daemons(plane)[_KWOK])

    def match(self, client: ApiClient) -> None:
        """Create, change and remove nodes."""
        if self._count is not None:
            apply_nodes(client, self._count, self._machine_type, TOOLS["kubernetes"].version)

    def count(self, client: ApiClient) -> int:
        """As many as were asked for, or those that somebody else made."""
        return self._count if self._count is not None else node_count(client)

    def settle(self, client: ApiClient) -> None:
        """Take the room of GKE's own pods."""
        apply_system_pods(client)

    def end(self) -> None:
        """End kwok; its nodes are objects in etcd."""
        self._processes.stop([_KWOK])

    def sweep(self) -> None:
        """Nothing is left on the machine."""

    def remove(self) -> None:
        """Remove kwok's work folder, which it makes in its home, which is ours."""
        shutil.rmtree(self._state / ".kwok", ignore_errors=True)
