"""Who is who in a cluster, and how each proves it: the authorities, the certificates they sign, the kubeconfigs."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local.api import kubeconfig
from local.cluster.folder import ClusterFolder
from local.machine.certificates import Authority, Certificate, signing_key
from local.machine.ports import LOOPBACK


@dataclass(frozen=True)
class Trust:
    """Everything that proves who is who.

    Attributes:
        etcd_authority: PEM file of the authority that signs for etcd and its only client, the API server.
        etcd_server: etcd's.
        etcd_client: the API server's, towards etcd.
        authority: signs for everybody else.
        api_server: the API server's, towards its clients.
        local_server: of the other servers on the loopback address.
        administrator: may do everything in the cluster.
        controllers: the controller manager's, towards the API server.
        scheduler: the scheduler's.
        token_private_key: PEM file of the key that signs the tokens of service accounts.
        token_public_key: PEM file of the key that verifies them.
    """

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

    @classmethod
    def provide(cls, folder: ClusterFolder, api_server_hosts: Sequence[str]) -> Trust:
        """Read what the folder has of it, and make what is missing.

        Args:
            folder: the cluster's.
            api_server_hosts: where the API server is reached besides the loopback address and its Service's names.
        """
        # Authorities of their own: who may speak to the API server may not therefore speak to etcd.
        etcd = Authority(folder.certificates / "etcd", "etcd-authority")
        cluster = Authority(folder.certificates / "kubernetes", "kubernetes-authority")
        names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
        private_key, public_key = signing_key(folder.certificates / "kubernetes", "service-accounts")
        return cls(
            etcd_authority=etcd.certificate,
            etcd_server=etcd.server("etcd", [LOOPBACK, "localhost"], client=True),
            etcd_client=etcd.client("kube-apiserver", "kube-apiserver"),
            authority=cluster,
            api_server=cluster.server("kube-apiserver", [LOOPBACK, "localhost", *names, *api_server_hosts]),
            local_server=cluster.server("loopback", [LOOPBACK, "localhost"]),
            administrator=cluster.client("administrator", "administrator", "system:masters"),
            controllers=cluster.client("controllers", "system:kube-controller-manager"),
            scheduler=cluster.client("scheduler", "system:kube-scheduler"),
            token_private_key=private_key,
            token_public_key=public_key,
        )

    def write_kubeconfigs(self, folder: ClusterFolder, url: str) -> None:
        """Write the kubeconfigs of all who sign in at the API server's URL, but for the nodes."""
        authority = self.authority.certificate
        kubeconfig.write(folder.kubeconfig, url, authority, self.administrator)
        kubeconfig.write(folder.controllers_kubeconfig, url, authority, self.controllers)
        kubeconfig.write(folder.scheduler_kubeconfig, url, authority, self.scheduler)

    def as_administrator(self) -> ssl.SSLContext:
        """Return the TLS settings to speak with the API server, the controller manager and the scheduler."""
        return kubeconfig.client_context(self.authority.certificate, self.administrator)

    def as_api_server(self) -> ssl.SSLContext:
        """Return the TLS settings to speak with etcd, which knows nobody else."""
        return kubeconfig.client_context(self.etcd_authority, self.etcd_client)
