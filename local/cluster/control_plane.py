"""A Kubernetes cluster on this machine.

etcd, the API server, the controller manager and the scheduler are the real ones; volumes come from a controller of
ours. Nodes are of one of two kinds (`local/nodes/`): played by kwok, without root and without containers, or run by
containerd in namespaces. On the machine every server listens on 127.0.0.1 only, and every connection is verified by
authorities of the cluster's own. All it keeps is in one folder.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path

import urllib3
from kubernetes.client.api_client import ApiClient
from kubernetes.client.exceptions import ApiException

from dragonfly.google.machine_types import machine_type_named
from local.api.errors import in_short
from local.cluster.daemon_commands import (
    API_SERVER,
    API_SERVICE,
    CONTROL_PLANE,
    CONTROLLERS,
    SCHEDULER,
    VOLUMES,
    CloudSide,
)
from local.cluster.folder import ClusterFolder
from local.cluster.startup import Startup, answers
from local.cluster.trust import Trust
from local.machine.file_lock import LockError, file_lock
from local.machine.ports import LOOPBACK, NoFreePortsError, Ports, kept_ports, reserve_ports
from local.machine.processes import ProcessError, Processes
from local.nodes.containers.container_nodes import ContainerNodes
from local.nodes.kind import NodeKind, NodesWanted
from local.nodes.kwok import KwokNodes
from local.nodes.objects import node_faults
from local.tools import toolchain
from local.tools.catalog import TOOLS

_API_SERVER_GRACE_SECONDS = 1.0
_LOCK_TIMEOUT_SECONDS = 120.0
_EVER = datetime.datetime.fromtimestamp(0, datetime.UTC)

NODE_KINDS: Mapping[str, type[KwokNodes | ContainerNodes]] = {kind.name: kind for kind in (KwokNodes, ContainerNodes)}
"""Kinds of nodes by the name that a user gives them."""


class ClusterError(RuntimeError):
    """The cluster cannot do what was asked; the message says why and what to do."""


class Cluster:
    """One local cluster, identified by its folder."""

    def __init__(
        self,
        state: Path,
        machine_type: str = "e2-standard-4",
        node_count: int | None = 3,
        tools: Mapping[str, Path] | None = None,
        cloud: CloudSide | None = None,
        node_kind: str = KwokNodes.name,
        images: Sequence[Path] | None = None,
    ) -> None:
        """Describe a cluster; nothing is started or written yet.

        Args:
            state: the folder for everything it keeps; created at the first start.
            machine_type: GKE machine type whose allocatable the nodes have.
            node_count: how many nodes; None for a cluster whose nodes somebody else makes and takes away.
            tools: binaries by name; from `local.tools.toolchain` when not given.
            cloud: the stand-in cloud that runs it, if any.
            node_kind: one of `NODE_KINDS`.
            images: see `NodesWanted`.

        Raises:
            UnknownMachineTypeError: `dragonfly.google.machine_types` cannot tell what it offers.
            ValueError: there is no such kind of nodes, or their number is out of range.
        """
        if node_kind not in NODE_KINDS:
            raise ValueError(f"{node_kind!r} is no kind of nodes: choose {' or '.join(NODE_KINDS)}")
        self.state = state.resolve()
        self._folder = ClusterFolder(self.state)
        self._tools = tools
        self._cloud = cloud
        self._processes = Processes(self.state)
        wanted = NodesWanted(machine_type_named(machine_type), node_count, images)
        self._nodes = NODE_KINDS[node_kind](self.state, self._processes, wanted)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, mode 0600, complete in itself; there after the first start."""
        return self._folder.kubeconfig

    @property
    def authority(self) -> Path:
        """PEM file of the authority that signs the API server's certificate; there after the first start."""
        return self._trust().authority.certificate

    @property
    def url(self) -> str:
        """The API server's URL.

        Raises:
            ClusterError: the cluster was never started.
        """
        return f"https://{LOOPBACK}:{self._ports().api_server}"

    def has_data(self) -> bool:
        """Whether the cluster was started before and what it held is still there."""
        return self._folder.has_data()

    def running(self) -> bool:
        """Whether every process runs and the API server says that it is ready."""
        ports = kept_ports(self._folder.ports)
        names = (*CONTROL_PLANE, *self._nodes.processes)
        if ports is None or not all(self._processes.alive(name) for name in names):
            return False
        return answers(ports.api_server, "/readyz", self._trust().as_administrator())

    def check(self) -> None:
        """Make sure that this machine can have such nodes; `start` does so too, after minutes of building perhaps.

        Raises:
            ValueError: it cannot; the message says what to type.
        """
        self._nodes.check()

    def start(self) -> bool:
        """Start the cluster and wait until pods can run on all its nodes.

        A cluster that runs, healthy and with the same tools, is left as it is; only its nodes are made to match. What
        is left of one that crashed is ended first. A start that fails, or is interrupted, leaves no process behind.

        Returns:
            Whether processes were started; False when the cluster was running already.

        Raises:
            ClusterError: another start or stop of this cluster goes on for too long, the API server refuses what a
                cluster needs, or the cluster has nodes of another kind.
            ProcessError: a process did not start, ended, or was not ready in time; the message has its log.
            ToolchainError: a tool is missing and cannot be built.
            DebianRootError: the nodes' images cannot be pulled, nor be built from Debian's packages.
            ValueError: this machine cannot have such nodes.
        """
        self._nodes.check()
        # Before the lock, as the images: a first build can take minutes, and has locks of its own.
        tools = self._tools or toolchain.provide(self._nodes.tools)
        needed = {binary for tool in self._nodes.tools for binary in TOOLS[tool].binaries}
        missing = sorted(needed - tools.keys())
        if missing:
            raise ClusterError(f"no binary was given for {', '.join(missing)}")
        if not self.running():
            self._nodes.provide()
        with self._locked():
            self._keep_to_one_kind()
            # A start that was killed may have got as far as the last process, and not to storage classes or images.
            if self._folder.complete.exists() and self.running():
                startup = self._startup(tools, self._ports())
                if startup.runs_already():
                    startup.match_nodes()
                    return False
            try:
                self._end()
                self._launch(tools)
            except BaseException as error:
                self._end(grace_seconds=1)
                if isinstance(error, NoFreePortsError):
                    raise ClusterError(str(error)) from error
                if isinstance(error, (ApiException, urllib3.exceptions.HTTPError)):
                    raise ClusterError(
                        f"the new cluster's API server failed: {in_short(error)}; its log: {self.log(API_SERVER)}"
                    ) from error
                raise
            return True

    def stop(self, remove: bool = False) -> None:
        """End the cluster's processes, and only those. A cluster that does not run is no error.

        Args:
            remove: also remove everything the cluster keeps; without it the next start continues where this ends.

        Raises:
            ClusterError: another start or stop of this cluster goes on for too long.
        """
        if not self.state.is_dir():
            return
        with self._locked():
            self._end()
            if remove:
                self._started_nodes().remove()
                self._folder.clear()
        if remove:
            with contextlib.suppress(OSError):
                self._folder.lock.unlink(missing_ok=True)
                self.state.rmdir()

    def stop_node(self, name: str) -> None:
        """Cut the power of a node that runs containers.

        Raises:
            ClusterError: there is no such node.
        """
        nodes = self._container_nodes(name)
        with self._locked():
            nodes.stop_node(name)

    def start_node(self, name: str) -> None:
        """Start a node again that was stopped, and wait for nothing.

        Raises:
            ClusterError: there is no such node, or the cluster was never started.
            ProcessError: something of it did not start.
        """
        nodes, ports = self._container_nodes(name), self._ports()
        tools = self._tools or toolchain.provide(nodes.tools)
        with self._locked():
            nodes.start_node(name, self._startup(tools, ports).plane)

    def on_node(self, name: str, command: Sequence[str]) -> list[str]:
        """Return the command that runs a program in the namespaces of a node that runs containers.

        Raises:
            ClusterError: there is no such node.
            ProcessError: the node does not run.
        """
        return self._container_nodes(name).on_node(name, command)

    def give_images(self, archives: Sequence[Path]) -> None:
        """Give nodes that run containers the images of some archives, unless they have them.

        Raises:
            ClusterError: the nodes are of another kind.
            ProcessError: a node does not run, or an archive cannot be imported.
        """
        self._nodes_with_containers("an image").give_images(archives)

    def wait_for_nodes(self, client: ApiClient, names: Iterable[str], timeout_seconds: float) -> None:
        """Wait until pods can run on some nodes that somebody made.

        Args:
            client: of an administrator.
            names: the nodes' names.
            timeout_seconds: how long at most.

        Raises:
            ProcessError: a daemon ended, or the time is over; the message says what each node lacks.
            ApiException: the API server refuses.
        """
        lacking = dict.fromkeys(names, "there is no such node")

        def ready() -> bool:
            faults = node_faults(client, _EVER)
            lacking.update((name, faults[name]) for name in lacking.keys() & faults.keys())
            return not any(lacking.values())

        try:
            self._processes.wait(ready, "nodes to be Ready", (*CONTROL_PLANE, *self._nodes.processes), timeout_seconds)
        except ProcessError as error:
            found = "; ".join(f"{name}: {fault}" for name, fault in sorted(lacking.items()) if fault)
            logs = [
                f"\n{name} runs; the end of its log:\n{self._processes.log_tail(name)}"
                for name in self._running_of_nodes()
            ]
            raise ProcessError(f"{found}: {error}{''.join(logs)}") from error

    def processes(self) -> list[str]:
        """Return pid and command line of each of the cluster's processes that run, for messages and tests."""
        return self._processes.survivors()

    def log(self, name: str) -> Path:
        """Return the log of a process: `kube-apiserver`, `etcd`, `kwok` and so on."""
        return self._processes.log(name)

    def _nodes_with_containers(self, what: str) -> ContainerNodes:
        if not isinstance(self._nodes, ContainerNodes):
            raise ClusterError(f"{what} is nothing to nodes that {self._nodes.name} plays")
        return self._nodes

    def _running_of_nodes(self) -> list[str]:
        return [name for name in self._nodes.processes if self._processes.alive(name)]

    def _container_nodes(self, name: str) -> ContainerNodes:
        if not isinstance(self._nodes, ContainerNodes):
            raise ClusterError(f"{name} is played by {self._nodes.name} and has no power to cut")
        if name not in self._nodes.names:
            raise ClusterError(f"there is no node {name}, only {', '.join(self._nodes.names)}")
        return self._nodes

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with file_lock(self._folder.lock, _LOCK_TIMEOUT_SECONDS):
                yield
        except LockError as error:
            raise ClusterError(f"another start or stop of the cluster in {self.state} goes on: {error}") from error

    def _keep_to_one_kind(self) -> None:
        found = self._started_nodes().name
        if found != self._nodes.name:
            raise ClusterError(
                f"the cluster in {self.state} has nodes of the kind {found}, not {self._nodes.name}: "
                f"`make down` first, or go on with `make up NODES={found}`"
            )
        self._folder.node_kind.write_text(found)

    def _started_nodes(self) -> NodeKind:
        """Nodes of the kind that the cluster was started with, whatever kind is asked for now."""
        found = started_kind(self.state)
        if found is None or found == self._nodes.name:
            return self._nodes
        return NODE_KINDS[found](self.state, self._processes, NodesWanted(machine_type_named("e2-small"), 1))

    def _end(self, grace_seconds: float = 5.0) -> None:
        # Clients first and etcd last: a server without its own server waits for it before it ends.
        self._folder.complete.unlink(missing_ok=True)
        nodes = self._started_nodes()
        nodes.end()
        self._processes.stop([VOLUMES, SCHEDULER, CONTROLLERS], grace_seconds)
        # It keeps nothing itself, and would wait for kubelets that ended without a word.
        self._processes.stop([API_SERVER], min(grace_seconds, _API_SERVER_GRACE_SECONDS))
        self._processes.stop_all(grace_seconds)
        nodes.sweep()

    def _launch(self, tools: Mapping[str, Path]) -> None:
        try:
            self._startup(tools, reserve_ports(self._folder.ports)).launch()
        except ProcessError as error:
            # Between our look at a port and the server's, somebody else may have taken it.
            if "address already in use" not in str(error).lower():
                raise
            self._end()
            self._folder.ports.unlink(missing_ok=True)
            self._startup(tools, reserve_ports(self._folder.ports)).launch()
        self._folder.complete.touch()

    def _startup(self, tools: Mapping[str, Path], ports: Ports) -> Startup:
        return Startup(self._folder, self._processes, self._nodes, self._cloud, tools, ports, self._trust())

    def _ports(self) -> Ports:
        ports = kept_ports(self._folder.ports)
        if ports is None:
            raise ClusterError(f"there is no cluster in {self.state}: start it first")
        return ports

    def _trust(self) -> Trust:
        return Trust.provide(self._folder, [API_SERVICE, *self._nodes.api_server_hosts])


def started_kind(state: Path) -> str | None:
    """Return the kind of nodes that the cluster of a folder was started with, or None when there is no cluster."""
    folder = ClusterFolder(state)
    found = folder.node_kind.read_text() if folder.node_kind.exists() else None
    if found is None and folder.has_data():
        # Of a time when there was only this one.
        return KwokNodes.name
    return found if found in NODE_KINDS else None
