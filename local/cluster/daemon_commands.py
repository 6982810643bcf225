"""The daemons of the control plane: their names, and the command lines that follow from ports, files and certificates.

Those of the nodes are in `local/nodes/`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local.cluster.folder import ClusterFolder
from local.cluster.trust import Trust
from local.machine.paths import PROJECT_FOLDER
from local.machine.ports import LOOPBACK, Ports
from local.machine.processes import Daemon

SERVICE_RANGE = "10.96.0.0/16"
"""Addresses of Services; the first is the API server's own."""

API_SERVICE = SERVICE_RANGE.replace(".0.0/16", ".0.1")

POD_RANGE = "10.244.0.0/16"
"""Addresses of pods, of which every node has a part."""

ETCD, API_SERVER, CONTROLLERS, SCHEDULER = "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"
VOLUMES = "volumes"
CONTROL_PLANE = (ETCD, API_SERVER, CONTROLLERS, SCHEDULER, VOLUMES)


@dataclass(frozen=True)
class CloudSide:
    """What a cluster has besides when the stand-in cloud runs it.

    Attributes:
        ledger: the cloud's ledger, where disks are entered.
        project: the project whose disks they are.
        zone: where disks are made that are not made for a pod on a certain node.
        access_tokens: CSV file of tokens that stand for users (Kubernetes documentation, "Static token file").
        kinds: definitions of kinds that the cloud's own operators bring, files of one each.
        kinds_seconds: after how many seconds they are there.
    """

    ledger: Path
    project: str
    zone: str
    access_tokens: Path
    kinds: Sequence[Path]
    kinds_seconds: float

    def volumes_arguments(self) -> list[str]:
        """Return arguments of the volumes controller, which is the cloud's hand in the cluster."""
        kinds = [f"--kinds-after={self.kinds_seconds}", *(f"--kind={file}" for file in self.kinds)]
        return [f"--ledger={self.ledger}", f"--project={self.project}", f"--zone={self.zone}", *kinds]


def etcd_arguments(folder: ClusterFolder, ports: Ports, trust: Trust) -> list[str]:
    """Return the arguments of etcd: one member, whose only client is the API server."""
    client, peer = (f"https://{LOOPBACK}:{port}" for port in (ports.etcd, ports.etcd_peer))
    server = trust.etcd_server
    return [
        "--name=local",
        f"--data-dir={folder.etcd}",
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
        # Survives the end of the process, not that of the machine: for a cluster that can be made anew, the seconds of
        # waiting for the disk are worth more.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server_arguments(ports: Ports, trust: Trust, cloud: CloudSide | None) -> list[str]:
    """Return the API server's arguments, but for those that depend on the nodes."""
    return [
        f"--etcd-servers=https://{LOOPBACK}:{ports.etcd}",
        f"--etcd-cafile={trust.etcd_authority}",
        f"--etcd-certfile={trust.etcd_client.certificate}",
        f"--etcd-keyfile={trust.etcd_client.key}",
        f"--secure-port={ports.api_server}",
        f"--tls-cert-file={trust.api_server.certificate}",
        f"--tls-private-key-file={trust.api_server.key}",
        f"--client-ca-file={trust.authority.certificate}",
        *([f"--token-auth-file={cloud.access_tokens}"] if cloud else []),
        "--anonymous-auth=false",
        "--authorization-mode=Node,RBAC",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={trust.token_public_key}",
        f"--service-account-signing-key-file={trust.token_private_key}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--profiling=false",
        f"--cert-dir={trust.api_server.certificate.parent}",
    ]


def controllers_arguments(folder: ClusterFolder, ports: Ports, trust: Trust) -> list[str]:
    """Return the controller manager's arguments, but for those that depend on the nodes."""
    return [
        *_client_arguments(folder.controllers_kubeconfig, ports.controllers, trust),
        f"--service-account-private-key-file={trust.token_private_key}",
        f"--root-ca-file={trust.authority.certificate}",
        "--use-service-account-credentials=true",
        f"--cluster-cidr={POD_RANGE}",
        # Nodes come with their part of the range.
        "--allocate-node-cidrs=false",
        # It makes this folder, by default one of the machine's.
        f"--flex-volume-plugin-dir={folder.volume_plugins}",
    ]


def scheduler_arguments(folder: ClusterFolder, ports: Ports, trust: Trust) -> list[str]:
    """Return the scheduler's arguments."""
    return _client_arguments(folder.scheduler_kubeconfig, ports.scheduler, trust)


def _client_arguments(kubeconfig: Path, port: int, trust: Trust) -> list[str]:
    return [
        f"--kubeconfig={kubeconfig}",
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


def volumes_daemon(folder: ClusterFolder, backing: Sequence[str]) -> Daemon:
    """Return the volumes controller, a program of ours, told by arguments what is behind the volumes."""
    program = [sys.executable, "-m", "local.cluster.volumes"]
    files = [f"--kubeconfig={folder.kubeconfig}", f"--ready={folder.volumes_ready}"]
    environment = {"PYTHONPATH": str(PROJECT_FOLDER), "PYTHONUNBUFFERED": "1"}
    return Daemon(VOLUMES, [*program, *files, *backing], environment)
