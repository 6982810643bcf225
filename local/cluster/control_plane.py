"""A Kubernetes cluster on this machine.

etcd, the API server, the controller manager and the scheduler are the real ones; volumes come from a controller of
ours. Nodes are of one of two kinds (`local/nodes/`): played by kwok, without root and without containers, or run by
containerd in namespaces. On the machine every server listens on 127.0.0.1 only, and every connection is verified by
authorities of the cluster's own. All it keeps is in one folder.
"""

from __future__ import annotations

import contextlib
import datetime
import http.client
import shutil
import ssl
import sys
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import urllib3
from kubernetes.client.api.core_v1_api import CoreV1Api
from kubernetes.client.api_client import ApiClient
from kubernetes.client.exceptions import ApiException

from dragonfly.google.machine_types import machine_type_named
from local.api import kubeconfig
from local.api.errors import in_short, is_missing
from local.cluster.volumes import apply_storage_classes
from local.machine.certificates import Authority, Certificate, signing_key
from local.machine.file_lock import LockTimeoutError, file_lock
from local.machine.paths import PROJECT_FOLDER
from local.machine.ports import LOOPBACK, NoFreePortsError, Ports, kept_ports, reserve_ports
from local.machine.processes import Daemon, ProcessError, Processes
from local.nodes.containers.container_nodes import ContainerNodes
from local.nodes.kind import ControlPlane, NodeKind, NodesWanted
from local.nodes.kwok import KwokNodes
from local.nodes.objects import ready_nodes
from local.tools import toolchain

SERVICE_RANGE = "10.96.0.0/16"
"""Addresses of Services; the first is the API server's own."""

POD_RANGE = "10.244.0.0/16"
"""Addresses of pods, of which every node has a part."""

_READY_TIMEOUT_SECONDS = 60.0
"""For each step of a start. On two cores the whole takes under 10 s; a busy machine may take longer."""

_API_SERVER_GRACE_SECONDS = 1.0
_LOCK_TIMEOUT_SECONDS = 120.0
_CLIENT_TIMEOUT_SECONDS = 5.0

_ETCD, _API_SERVER, _CONTROLLERS, _SCHEDULER = "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"
_VOLUMES = "volumes"
_CONTROL_PLANE = (_ETCD, _API_SERVER, _CONTROLLERS, _SCHEDULER, _VOLUMES)

NODE_KINDS: Mapping[str, type[KwokNodes | ContainerNodes]] = {kind.name: kind for kind in (KwokNodes, ContainerNodes)}
"""Kinds of nodes by the name that a user gives them."""


class ClusterError(RuntimeError):
    """The cluster cannot do what was asked; the message says why and what to do."""


@dataclass(frozen=True)
class _Trust:
    """Everything that proves who is who."""

    etcd_authority: Path
    etcd_server: Certificate
    etcd_client: Certificate
    authority: Authority
    api_server: Certificate
    local_server: Certificate
    administrator: Certificate
    controllers: Certificate
    scheduler: Certificate
    token_private_key: Path
    token_public_key: Path


