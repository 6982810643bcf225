"""A folder for each claim, which every node sees: as with a disk in the cloud, a pod finds its data on any of them."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any


class VolumeDirectories:
    """The folders behind the volumes of a cluster; see `local.cluster.volumes.Backing`."""

    def __init__(self, folder: Path, provisioner: str) -> None:
        """Make volumes in a folder, which is there, under the name of a provisioner."""
        self._folder = folder
        self.provisioner = provisioner

    def make(self, claim: Any, name: str) -> dict[str, Any]:
        """Make the folder; of the kind `local`, as kubelet gives only these to the pod's group."""
        del claim
        directory = self._folder / name
        directory.mkdir(exist_ok=True)
        nodes = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "Exists"}]}]
        return {"local": {"path": str(directory)}, "nodeAffinity": {"required": {"nodeSelectorTerms": nodes}}}

    def grow(self, volume: Any, size: str) -> None:
        """Do nothing: a folder has no size."""
        del volume, size

    def remove(self, volume: Any) -> None:
        """Remove the folder with what is in it."""
        name = Path(str(volume.spec.local.path)).name
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._folder / name)

    def look_after(self) -> None:
        """Do nothing."""
