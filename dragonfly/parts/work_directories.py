"""Directories that the Dragonfly programs read and write; what they write goes with the pod."""

from __future__ import annotations

from pulumi_kubernetes.core import v1 as core

CONFIG = "/etc/dragonfly"
"""Where the images' own entrypoints look for config files, too. They are mounted there, and read only."""

DATA = "/var/lib/dragonfly"
WORK_HOME = "/usr/local/dragonfly"
CACHE = "/var/cache/dragonfly"
LOGS = "/var/log/dragonfly"
RUN = "/var/run/dragonfly"
TEMPORARY = "/tmp"  # noqa: S108 - the mount point in the container

_VOLUME = "work"
_DIRECTORIES = {
    "data": DATA,
    "home": WORK_HOME,
    "cache": CACHE,
    "logs": LOGS,
    "run": RUN,
    "tmp": TEMPORARY,
}


def work_volume(size_limit: str) -> core.VolumeArgs:
    """One scratch volume for all of them: what is in it can be fetched or computed again.

    Args:
        size_limit: a Kubernetes quantity.
    """
    # A program gone wild would fill the node's disk, and kubelet then evicts whatever else runs there.
    return core.VolumeArgs(name=_VOLUME, empty_dir=core.EmptyDirVolumeSourceArgs(size_limit=size_limit))


def work_mounts(data_volume: str = _VOLUME) -> list[core.VolumeMountArgs]:
    """Return a mount for each directory, since the image's own file system is read-only.

    Args:
        data_volume: name of the pod's volume that DATA lies on.
    """
    return [
        core.VolumeMountArgs(
            name=data_volume if path == DATA else _VOLUME,
            mount_path=path,
            # Below the volume's root, where a new disk has its lost+found.
            sub_path=directory,
        )
        for directory, path in _DIRECTORIES.items()
    ]
