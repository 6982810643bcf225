"""A Kubernetes cluster on this machine, without root and without containers.

etcd, the API server, the controller manager and the scheduler are the real ones; the nodes are played by kwok and the
volumes by a controller of ours. Every server listens on 127.0.0.1 only and every connection is verified by authorities
of the cluster's own. All it keeps is in one folder.
"""

from __future__ import annotations

import contextlib
import datetime
import http.client
import json
import random
import shutil
import socket
import ssl
import sys
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import urllib3
from kubernetes.client.api.core_v1_api import CoreV1Api
from kubernetes.client.api_client import ApiClient
from kubernetes.client.exceptions import ApiException

from dragonfly.machine_types import machine_type_named
from local import kubeconfig, toolchain
from local.api_errors import in_short, is_missing
from local.certificates import Authority, Certificate, signing_key, write_private
from local.file_lock import LockTimeoutError, file_lock
from local.nodes import MAXIMUM_NODES, SELECTOR, apply_nodes, forget_heartbeats, node_count, ready_nodes
from local.processes import Daemon, ProcessError, Processes
from local.system_pods import apply_system_pods
from local.volumes import apply_storage_classes

SERVICE_RANGE = "10.96.0.0/16"
"""Addresses of Services; the first is the API server's own."""

POD_RANGE = "10.244.0.0/16"
"""Addresses of pods, of which every node has a part."""

_LOOPBACK = "127.0.0.1"

_PORT_RANGE = range(20000, 32000)
"""Below the ports that Linux gives to outgoing connections (32768 on), so that none of these takes one of ours between
stop and start."""

_NODE_LEASE_SECONDS = 40
"""The kubelet's default (`nodeLeaseDurationSeconds` in the kubelet's configuration reference)."""

_READY_TIMEOUT_SECONDS = 60.0
"""For each step of a start. On two cores the whole takes under 10 s; a busy machine may take longer."""

_LOCK_TIMEOUT_SECONDS = 120.0
_CLIENT_TIMEOUT_SECONDS = 5.0

_ETCD, _API_SERVER, _CONTROLLERS, _SCHEDULER = "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"
_KWOK, _VOLUMES = "kwok", "volumes"
_ALL = (_ETCD, _API_SERVER, _CONTROLLERS, _SCHEDULER, _KWOK, _VOLUMES)


class ClusterError(RuntimeError):
    """The cluster cannot do what was asked; the message says why and what to do."""


@dataclass(frozen=True)
class _Ports:
    """Loopback ports, kept from start to start so that kubeconfigs handed out stay valid."""

    etcd: int
    etcd_peer: int
    api_server: int
    controllers: int
    scheduler: int


