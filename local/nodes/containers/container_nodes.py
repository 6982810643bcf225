"""Nodes that run containers, as a kind of nodes of a local cluster.

Everything is in namespaces: the control plane in a network of its own, in which a bridge joins the nodes; each node in
namespaces for its mounts, processes and network. The machine itself gets nothing but processes, which hold these
namespaces, and a control group for each node, which is found by its name.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from kubernetes.client.api.core_v1_api import CoreV1Api
from kubernetes.client.api_client import ApiClient

from dragonfly.google.machine_types import allocatable
from local.api import kubeconfig
from local.images.archive import provide_archives
from local.machine.certificates import Certificate
from local.machine.processes import Daemon, ProcessError, Processes
from local.nodes.containers import dns, kube_proxy, kube_router, kubelet, namespaces
from local.nodes.containers.addresses import CONTROL_PLANE, node_address
from local.nodes.containers.cgroups import Cgroups
from local.nodes.containers.containerd import CONFIG, SOCKET, import_images, serves_kubelet, write_config
from local.nodes.containers.kubelet import KubeletFiles
from local.nodes.containers.requirements import why_not
from local.nodes.containers.roles import grant
from local.nodes.kind import ControlPlane, NodesWanted
from local.nodes.objects import node_name
from local.tools.catalog import CONTAINER_TOOLS

MAXIMUM_CONTAINER_NODES = 3
"""They share one machine's processors and memory, whose whole each of them reports as its own."""

_NETWORK, _FORWARDER, _DNS = "control-plane-network", "forwarder", "coredns"
_KUBELET_ADMINISTRATOR = "system:kubelet-api-admin"
"""A role that every cluster has (Kubernetes documentation, "Using RBAC authorization")."""

_TIMEOUT_SECONDS = 60.0