@dataclass(frozen=True)
class CloudSide:
    """What a cluster has besides when the stand-in cloud runs it.

    Attributes:
        ledger: the cloud's ledger, where disks are entered.
        project: the project whose disks they are.
        zone: where disks are made that are not made for a pod on a certain node.
        access_tokens: CSV file of tokens that stand for users (Kubernetes documentation, "Static token file").
    """

    ledger: Path
    project: str
    zone: str
    access_tokens: Path

    def volumes_arguments(self) -> list[str]:
        """Arguments of the volumes controller."""
        return [f"--ledger={self.ledger}", f"--project={self.project}", f"--zone={self.zone}"]


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
            state: The folder for everything it keeps; created at the first start.
            machine_type: GKE machine type whose allocatable the nodes have.
            node_count: How many nodes; None for a cluster whose nodes somebody else makes and takes away.
            tools: Binaries by name; from `local.tools.toolchain` when not given.
            cloud: The stand-in cloud that runs it, if any.
            node_kind: One of `NODE_KINDS`.
            images: See `NodesWanted`.

        Raises:
            UnknownMachineTypeError: `dragonfly.google.machine_types` cannot tell what it offers.
            ValueError: There is no such kind of nodes, or their number is out of range.
        """
        if node_kind not in NODE_KINDS:
            raise ValueError(f"{node_kind!r} is no kind of nodes: choose {' or '.join(NODE_KINDS)}")
        self.state = state.resolve()
        self._tools = tools
        self._cloud = cloud
        self._processes = Processes(self.state)
        wanted = NodesWanted(machine_type_named(machine_type), node_count, images)
        self._nodes = NODE_KINDS[node_kind](self.state, self._processes, wanted)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, mode 0600, complete in itself; there after the first start."""
        return self.state / "kubeconfig"

    @property
    def authority(self) -> Path:
        """PEM file of the authority that signs the API server's certificate; there after the first start."""
        return self._trust().authority.certificate

    @property
    def url(self) -> str:
        """The API server's URL.

        Raises:
            ClusterError: The cluster was never started.
        """
        ports = self._load_ports()
        if ports is None:
            raise ClusterError(f"there is no cluster in {self.state}: start it first")
        return f"https://{LOOPBACK}:{ports.api_server}"

    def has_data(self) -> bool:
        """Whether the cluster was started before and what it held is still there."""
        return _has_data(self.state)

    def running(self) -> bool:
        """Whether every process runs and the API server says that it is ready."""
        ports = self._load_ports()
        if ports is None or not all(self._processes.alive(name) for name in self._all):
            return False
        trust = self._trust()
        administrator = kubeconfig.client_context(trust.authority.certificate, trust.administrator)
        return _answers(ports.api_server, "/readyz", administrator)

    def start(self) -> bool:
        """Start the cluster and wait until pods can run on all its nodes.

        A cluster that runs, healthy and with the same tools, is left as it is; only its nodes are made to match. What
        is left of one that crashed is ended first. A start that fails, or is interrupted, leaves no process behind.

        Returns:
            Whether processes were started; False when the cluster was running already.

        Raises:
            ClusterError: Another start or stop of this cluster goes on for too long, the API server refuses what a
                cluster needs, or the cluster has nodes of another kind.
            ProcessError: A process did not start, ended, or was not ready in time; the message has its log.
            ToolchainError: A tool is missing and cannot be built.
            DebianRootError: The nodes' images cannot be pulled, nor be built from Debian's packages.
            ValueError: This machine cannot have such nodes.
        """
        self._nodes.check()
        # Before the lock, as the images: a first build can take minutes, and has locks of its own.
        tools = self._tools or toolchain.provide(self._nodes.tools)
        needed = {binary for tool in self._nodes.tools for binary in toolchain.TOOLS[tool].binaries}
        missing = sorted(needed - tools.keys())
        if missing:
            raise ClusterError(f"no binary was given for {', '.join(missing)}")
        if not self.running():
            self._nodes.provide()
        with self._locked():
            self._keep_to_one_kind()
            # A start that was killed may have got as far as the last process, and not to storage classes or images.
            if self._complete_file.exists() and self.running() and self._runs_with(tools):
                self._match_nodes(since=None)
                return False
            try:
                self._end()
                try:
                    self._launch(tools)
                except ProcessError as error:
                    # Between our look at a port and the server's, somebody else may have taken it.
                    if "address already in use" not in str(error).lower():
                        raise
                    self._end()
                    self._ports_file.unlink(missing_ok=True)
                    self._launch(tools)
            except BaseException as error:
                self._end(grace_seconds=1)
                if isinstance(error, NoFreePortsError):
                    raise ClusterError(str(error)) from error
                if isinstance(error, (ApiException, urllib3.exceptions.HTTPError)):
                    raise ClusterError(
                        f"the new cluster's API server failed: {in_short(error)}; its log: {self.log(_API_SERVER)}"
                    ) from error
                raise
            return True

    def stop(self, remove: bool = False) -> None:
        """End the cluster's processes, and only those. A cluster that does not run is no error.

        Args:
            remove: Also remove everything the cluster keeps; without it the next start continues where this ends.

        Raises:
            ClusterError: Another start or stop of this cluster goes on for too long.
        """
        if not self.state.is_dir():
            return
        with self._locked():
            self._end()
            if remove:
                self._remove()
        if remove:
            with contextlib.suppress(OSError):
                self._lock_file.unlink(missing_ok=True)
                self.state.rmdir()

    def stop_node(self, name: str) -> None:
        """Cut the power of a node that runs containers.

        Raises:
            ClusterError: There is no such node.
        """
        nodes = self._container_nodes(name)
        with self._locked():
            nodes.stop_node(name)

    def start_node(self, name: str) -> None:
        """Start a node again that was stopped, and wait for nothing.

        Raises:
            ClusterError: There is no such node, or the cluster was never started.
            ProcessError: Something of it did not start.
        """
        nodes, ports = self._container_nodes(name), self._load_ports()
        if ports is None:
            raise ClusterError(f"there is no cluster in {self.state}: start it first")
        tools = self._tools or toolchain.provide(nodes.tools)
        with self._locked():
            nodes.start_node(name, self._plane(tools, ports, self._trust()))

    def on_node(self, name: str, command: Sequence[str]) -> list[str]:
        """The command that runs a program in the namespaces of a node that runs containers.

        Raises:
            ClusterError: There is no such node.
            ProcessError: The node does not run.
        """
        return self._container_nodes(name).on_node(name, command)

    def _container_nodes(self, name: str) -> ContainerNodes:
        if not isinstance(self._nodes, ContainerNodes):
            raise ClusterError(f"{name} is played by {self._nodes.name} and has no power to cut")
        if name not in self._nodes.names:
            raise ClusterError(f"there is no node {name}, only {', '.join(self._nodes.names)}")
        return self._nodes

    def check(self) -> None:
        """Make sure that this machine can have such nodes; `start` does so too, after minutes of building perhaps.

        Raises:
            ValueError: It cannot; the message says what to type.
        """
        self._nodes.check()

    def processes(self) -> list[str]:
        """Return pid and command line of each of the cluster's processes that run, for messages and tests."""
        return self._processes.survivors()

    def log(self, name: str) -> Path:
        """Return the log of a process: `kube-apiserver`, `etcd`, `kwok` and so on."""
        return self._processes.log(name)

    @property
    def _all(self) -> tuple[str, ...]:
        return (*_CONTROL_PLANE, *self._nodes.processes)

    @property
    def _ports_file(self) -> Path:
        return self.state / "ports.json"

    @property
    def _lock_file(self) -> Path:
        return self.state / "lock"

    @property
    def _volumes_ready_file(self) -> Path:
        return self.state / "volumes.ready"

    @property
    def _complete_file(self) -> Path:
        """There while the cluster runs that a start brought up to the end."""
        return self.state / "complete"

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with file_lock(self._lock_file, _LOCK_TIMEOUT_SECONDS):
                yield
        except LockTimeoutError as error:
            raise ClusterError(f"another start or stop of the cluster in {self.state} goes on: {error}") from error

    def _keep_to_one_kind(self) -> None:
        found = self._started_nodes().name
        if found != self._nodes.name:
            raise ClusterError(
                f"the cluster in {self.state} has nodes of the kind {found}, not {self._nodes.name}: "
                f"`make down` first, or go on with `make up NODES={found}`"
            )
        _kind_file(self.state).write_text(found)

    def _started_nodes(self) -> NodeKind:
        """Nodes of the kind that the cluster was started with, whatever kind is asked for now."""
        found = started_kind(self.state)
        if found is None or found == self._nodes.name:
            return self._nodes
        return NODE_KINDS[found](self.state, self._processes, NodesWanted(machine_type_named("e2-small"), 1))

    def _end(self, grace_seconds: float = 5.0) -> None:
        # Clients first and etcd last: a server without its own server waits for it before it ends.
        self._complete_file.unlink(missing_ok=True)
        nodes = self._started_nodes()
        nodes.end()
        self._processes.stop([_VOLUMES, _SCHEDULER, _CONTROLLERS], grace_seconds)
        # It keeps nothing itself, and would wait for kubelets that ended without a word.
        self._processes.stop([_API_SERVER], min(grace_seconds, _API_SERVER_GRACE_SECONDS))
        self._processes.stop_all(grace_seconds)
        nodes.sweep()

    def _launch(self, tools: Mapping[str, Path]) -> None:
        ports = reserve_ports(self._ports_file)
        trust = self._trust()
        plane = self._plane(tools, ports, trust)
        url = f"https://{LOOPBACK}:{ports.api_server}"
        authority = trust.authority.certificate
        kubeconfig.write(self.kubeconfig, url, authority, trust.administrator)
        kubeconfig.write(self._kubeconfig_of(_CONTROLLERS), url, authority, trust.controllers)
        kubeconfig.write(self._kubeconfig_of(_SCHEDULER), url, authority, trust.scheduler)
        administrator = kubeconfig.client_context(authority, trust.administrator)

        self._volumes_ready_file.unlink(missing_ok=True)
        started_at = datetime.datetime.now(datetime.UTC)
        self._nodes.open(plane)
        daemons = self._daemons(plane, ports, trust)
        etcd_client = kubeconfig.client_context(trust.etcd_authority, trust.etcd_client)
        self._start(daemons, _ETCD)
        self._wait("etcd", [_ETCD], ports.etcd, "/readyz", etcd_client)
        # The volumes controller spends its first second on imports, the API server on waiting for etcd.
        self._start(daemons, _API_SERVER, _VOLUMES)
        self._wait("the API server", [_ETCD, _API_SERVER], ports.api_server, "/readyz", administrator)
        self._start(daemons, _CONTROLLERS, _SCHEDULER)
        with kubeconfig.connect(self.kubeconfig) as client:
            self._nodes.join(plane, client)
            apply_storage_classes(client, in_cloud=self._cloud is not None)
            self._nodes.match(client)
        self._wait("the scheduler", self._all, ports.scheduler, "/readyz", administrator)
        self._wait("the controllers", self._all, ports.controllers, "/healthz", administrator)
        self._processes.wait(
            self._volumes_ready_file.exists, "the volumes controller to be ready", self._all, _READY_TIMEOUT_SECONDS
        )
        self._wait_for_nodes(started_at)
        with kubeconfig.connect(self.kubeconfig) as client:
            self._nodes.settle(client)
        self._complete_file.touch()

    def _start(self, daemons: Mapping[str, Daemon], *names: str) -> None:
        for name in names:
            self._processes.start(daemons[name])

    def _wait(self, what: str, needs: list[str] | tuple[str, ...], port: int, path: str, tls: ssl.SSLContext) -> None:
        self._processes.wait(lambda: _answers(port, path, tls), f"{what} to be ready", needs, _READY_TIMEOUT_SECONDS)

    def _match_nodes(self, since: datetime.datetime | None) -> None:
        with kubeconfig.connect(self.kubeconfig) as client:
            self._nodes.match(client)
        self._wait_for_nodes(since)

    def _wait_for_nodes(self, since: datetime.datetime | None) -> None:
        """Wait until pods can be created (they need a service account) and run on every node."""
        epoch = datetime.datetime.fromtimestamp(0, datetime.UTC)
        with kubeconfig.connect(self.kubeconfig) as client:
            count = self._nodes.count(client)
            self._processes.wait(
                lambda: _service_account_exists(client) and len(ready_nodes(client, since or epoch)) == count,
                f"{count} nodes to be Ready",
                self._all,
                _READY_TIMEOUT_SECONDS,
            )

    def _runs_with(self, tools: Mapping[str, Path]) -> bool:
        ports = self._load_ports()
        if ports is None:
            return False
        trust = self._trust()
        plane = self._plane(tools, ports, trust)
        daemons = {**self._daemons(plane, ports, trust), **self._nodes.daemons(plane)}
        return self._processes.recorded() == daemons.keys() and all(
            self._processes.command(name) == tuple(daemon.command) for name, daemon in daemons.items()
        )

    def _plane(self, tools: Mapping[str, Path], ports: Ports, trust: _Trust) -> ControlPlane:
        return ControlPlane(
            tools=tools,
            ports=ports.all(),
            api_server_port=ports.api_server,
            authority=trust.authority,
            api_server_user=_API_SERVER,
            kubeconfig=self.kubeconfig,
            pod_range=POD_RANGE,
            service_range=SERVICE_RANGE,
        )

    def _kubeconfig_of(self, name: str) -> Path:
        return self.state / "certificates" / f"{name}.kubeconfig"

    def _trust(self) -> _Trust:
        # Authorities of their own: who may speak to the API server may not therefore speak to etcd.
        folder = self.state / "certificates"
        etcd = Authority(folder / "etcd", "etcd-authority")
        cluster = Authority(folder / "kubernetes", "kubernetes-authority")
        first_service = SERVICE_RANGE.replace(".0.0/16", ".0.1")
        names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
        private_key, public_key = signing_key(folder / "kubernetes", "service-accounts")
        return _Trust(
            etcd_authority=etcd.certificate,
            etcd_server=etcd.server("etcd", [LOOPBACK, "localhost"], client=True),
            etcd_client=etcd.client("kube-apiserver", "kube-apiserver"),
            authority=cluster,
            api_server=cluster.server(
                "kube-apiserver", [LOOPBACK, "localhost", first_service, *names, *self._nodes.api_server_hosts]
            ),
            local_server=cluster.server("loopback", [LOOPBACK, "localhost"]),
            administrator=cluster.client("administrator", "administrator", "system:masters"),
            controllers=cluster.client("controllers", "system:kube-controller-manager"),
            scheduler=cluster.client("scheduler", "system:kube-scheduler"),
            token_private_key=private_key,
            token_public_key=public_key,
        )

    def _daemons(self, plane: ControlPlane, ports: Ports, trust: _Trust) -> dict[str, Daemon]:
        commands = {
            _ETCD: self._etcd_arguments(ports, trust),
            _API_SERVER: [*self._api_server_arguments(ports, trust), *self._nodes.api_server_arguments(plane)],
            _CONTROLLERS: self._controllers_arguments(ports, trust),
            _SCHEDULER: self._scheduler_arguments(ports, trust),
        }
        daemons = {
            name: Daemon(name, self._nodes.enter([str(plane.tools[name]), *arguments]))
            for name, arguments in commands.items()
        }
        daemons[_VOLUMES] = Daemon(
            _VOLUMES,
            [
                sys.executable,
                "-m",
                "local.cluster.volumes",
                f"--kubeconfig={self.kubeconfig}",
                f"--ready={self._volumes_ready_file}",
                *(self._cloud.volumes_arguments() if self._cloud else self._nodes.volumes_arguments()),
            ],
            {"PYTHONPATH": str(PROJECT_FOLDER), "PYTHONUNBUFFERED": "1"},
        )
        return daemons

    def _etcd_arguments(self, ports: Ports, trust: _Trust) -> list[str]:
        client, peer = (f"https://{LOOPBACK}:{port}" for port in (ports.etcd, ports.etcd_peer))
        server = trust.etcd_server
        return [
            "--name=local",
            f"--data-dir={self.state / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=local={peer}",
            "--client-cert-auth",
            f"--trusted-ca-file={trust.etcd_authority}",
            f"--cert-file={server.certificate}",
            f"--key-file={server.key}",
            "--peer-client-cert-auth",
            f"--peer-trusted-ca-file={trust.etcd_authority}",
            f"--peer-cert-file={server.certificate}",
            f"--peer-key-file={server.key}",
            # Survives the end of the process, not that of the machine: for a cluster that can be made anew, the
            # seconds of waiting for the disk are worth more.
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _api_server_arguments(self, ports: Ports, trust: _Trust) -> list[str]:
        return [
            f"--etcd-servers=https://{LOOPBACK}:{ports.etcd}",
            f"--etcd-cafile={trust.etcd_authority}",
            f"--etcd-certfile={trust.etcd_client.certificate}",
            f"--etcd-keyfile={trust.etcd_client.key}",
            f"--secure-port={ports.api_server}",
            f"--tls-cert-file={trust.api_server.certificate}",
            f"--tls-private-key-file={trust.api_server.key}",
            f"--client-ca-file={trust.authority.certificate}",
            *([f"--token-auth-file={self._cloud.access_tokens}"] if self._cloud else []),
            "--anonymous-auth=false",
            "--authorization-mode=Node,RBAC",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={trust.token_public_key}",
            f"--service-account-signing-key-file={trust.token_private_key}",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--profiling=false",
            f"--cert-dir={self.state / 'certificates' / 'kubernetes'}",
        ]

    def _controllers_arguments(self, ports: Ports, trust: _Trust) -> list[str]:
        return [
            *self._component_arguments(_CONTROLLERS, ports.controllers, trust),
            f"--service-account-private-key-file={trust.token_private_key}",
            f"--root-ca-file={trust.authority.certificate}",
            "--use-service-account-credentials=true",
            f"--cluster-cidr={POD_RANGE}",
            # Nodes come with their part of the range.
            "--allocate-node-cidrs=false",
            # It makes this folder, by default one of the machine's.
            f"--flex-volume-plugin-dir={self.state / 'volume-plugins'}",
            *self._nodes.controllers_arguments(),
        ]

    def _scheduler_arguments(self, ports: Ports, trust: _Trust) -> list[str]:
        return self._component_arguments(_SCHEDULER, ports.scheduler, trust)

    def _component_arguments(self, name: str, port: int, trust: _Trust) -> list[str]:
        own = self._kubeconfig_of(name)
        return [
            f"--kubeconfig={own}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={port}",
            f"--tls-cert-file={trust.local_server.certificate}",
            f"--tls-private-key-file={trust.local_server.key}",
            f"--client-ca-file={trust.authority.certificate}",
            # There is one of each, and an election would only delay it.
            "--leader-elect=false",
            "--profiling=false",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        ]

    def _load_ports(self) -> Ports | None:
        return kept_ports(self._ports_file)

    def _remove(self) -> None:
        # Only what this class keeps: a folder named by mistake loses nothing of its own.
        for name in ("etcd", "certificates", "processes", "logs", "volume-plugins"):
            shutil.rmtree(self.state / name, ignore_errors=True)
        self._started_nodes().remove()
        for file in (self.kubeconfig, self._ports_file, self._volumes_ready_file, _kind_file(self.state)):
            file.unlink(missing_ok=True)


def started_kind(state: Path) -> str | None:
    """Return the kind of nodes that the cluster of a folder was started with, or None when there is no cluster."""
    file = _kind_file(state)
    found = file.read_text() if file.exists() else None
    if found is None and _has_data(state):
        # Of a time when there was only this one.
        return KwokNodes.name
    return found if found in NODE_KINDS else None


def _kind_file(state: Path) -> Path:
    return state / "node-kind"


def _has_data(state: Path) -> bool:
    return (state / "etcd" / "member").is_dir()


def _answers(port: int, path: str, tls: ssl.SSLContext) -> bool:
    """Whether a server on loopback answers 200, its certificate verified."""
    connection = http.client.HTTPSConnection(LOOPBACK, port, timeout=_CLIENT_TIMEOUT_SECONDS, context=tls)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _service_account_exists(client: ApiClient) -> bool:
    try:
        CoreV1Api(client).read_namespaced_service_account("default", "default")
    except ApiException as error:
        if is_missing(error):
            return False
        raise
    except urllib3.exceptions.HTTPError:
        return False
    return True