@dataclass(frozen=True)
class _Trust:
    """Everything that proves who is who."""

    etcd_authority: Path
    etcd_server: Certificate
    etcd_client: Certificate
    authority: Path
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
    ) -> None:
        """Describe a cluster; nothing is started or written yet.

        Args:
            state: The folder for everything it keeps; created at the first start.
            machine_type: GKE machine type whose allocatable the nodes have.
            node_count: How many nodes, 1 to 200; None for a cluster whose nodes somebody else makes and takes away.
            tools: Binaries by name; from `local.toolchain` when not given.
            cloud: The stand-in cloud that runs it, if any.

        Raises:
            UnknownMachineTypeError: `dragonfly.machine_types` cannot tell what it offers.
            ValueError: The number of nodes is out of range.
        """
        if node_count is not None and not 1 <= node_count <= MAXIMUM_NODES:
            raise ValueError(f"a local cluster has 1 to {MAXIMUM_NODES} nodes, not {node_count}")
        self.state = state.resolve()
        self._machine_type = machine_type_named(machine_type)
        self._node_count = node_count
        self._tools = tools
        self._cloud = cloud
        self._processes = Processes(self.state)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, mode 0600, complete in itself; there after the first start."""
        return self.state / "kubeconfig"

    @property
    def authority(self) -> Path:
        """PEM file of the authority that signs the API server's certificate; there after the first start."""
        return self._trust().authority

    @property
    def url(self) -> str:
        """The API server's URL.

        Raises:
            ClusterError: The cluster was never started.
        """
        ports = self._load_ports()
        if ports is None:
            raise ClusterError(f"there is no cluster in {self.state}: start it first")
        return f"https://{_LOOPBACK}:{ports.api_server}"

    def has_data(self) -> bool:
        """Whether the cluster was started before and what it held is still there."""
        return (self.state / "etcd" / "member").is_dir()

    def running(self) -> bool:
        """Whether every process runs and the API server says that it is ready."""
        ports = self._load_ports()
        if ports is None or not all(self._processes.alive(name) for name in _ALL):
            return False
        trust = self._trust()
        return _answers(ports.api_server, "/readyz", kubeconfig.client_context(trust.authority, trust.administrator))

    def start(self) -> bool:
        """Start the cluster and wait until pods can run on all its nodes.

        A cluster that runs, healthy and with the same tools, is left as it is; only its nodes are made to match. What
        is left of one that crashed is ended first. A start that fails, or is interrupted, leaves no process behind.

        Returns:
            Whether processes were started; False when the cluster was running already.

        Raises:
            ClusterError: Another start or stop of this cluster goes on for too long, or the API server refuses what a
                cluster needs.
            ProcessError: A process did not start, ended, or was not ready in time; the message has its log.
            ToolchainError: A tool is missing and cannot be built.
        """
        # Before the lock: a first build can take minutes, and has locks of its own.
        tools = self._tools or toolchain.provide(toolchain.CLUSTER_TOOLS)
        with self._locked():
            if self.running() and self._runs_with(tools):
                self._match_nodes(since=None)
                return False
            try:
                self._end()
                try:
                    self._launch(tools)
                except ProcessError as error:
                    # Between our look at a port and the server's, somebody else may have taken it.
                    if "address already in use" not in str(error):
                        raise
                    self._end()
                    self._ports_file.unlink(missing_ok=True)
                    self._launch(tools)
            except BaseException as error:
                self._processes.stop_all(grace_seconds=1)
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

    def processes(self) -> list[str]:
        """Return pid and command line of each of the cluster's processes that run, for messages and tests."""
        return self._processes.survivors()

    def log(self, name: str) -> Path:
        """Return the log of a process: `kube-apiserver`, `etcd`, `kwok` and so on."""
        return self._processes.log(name)

    @property
    def _ports_file(self) -> Path:
        return self.state / "ports.json"

    @property
    def _lock_file(self) -> Path:
        return self.state / "lock"

    @property
    def _volumes_ready_file(self) -> Path:
        return self.state / "volumes.ready"

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with file_lock(self._lock_file, _LOCK_TIMEOUT_SECONDS):
                yield
        except LockTimeoutError as error:
            raise ClusterError(f"another start or stop of the cluster in {self.state} goes on: {error}") from error

    def _end(self) -> None:
        # Clients first and etcd last: a server without its own server waits for it before it ends.
        self._processes.stop([_VOLUMES, _KWOK, _SCHEDULER, _CONTROLLERS])
        self._processes.stop([_API_SERVER])
        self._processes.stop_all()

    def _launch(self, tools: Mapping[str, Path]) -> None:
        ports = self._choose_ports()
        trust = self._trust()
        url = f"https://{_LOOPBACK}:{ports.api_server}"
        kubeconfig.write(self.kubeconfig, url, trust.authority, trust.administrator)
        kubeconfig.write(self._kubeconfig_of(_CONTROLLERS), url, trust.authority, trust.controllers)
        kubeconfig.write(self._kubeconfig_of(_SCHEDULER), url, trust.authority, trust.scheduler)
        daemons = self._daemons(tools, ports, trust)
        administrator = kubeconfig.client_context(trust.authority, trust.administrator)

        self._volumes_ready_file.unlink(missing_ok=True)
        started_at = datetime.datetime.now(datetime.UTC)
        etcd_client = kubeconfig.client_context(trust.etcd_authority, trust.etcd_client)
        self._start(daemons, _ETCD)
        self._wait("etcd", [_ETCD], ports.etcd, "/readyz", etcd_client)
        # The volumes controller spends its first second on imports, the API server on waiting for etcd.
        self._start(daemons, _API_SERVER, _VOLUMES)
        self._wait("the API server", [_ETCD, _API_SERVER], ports.api_server, "/readyz", administrator)
        self._start(daemons, _CONTROLLERS, _SCHEDULER)
        with kubeconfig.connect(self.kubeconfig) as client:
            forget_heartbeats(client)
            self._start(daemons, _KWOK)
            apply_storage_classes(client, in_cloud=self._cloud is not None)
            self._apply_nodes(client)
        self._wait("the scheduler", _ALL, ports.scheduler, "/readyz", administrator)
        self._wait("the controllers", _ALL, ports.controllers, "/healthz", administrator)
        self._processes.wait(
            self._volumes_ready_file.exists, "the volumes controller to be ready", _ALL, _READY_TIMEOUT_SECONDS
        )
        self._wait_for_nodes(started_at)
        with kubeconfig.connect(self.kubeconfig) as client:
            apply_system_pods(client)

    def _start(self, daemons: Mapping[str, Daemon], *names: str) -> None:
        for name in names:
            self._processes.start(daemons[name])

    def _wait(self, what: str, needs: list[str] | tuple[str, ...], port: int, path: str, tls: ssl.SSLContext) -> None:
        self._processes.wait(lambda: _answers(port, path, tls), f"{what} to be ready", needs, _READY_TIMEOUT_SECONDS)

    def _match_nodes(self, since: datetime.datetime | None) -> None:
        with kubeconfig.connect(self.kubeconfig) as client:
            self._apply_nodes(client)
        self._wait_for_nodes(since)

    def _apply_nodes(self, client: ApiClient) -> None:
        if self._node_count is not None:
            apply_nodes(client, self._node_count, self._machine_type, toolchain.TOOLS["kubernetes"].version)

    def _wait_for_nodes(self, since: datetime.datetime | None) -> None:
        """Wait until pods can be created (they need a service account) and run on every node."""
        epoch = datetime.datetime.fromtimestamp(0, datetime.UTC)
        with kubeconfig.connect(self.kubeconfig) as client:
            count = self._node_count if self._node_count is not None else node_count(client)
            self._processes.wait(
                lambda: _service_account_exists(client) and len(ready_nodes(client, since or epoch)) == count,
                f"{count} nodes to be Ready",
                _ALL,
                _READY_TIMEOUT_SECONDS,
            )

    def _runs_with(self, tools: Mapping[str, Path]) -> bool:
        ports = self._load_ports()
        if ports is None:
            return False
        daemons = self._daemons(tools, ports, self._trust())
        return all(self._processes.command(name) == tuple(daemons[name].command) for name in _ALL)

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
            etcd_server=etcd.server("etcd", [_LOOPBACK, "localhost"], client=True),
            etcd_client=etcd.client("kube-apiserver", "kube-apiserver"),
            authority=cluster.certificate,
            api_server=cluster.server("kube-apiserver", [_LOOPBACK, "localhost", first_service, *names]),
            local_server=cluster.server("loopback", [_LOOPBACK, "localhost"]),
            administrator=cluster.client("administrator", "administrator", "system:masters"),
            controllers=cluster.client("controllers", "system:kube-controller-manager"),
            scheduler=cluster.client("scheduler", "system:kube-scheduler"),
            token_private_key=private_key,
            token_public_key=public_key,
        )

    def _daemons(self, tools: Mapping[str, Path], ports: _Ports, trust: _Trust) -> dict[str, Daemon]:
        commands = {
            _ETCD: self._etcd_arguments(ports, trust),
            _API_SERVER: self._api_server_arguments(ports, trust),
            _CONTROLLERS: self._controllers_arguments(ports, trust),
            _SCHEDULER: self._scheduler_arguments(ports, trust),
            _KWOK: [
                f"--kubeconfig={self.kubeconfig}",
                f"--manage-nodes-with-annotation-selector={SELECTOR}",
                # A heartbeat by lease as kubelets have; kwok's default is a change of every node's status instead.
                f"--node-lease-duration-seconds={_NODE_LEASE_SECONDS}",
            ],
        }
        missing = sorted(commands.keys() - tools.keys())
        if missing:
            raise ClusterError(f"no binary was given for {', '.join(missing)}")
        daemons = {name: Daemon(name, [str(tools[name]), *arguments]) for name, arguments in commands.items()}
        daemons[_VOLUMES] = Daemon(
            _VOLUMES,
            [
                sys.executable,
                "-m",
                "local.volumes",
                f"--kubeconfig={self.kubeconfig}",
                f"--ready={self._volumes_ready_file}",
                *(self._cloud.volumes_arguments() if self._cloud else []),
            ],
            {"PYTHONPATH": str(Path(__file__).resolve().parent.parent), "PYTHONUNBUFFERED": "1"},
        )
        return daemons

    def _etcd_arguments(self, ports: _Ports, trust: _Trust) -> list[str]:
        client, peer = (f"https://{_LOOPBACK}:{port}" for port in (ports.etcd, ports.etcd_peer))
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

    def _api_server_arguments(self, ports: _Ports, trust: _Trust) -> list[str]:
        return [
            f"--etcd-servers=https://{_LOOPBACK}:{ports.etcd}",
            f"--etcd-cafile={trust.etcd_authority}",
            f"--etcd-certfile={trust.etcd_client.certificate}",
            f"--etcd-keyfile={trust.etcd_client.key}",
            f"--bind-address={_LOOPBACK}",
            f"--advertise-address={_LOOPBACK}",
            # A loopback address is refused as an endpoint, and nothing runs in the pods that could ask for it.
            "--endpoint-reconciler-type=none",
            f"--secure-port={ports.api_server}",
            f"--tls-cert-file={trust.api_server.certificate}",
            f"--tls-private-key-file={trust.api_server.key}",
            f"--client-ca-file={trust.authority}",
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

    def _controllers_arguments(self, ports: _Ports, trust: _Trust) -> list[str]:
        return [
            *self._component_arguments(_CONTROLLERS, ports.controllers, trust),
            f"--service-account-private-key-file={trust.token_private_key}",
            f"--root-ca-file={trust.authority}",
            "--use-service-account-credentials=true",
            f"--cluster-cidr={POD_RANGE}",
            # Nodes come with their part of the range.
            "--allocate-node-cidrs=false",
        ]

    def _scheduler_arguments(self, ports: _Ports, trust: _Trust) -> list[str]:
        return self._component_arguments(_SCHEDULER, ports.scheduler, trust)

    def _component_arguments(self, name: str, port: int, trust: _Trust) -> list[str]:
        own = self._kubeconfig_of(name)
        return [
            f"--kubeconfig={own}",
            f"--bind-address={_LOOPBACK}",
            f"--secure-port={port}",
            f"--tls-cert-file={trust.local_server.certificate}",
            f"--tls-private-key-file={trust.local_server.key}",
            f"--client-ca-file={trust.authority}",
            # There is one of each, and an election would only delay it.
            "--leader-elect=false",
            "--profiling=false",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        ]

    def _load_ports(self) -> _Ports | None:
        try:
            return _Ports(**cast("dict[str, int]", json.loads(self._ports_file.read_text())))
        except (OSError, ValueError, TypeError):
            return None

    def _choose_ports(self) -> _Ports:
        ports = self._load_ports()
        if ports is None or not all(_is_free(port) for port in cast("dict[str, int]", asdict(ports)).values()):
            candidates = (port for port in random.sample(_PORT_RANGE, len(_PORT_RANGE)) if _is_free(port))
            try:
                ports = _Ports(*(next(candidates) for _ in range(5)))
            except (StopIteration, RuntimeError):
                raise ClusterError(
                    f"no five free ports between {_PORT_RANGE.start} and {_PORT_RANGE.stop} on {_LOOPBACK}"
                ) from None
            write_private(self._ports_file, json.dumps(asdict(ports)).encode())
        return ports

    def _remove(self) -> None:
        # Only what this class keeps: a folder named by mistake loses nothing of its own.
        for name in ("etcd", "certificates", "processes", "logs"):
            shutil.rmtree(self.state / name, ignore_errors=True)
        # kwok makes its work folder in its home, which is ours.
        shutil.rmtree(self.state / ".kwok", ignore_errors=True)
        for file in (self.kubeconfig, self._ports_file, self._volumes_ready_file):
            file.unlink(missing_ok=True)


def _answers(port: int, path: str, tls: ssl.SSLContext) -> bool:
    """Whether a server on loopback answers 200, its certificate verified."""
    connection = http.client.HTTPSConnection(_LOOPBACK, port, timeout=_CLIENT_TIMEOUT_SECONDS, context=tls)
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


def _is_free(port: int) -> bool:
    with socket.socket() as attempt:
        # As the servers do: a port whose last connections are only fading out is free.
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((_LOOPBACK, port))
        except OSError:
            return False
    return True
