"""How a cluster comes up: its daemons one after the other, each when what it needs is ready."""

from __future__ import annotations

import datetime
import http.client
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import urllib3
from kubernetes.client.api.core_v1_api import CoreV1Api
from kubernetes.client.api_client import ApiClient
from kubernetes.client.exceptions import ApiException

from local.api import kubeconfig
from local.api.errors import is_missing
from local.cluster import daemon_commands
from local.cluster.daemon_commands import API_SERVER, CONTROL_PLANE, CONTROLLERS, ETCD, SCHEDULER, VOLUMES, CloudSide
from local.cluster.folder import ClusterFolder
from local.cluster.trust import Trust
from local.cluster.volumes import apply_storage_classes
from local.machine.ports import LOOPBACK, Ports
from local.machine.processes import Daemon, Processes
from local.nodes.kind import ControlPlane, NodeKind
from local.nodes.objects import node_faults

_READY_TIMEOUT_SECONDS = 60.0
"""For each step of a start. On two cores the whole takes under 10 s; a busy machine may take longer."""

_CLIENT_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Startup:
    """All that a start depends on, and with it the command line of every daemon.

    Attributes:
        folder: the cluster's.
        processes: of that folder.
        nodes: the nodes that the cluster shall have.
        cloud: the stand-in cloud that runs the cluster, if any.
        tools: binaries by name.
        ports: the cluster's.
        trust: the cluster's.
    """

    folder: ClusterFolder
    processes: Processes
    nodes: NodeKind
    cloud: CloudSide | None
    tools: Mapping[str, Path]
    ports: Ports
    trust: Trust

    @property
    def plane(self) -> ControlPlane:
        """The control plane, as the nodes know it."""
        return ControlPlane(
            tools=self.tools,
            ports=self.ports.all(),
            api_server_port=self.ports.api_server,
            authority=self.trust.authority,
            api_server_user=API_SERVER,
            kubeconfig=self.folder.kubeconfig,
            pod_range=daemon_commands.POD_RANGE,
            service_range=daemon_commands.SERVICE_RANGE,
        )

    def launch(self) -> None:
        """Start everything, and return when pods can run on all nodes.

        Raises:
            ProcessError: a process did not start, ended, or was not ready in time.
            ApiException: the API server refuses what a cluster needs.
        """
        self.trust.write_kubeconfigs(self.folder, f"https://{LOOPBACK}:{self.ports.api_server}")
        administrator = self.trust.as_administrator()
        self.folder.volumes_ready.unlink(missing_ok=True)
        started_at = datetime.datetime.now(datetime.UTC)
        self.nodes.open(self.plane)
        own = self._daemons()
        self.processes.start(own[ETCD])
        self._wait_for_server("etcd", [ETCD], self.ports.etcd, "/readyz", self.trust.as_api_server())
        # The volumes controller spends its first second on imports, the API server on waiting for etcd.
        self.processes.start(own[API_SERVER])
        self.processes.start(own[VOLUMES])
        self._wait_for_server("the API server", [ETCD, API_SERVER], self.ports.api_server, "/readyz", administrator)
        self.processes.start(own[CONTROLLERS])
        self.processes.start(own[SCHEDULER])
        with kubeconfig.connect(self.folder.kubeconfig) as client:
            self.nodes.join(self.plane, client)
            apply_storage_classes(client, in_cloud=self.cloud is not None)
            self.nodes.match(client)
        self._wait_for_server("the scheduler", self._all, self.ports.scheduler, "/readyz", administrator)
        self._wait_for_server("the controllers", self._all, self.ports.controllers, "/healthz", administrator)
        self._wait(self.folder.volumes_ready.exists, "the volumes controller to be ready", self._all)
        with kubeconfig.connect(self.folder.kubeconfig) as client:
            self._wait_for_nodes(client, started_at)
            self.nodes.settle(client)

    def match_nodes(self) -> None:
        """Give a cluster that runs exactly its nodes, and return when pods can run on all of them.

        Raises:
            ProcessError, ApiException: as for `launch`.
        """
        with kubeconfig.connect(self.folder.kubeconfig) as client:
            self.nodes.match(client)
            self._wait_for_nodes(client, datetime.datetime.fromtimestamp(0, datetime.UTC))

    def runs_already(self) -> bool:
        """Whether the daemons that were started have the command lines that `launch` would give them."""
        wanted = {**self._daemons(), **self.nodes.daemons(self.plane)}
        return self.processes.recorded() == wanted.keys() and all(
            self.processes.command(name) == tuple(daemon.command) for name, daemon in wanted.items()
        )

    @property
    def _all(self) -> tuple[str, ...]:
        return (*CONTROL_PLANE, *self.nodes.processes)

    def _daemons(self) -> dict[str, Daemon]:
        folder, nodes, ports, trust = self.folder, self.nodes, self.ports, self.trust
        commands = {
            ETCD: daemon_commands.etcd_arguments(folder, ports, trust),
            API_SERVER: daemon_commands.api_server_arguments(ports, trust, self.cloud)
            + nodes.api_server_arguments(self.plane),
            CONTROLLERS: daemon_commands.controllers_arguments(folder, ports, trust) + nodes.controllers_arguments(),
            SCHEDULER: daemon_commands.scheduler_arguments(folder, ports, trust),
        }
        backing = self.cloud.volumes_arguments() if self.cloud else nodes.volumes_arguments()
        return {
            **{name: Daemon(name, nodes.enter([str(self.tools[name]), *rest])) for name, rest in commands.items()},
            VOLUMES: daemon_commands.volumes_daemon(folder, backing),
        }

    def _wait_for_server(self, what: str, needs: Sequence[str], port: int, path: str, tls: ssl.SSLContext) -> None:
        self._wait(lambda: answers(port, path, tls), f"{what} to be ready", needs)

    def _wait_for_nodes(self, client: ApiClient, since: datetime.datetime) -> None:
        """Wait until pods can be created (they need a service account) and run on every node."""
        count = self.nodes.count(client)
        self._wait(
            lambda: (
                _service_account_exists(client)
                and sum(not fault for fault in node_faults(client, since).values()) == count
            ),
            f"{count} nodes to be Ready",
            self._all,
        )

    def _wait(self, ready: Callable[[], bool], what: str, needs: Sequence[str]) -> None:
        self.processes.wait(ready, what, needs, _READY_TIMEOUT_SECONDS)


def answers(port: int, path: str, tls: ssl.SSLContext) -> bool:
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
