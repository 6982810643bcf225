"""Where a container finds the config file that the program rendered."""

from __future__ import annotations

import pulumi
from pulumi_kubernetes.core import v1 as core

_VOLUME = "config"


def config_volume(secret_name: pulumi.Input[str], *keys: str) -> core.VolumeArgs:
    """The volume that holds the given keys of a Secret as files."""
    return core.VolumeArgs(
        name=_VOLUME,
        secret=core.SecretVolumeSourceArgs(
            secret_name=secret_name,
            items=[core.KeyToPathArgs(key=key, path=key) for key in keys],
            # Readable by the pod's group, which is its own, and nobody else.
            default_mode=0o440,
        ),
    )


def config_mount(directory: str) -> core.VolumeMountArgs:
    """The mount of that volume."""
    return core.VolumeMountArgs(name=_VOLUME, mount_path=directory, read_only=True)
