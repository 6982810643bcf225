"""The folder with all that a cluster keeps."""

from __future__ import annotations

import shutil
from pathlib import Path


class ClusterFolder:
    """Where each thing that a cluster keeps lies in its folder."""

    def __init__(self, path: Path) -> None:
        """Name the places; nothing is made yet."""
        self.path = path
        self.etcd = path / "etcd"
        self.certificates = path / "certificates"
        self.volume_plugins = path / "volume-plugins"
        self.kubeconfig = path / "kubeconfig"
        self.controllers_kubeconfig = self.certificates / "kube-controller-manager.kubeconfig"
        self.scheduler_kubeconfig = self.certificates / "kube-scheduler.kubeconfig"
        self.ports = path / "ports.json"
        self.node_kind = path / "node-kind"
        self.lock = path / "lock"
        self.volumes_ready = path / "volumes.ready"
        self.complete = path / "complete"
        """There while the cluster runs that a start brought up to the end."""

    def has_data(self) -> bool:
        """Whether the cluster was started before and what it held is still there."""
        return (self.etcd / "member").is_dir()

    def clear(self) -> None:
        """Remove what the control plane keeps; a folder named by mistake loses nothing of its own."""
        for name in (self.etcd, self.certificates, self.volume_plugins, self.path / "processes", self.path / "logs"):
            shutil.rmtree(name, ignore_errors=True)
        for file in (self.kubeconfig, self.ports, self.volumes_ready, self.node_kind):
            file.unlink(missing_ok=True)