class ContainerNodes:
    """Those of one cluster."""

    name = "containers"
    tools: Sequence[str] = CONTAINER_TOOLS
    api_server_hosts: Sequence[str] = (CONTROL_PLANE,)

    def __init__(self, state: Path, processes: Processes, wanted: NodesWanted) -> None:
        """Describe them.

        Args:
            state: the cluster's folder.
            processes: the cluster's.
            wanted: what a user asks for. Pods get no more of a node than on one of the machine type.

        Raises:
            ValueError: the number is out of range.
        """
        count = wanted.count
        if count is None or not 1 <= count <= MAXIMUM_CONTAINER_NODES:
            raise ValueError(f"there are 1 to {MAXIMUM_CONTAINER_NODES} nodes that run containers, not {count}")
        self._state = state
        self._folder = state / "nodes"
        self._volumes = state / "volumes"
        self._processes = processes
        self._machine_type = wanted.machine_type
        self._images = wanted.images
        self._nodes = [_Node(index, self._folder) for index in range(count)]
        self._cgroups = Cgroups(state)
        self._imports: list[Future[None]] = []
        daemons = [name for node in self._nodes for name in node.daemons]
        self.processes: Sequence[str] = (_NETWORK, _FORWARDER, *daemons, _DNS)

    def check(self) -> None:
        """Root and Debian's packages are needed.

        Raises:
            ValueError: something is missing.
        """
        reason = why_not()
        if reason is not None:
            raise ValueError(reason)

    def provide(self) -> None:
        """Fetch or build the images, unless some were given.

        Raises:
            ToolchainError: the stand-in could not be built.
            DebianRootError: Debian's packages could not be had.
        """
        if self._images is None:
            self._images = provide_archives()

    def open(self, plane: ControlPlane) -> None:
        """Make the control plane's network and the nodes, and start their containerd, which needs no control plane."""
        # There already, unless the cluster still ran when `start` looked.
        self.provide()
        archives = self._images or ()
        self._volumes.mkdir(parents=True, exist_ok=True)
        # Pods of any user enter their own folder in it.
        self._volumes.chmod(0o711)
        self._write_files(plane)
        self._processes.start(namespaces.network_holder(_NETWORK))
        for node in self._nodes:
            self._start_holder(node, plane)
        network = self._pid(_NETWORK)
        self._wait(lambda: namespaces.has_own_network(network), "the control plane's network", [_NETWORK])
        namespaces.wire_control_plane(network, plane.service_range)
        self._processes.start(self._forwarder(plane))
        for node in self._nodes:
            self._start_runtime(node, plane)
        executor = ThreadPoolExecutor(len(self._nodes))
        self._imports = [executor.submit(self._import_images, node, archives) for node in self._nodes]
        executor.shutdown(wait=False)

    def enter(self, command: Sequence[str]) -> list[str]:
        """In the control plane's network."""
        return namespaces.in_network(self._pid(_NETWORK), command)

    def api_server_arguments(self, plane: ControlPlane) -> list[str]:
        """Reached by the nodes; its calls to kubelets are verified on both sides."""
        client = plane.authority.client("kube-apiserver-kubelet", plane.api_server_user)
        return [
            # Every address of its own network, which ends at the nodes.
            "--bind-address=0.0.0.0",
            f"--advertise-address={CONTROL_PLANE}",
            # A node whose kubelet was taken over may not change other nodes or their pods.
            "--enable-admission-plugins=NodeRestriction",
            # Something else that answers at a node's address would get what is typed into `kubectl exec`.
            f"--kubelet-certificate-authority={plane.authority.certificate}",
            f"--kubelet-client-certificate={client.certificate}",
            f"--kubelet-client-key={client.key}",
        ]

    def controllers_arguments(self) -> list[str]:
        """Look at nodes every second: one that became Ready is looked at twice before pods may run on it."""
        return ["--node-monitor-period=1s"]

    def volumes_arguments(self) -> list[str]:
        """Return a folder for each claim, which every node sees."""
        return [f"--directories={self._volumes}"]

    def daemons(self, plane: ControlPlane) -> dict[str, Daemon]:
        """All of them, as they are started."""
        daemons = [
            namespaces.network_holder(_NETWORK),
            self._forwarder(plane),
            Daemon(_DNS, self.enter(dns.command(plane.tools["coredns"], self._dns_config)), namespaces.ENVIRONMENT),
        ]
        for node in self._nodes:
            daemons += [self._holder(node, plane), self._runtime(node), *self._agents(node, plane)]
        return {daemon.name: daemon for daemon in daemons}

    def join(self, plane: ControlPlane, client: ApiClient) -> None:
        """Start DNS, and the agents of each node."""
        daemons = self.daemons(plane)
        grant(client, plane.api_server_user, _KUBELET_ADMINISTRATOR)
        dns.apply(client)
        kube_router.apply(client)
        self._processes.start(daemons[_DNS])
        for node in self._nodes:
            for name in (node.kubelet, node.kube_proxy):
                self._processes.start(daemons[name])
        for node in self._nodes:
            # It ends where its node is not entered yet, which kubelet does.
            self._wait(lambda name=node.name: name in _entered(client), f"{node.name} to be entered", [node.kubelet])
            self._processes.start(daemons[node.kube_router])

    def match(self, client: ApiClient) -> None:
        """Forget nodes of before; kubelets enter the others themselves."""
        for name in _entered(client) - {node.name for node in self._nodes}:
            CoreV1Api(client).delete_node(name)

    def count(self, client: ApiClient) -> int:
        """As many as were asked for."""
        del client
        return len(self._nodes)

    def settle(self, client: ApiClient) -> None:
        """Wait for the images: a pod whose image is not there yet would be told that there is none.

        Raises:
            ProcessError: an archive cannot be imported.
        """
        del client
        for done in self._imports:
            done.result()

    def end(self) -> None:
        """End the nodes, as if their power were cut: what runs in a node's namespaces ends with its first process."""
        # Also of nodes that the cluster had before, when it was larger.
        holders = self._processes.recorded() & {node_name(index) for index in range(MAXIMUM_CONTAINER_NODES)}
        self._processes.stop(holders, grace_seconds=0)

    def sweep(self) -> None:
        """Remove the control groups; all else went with the namespaces.

        Raises:
            CgroupError: a group does not go away.
        """
        self._cgroups.remove()

    def remove(self) -> None:
        """Remove the nodes' folders and the volumes."""
        for folder in (self._folder, self._volumes):
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def names(self) -> list[str]:
        """The nodes' names."""
        return [node.name for node in self._nodes]

    def stop_node(self, name: str) -> None:
        """Cut the power of one of `names`."""
        node = self._named(name)
        self._processes.stop([node.holder], grace_seconds=0)
        self._processes.stop(node.daemons)
        # As after any start of a machine; kubelet would look for their pods for a long time.
        self._cgroups.remove(node.name)

    def start_node(self, name: str, plane: ControlPlane) -> None:
        """Start one of `names` again that was stopped.

        Raises:
            ProcessError: something of it did not start.
        """
        node = self._named(name)
        self._cgroups.make(node.name)
        self._start_holder(node, plane)
        self._start_runtime(node, plane)
        self._wait_for_runtime(node)
        for daemon in self._agents(node, plane):
            self._processes.start(daemon)

    def give_images(self, archives: Sequence[Path]) -> None:
        """Give the nodes, which run, the images of some archives, unless they have them.

        Raises:
            ProcessError: a node does not run, or an archive cannot be imported.
        """
        for node in self._nodes:
            self._import_images(node, archives)

    def on_node(self, name: str, command: Sequence[str]) -> list[str]:
        """Return the command that runs a program on one of `names`.

        Raises:
            ProcessError: the node does not run.
        """
        return namespaces.on_node(self._pid(self._named(name).holder), command)

    @property
    def _dns_config(self) -> Path:
        return self._folder / "Corefile"

    def _named(self, name: str) -> _Node:
        return next(node for node in self._nodes if node.name == name)

    def _write_files(self, plane: ControlPlane) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        authority = plane.authority
        self._write_kubeconfig(self._dns_kubeconfig, plane, authority.client("coredns", dns.USER), "127.0.0.1")
        dns.write_config(self._dns_config, self._dns_kubeconfig)
        for node in self._nodes:
            self._cgroups.make(node.name)
            for folder in (node.folder / "lib", node.folder / "log"):
                folder.mkdir(parents=True, exist_ok=True)
            write_config(node.folder / "containerd", node.index)
            (node.folder / "resolv.conf").write_text(f"nameserver {CONTROL_PLANE}\n")
            files = self._kubelet_files(node, plane)
            kubelet.write_config(files, node.index, self._cgroups.of_node(node.name))
            signed = authority.client(f"{node.name}-kubelet", f"system:node:{node.name}", "system:nodes")
            self._write_kubeconfig(files.kubeconfig, plane, signed)
            signed = authority.client(f"{node.name}-kube-proxy", "system:kube-proxy")
            self._write_kubeconfig(node.folder / "kube-proxy.kubeconfig", plane, signed)
            signed = authority.client(f"{node.name}-kube-router", kube_router.USER)
            self._write_kubeconfig(self._kube_router_kubeconfig(node), plane, signed)
            kube_proxy.write_config(
                node.folder / "kube-proxy.json", node.folder / "kube-proxy.kubeconfig", node.name, plane.pod_range
            )

    @property
    def _dns_kubeconfig(self) -> Path:
        return self._folder / "coredns.kubeconfig"

    def _kube_router_kubeconfig(self, node: _Node) -> Path:
        return node.folder / "kube-router.kubeconfig"

    def _write_kubeconfig(
        self, file: Path, plane: ControlPlane, user: Certificate, address: str = CONTROL_PLANE
    ) -> None:
        kubeconfig.write(file, f"https://{address}:{plane.api_server_port}", plane.authority.certificate, user)

    def _kubelet_files(self, node: _Node, plane: ControlPlane) -> KubeletFiles:
        return KubeletFiles(
            config=node.folder / "kubelet.json",
            kubeconfig=node.folder / "kubelet.kubeconfig",
            server=plane.authority.server(node.name, [node.name, node_address(node.index)]),
            authority=plane.authority.certificate,
            resolv_conf=node.folder / "resolv.conf",
        )

    def _holder(self, node: _Node, plane: ControlPlane) -> Daemon:
        programs = sorted({path.parent for path in plane.tools.values()})
        keep = [self._state, *programs]
        return namespaces.node_holder(node.holder, node.name, node.folder, node.ready, keep)

    def _start_holder(self, node: _Node, plane: ControlPlane) -> None:
        node.ready.unlink(missing_ok=True)
        self._processes.start(self._holder(node, plane))

    def _start_runtime(self, node: _Node, plane: ControlPlane) -> None:
        self._wait(node.ready.exists, f"{node.name} to be made", [node.holder])
        others = [other.index for other in self._nodes if other is not node]
        namespaces.wire_node(self._pid(_NETWORK), self._pid(node.holder), node.index, others, plane.service_range)
        self._processes.start(self._runtime(node))

    def _wait_for_runtime(self, node: _Node) -> None:
        socket = Path(f"/proc/{self._pid(node.holder)}/root{SOCKET}")
        self._wait(
            lambda: serves_kubelet(socket), f"containerd of {node.name} to be ready", [node.holder, node.runtime]
        )

    def _import_images(self, node: _Node, archives: Sequence[Path]) -> None:
        self._wait_for_runtime(node)
        import_images(namespaces.on_node(self._pid(node.holder), []), archives, node.folder / "images.json")

    def _runtime(self, node: _Node) -> Daemon:
        return self._daemon_on(node, node.runtime, ["containerd", f"--config={CONFIG}"])

    def _agents(self, node: _Node, plane: ControlPlane) -> list[Daemon]:
        reserved = kubelet.reserved_for_system(allocatable(self._machine_type))
        files = self._kubelet_files(node, plane)
        kubelet_command = kubelet.command(
            plane.tools["kubelet"], files, node.name, node.index, reserved, self._machine_type.name
        )
        proxy_command = kube_proxy.command(plane.tools["kube-proxy"], node.folder / "kube-proxy.json")
        router_command = kube_router.command(
            plane.tools["kube-router"], self._kube_router_kubeconfig(node), node.name, plane.service_range
        )
        return [
            self._daemon_on(node, node.kubelet, kubelet_command),
            self._daemon_on(node, node.kube_proxy, proxy_command),
            self._daemon_on(node, node.kube_router, router_command),
        ]

    def _daemon_on(self, node: _Node, name: str, command: Sequence[str]) -> Daemon:
        return Daemon(name, namespaces.on_node(self._pid(node.holder), command), namespaces.ENVIRONMENT)

    def _forwarder(self, plane: ControlPlane) -> Daemon:
        network = namespaces.network_file(self._pid(_NETWORK))
        return namespaces.forwarder(_FORWARDER, network, plane.ports)

    def _pid(self, name: str) -> int:
        pid = self._processes.pid(name)
        if pid is None:
            raise ProcessError(f"{name} does not run; the end of its log:\n{self._processes.log_tail(name)}")
        return pid

    def _wait(self, ready: Callable[[], bool], what: str, needs: Sequence[str]) -> None:
        self._processes.wait(ready, what, needs, _TIMEOUT_SECONDS)


def _entered(client: ApiClient) -> set[str]:
    """Names of the nodes that the API server knows."""
    return {str(node.metadata.name) for node in CoreV1Api(client).list_node().items if node.metadata}


class _Node:
    """Names and places of one node."""

    def __init__(self, index: int, folder: Path) -> None:
        self.index = index
        self.name = node_name(index)
        self.folder = folder / self.name
        self.ready = folder / f"{self.name}.ready"
        self.holder = self.name
        self.runtime = f"{self.name}-containerd"
        self.kubelet = f"{self.name}-kubelet"
        self.kube_proxy = f"{self.name}-kube-proxy"
        self.kube_router = f"{self.name}-kube-router"
        self.daemons = (self.holder, self.runtime, self.kubelet, self.kube_proxy, self.kube_router)
