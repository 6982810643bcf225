"""GKE clusters of the stand-in cloud: each has a control plane on this machine, in the ledger's folder."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from local.ledger.ledger import CLUSTER, Entry, Ledger
from local.ledger.locations import zones_of
from local.machine.certificates import write_private
from local.machine.ports import LOOPBACK
from local.standins.plugins.object_fields import value_at

# Imported where they are used: Kubernetes' client takes more than a second to load, and most runs ask no cluster.
if TYPE_CHECKING:
    from local.cluster.control_plane import Cluster
    from local.ledger.disk_driver import Attachment

KINDS_SECONDS_VARIABLE: Final = "DRAGONFLY_CLOUD_KINDS_SECONDS"
"""Environment variable: after how many seconds a cluster has the kinds that GKE's own operator defines. They are
minutes in a real one, and here, unless a test says so, few."""

_KINDS_SECONDS: Final = 3.0

_USER: Final = "user-of-the-stand-in-cloud"


class Clusters:
    """The control planes of one cloud."""

    def __init__(self, ledger: Ledger) -> None:
        """Look after the clusters of a ledger."""
        self._ledger = ledger

    def control_plane(self, cluster_id: str, kinds: Sequence[Path] = ()) -> Cluster:
        """Return the local cluster that plays a GKE cluster; it may not have been started.

        Args:
            cluster_id: `projects/p/locations/l/clusters/c`.
            kinds: what is defined in it a while after it is started.
        """
        from local.cluster.control_plane import Cluster
        from local.cluster.daemon_commands import CloudSide

        _, project, _, location, _, _ = cluster_id.split("/")
        folder = self._ledger.folder / "clusters" / cluster_id.replace("/", "_")
        seconds = float(os.environ.get(KINDS_SECONDS_VARIABLE, _KINDS_SECONDS))
        zone, tokens = zones_of(location)[0], self._access_tokens()
        cloud = CloudSide(self._ledger.path, project, zone, tokens, kinds, seconds)
        return Cluster(folder, node_count=None, cloud=cloud)

    def start(self, cluster_id: str) -> None:
        """Start a control plane, or go on with one that was started; it has no nodes at first.

        Raises:
            ClusterError, ProcessError, ToolchainError: as for `Cluster.start`.
        """
        self._started(cluster_id)

    def remove(self, cluster_id: str) -> None:
        """End a control plane and forget all that was in it. Disks of claims that are still there stay in the ledger.

        Raises:
            ClusterError: another start or stop goes on for too long.
        """
        self.control_plane(cluster_id).stop(remove=True)

    def dns_endpoint(self, cluster_id: str) -> str:
        """Return the control plane's name with its port, which the real one does not have.

        It answers whether or not traffic from outside is allowed, and does not ask whether IAM lets somebody connect.
        """
        return self.control_plane(cluster_id).url.replace(f"https://{LOOPBACK}", "localhost")

    def endpoint(self, cluster_id: str) -> tuple[str, str]:
        """Return the control plane's address without scheme, and its certificate authority as base64 of PEM.

        Raises:
            ClusterError: it was never started.
        """
        plane = self.control_plane(cluster_id)
        return plane.url.removeprefix("https://"), base64.b64encode(plane.authority.read_bytes()).decode()

    def attached_to(self, disk_id: str) -> Attachment | None:
        """Return where a disk is attached, or None. A cluster whose control plane does not answer holds no disk."""
        clusters = self._ledger.read().of_type(CLUSTER)
        if not clusters:
            return None
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        from local.api import kubeconfig
        from local.ledger.disk_driver import attachments

        for entry in clusters:
            plane = self.control_plane(entry.id)
            if not plane.kubeconfig.exists() or not plane.running():
                continue
            try:
                with kubeconfig.connect(plane.kubeconfig) as client:
                    found = attachments(client)
            except (ApiException, HTTPError, OSError):
                continue
            for attachment in found:
                if attachment.disk == disk_id:
                    return attachment
        return None

    def resume(self) -> list[str]:
        """Start the control planes of all clusters that should run: the machine may have been restarted.

        Returns:
            IDs of those that did not run.
        """
        return [entry.id for entry in self._running() if self._started(entry.id)]

    def stop_all(self) -> None:
        """End every control plane; the ledger still has the clusters."""
        for entry in self._ledger.read().of_type(CLUSTER):
            self.control_plane(entry.id).stop()

    def _running(self) -> Iterable[Entry]:
        return (entry for entry in self._ledger.read().of_type(CLUSTER) if entry.status == "RUNNING")

    def _started(self, cluster_id: str) -> bool:
        """Start a control plane; return whether it did not run."""
        plane = self.control_plane(cluster_id, self._kinds(cluster_id))
        started = plane.start()
        self._ledger.trust(plane.authority)
        return started

    def _kinds(self, cluster_id: str) -> Sequence[Path]:
        """Definitions of the kinds that a control plane has after a while, as GKE's own operators define them."""
        from local.tools import toolchain
        from local.tools.catalog import MANAGED_PROMETHEUS_KINDS

        (inputs,) = (entry.inputs for entry in self._ledger.read().of_type(CLUSTER) if entry.id == cluster_id)
        managed = value_at(inputs, "monitoringConfig", "managedPrometheus", "enabled") is True
        return list(toolchain.provide([MANAGED_PROMETHEUS_KINDS]).values()) if managed else []

    def _access_tokens(self) -> Path:
        token = self._ledger.access_token.read_text()
        file = self._ledger.folder / "access-tokens.csv"
        line = f"{token},{_USER},{_USER},system:masters\n".encode()
        if not file.exists() or file.read_bytes() != line:
            write_private(file, line)
        return file
