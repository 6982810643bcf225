"""What a person does about a reason, where that is clear."""

from __future__ import annotations

from collections.abc import Iterable

from dragonfly.settings.model import Settings
from dragonfly.status.pod_reasons import Reason

# Words of the scheduler's (pkg/scheduler/framework/plugins: noderesources, nodeports) and of the volume controller's.
_NO_ROOM = ("Insufficient", "Too many pods")
_PORTS_TAKEN = "free ports"
_NO_CLASS = "storageclass.storage.k8s.io"

MISSING = "`pulumi up --refresh` makes what is missing"


def remedy(reason: Reason, settings: Settings) -> str | None:
    """Return what to do about a reason, None where only a person who looks at it can tell.

    Args:
        reason: why something is not Ready.
        settings: the stack's config.
    """
    if reason.image is not None:
        keys = settings.images.config_keys(reason.image)
        return f"check {_config([*keys, 'imagePullSecrets'])}" if keys else None
    if any(words in reason.what for words in _NO_ROOM):
        if not settings.provision_cluster:
            return "give the cluster larger nodes, or more"
        number = "nodeCount" if settings.node_autoscaling is None else "nodeAutoscaling"
        return f"take larger nodes or more: {_config(['nodeMachineType', number])}"
    if _PORTS_TAKEN in reason.what:
        return f"take ports that nobody else has on these nodes: {_config(settings.line.peer_ports)}"
    if _NO_CLASS in reason.what:
        return (
            f"set {_config(['defaultStorageClass'])} to one that `kubectl get storageclass` lists, delete the claim "
            "with kubectl, then `pulumi up --refresh`"
        )
    return None


def _config(keys: Iterable[str]) -> str:
    return f"{', '.join(keys)} in the config"
