"""Where a container finds the files that a Secret holds for it: its rendered config, its passwords."""

from __future__ import annotations

import pulumi
from pulumi_kubernetes.core import v1 as core

_CONFIG = "config"


def config_volume(secret_name: pulumi.Input[str], *keys: str, name: str = _CONFIG) -> core.VolumeArgs:
    """Return the volume that holds the given keys of a Secret as files; all of them, where none is given."""
    return core.VolumeArgs(
        name=name,
        secret=core.SecretVolumeSourceArgs(
            secret_name=secret_name,
            items=[core.KeyToPathArgs(key=key, path=key) for key in keys] or None,
            # Readable by the pod's group, which is its own, and nobody else.
            default_mode=0o440,
        ),
    )


def config_mount(directory: str, name: str = _CONFIG) -> core.VolumeMountArgs:
    """Return the mount of that volume."""
    return core.VolumeMountArgs(name=name, mount_path=directory, read_only=True)
