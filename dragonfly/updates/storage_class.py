"""A refusal of a database's claim whose StorageClass the cluster does not have: it would stay Pending for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dragonfly.settings.fault import PROJECT

if TYPE_CHECKING:
    from dragonfly.access.objects import Cluster


def missing_storage_class(cluster: Cluster, claim: Any) -> str | None:
    """Return why a claim would find no volume, and what to type; None where it may find one, or nobody can tell.

    Args:
        cluster: the claim's.
        claim: the claim's manifest.
    """
    wanted, classes = claim["spec"]["storageClassName"], cluster.storage_classes()
    if classes is None or wanted in classes:
        return None
    of_volumes = cluster.volume_classes()
    if of_volumes is None or wanted in of_volumes:
        return None
    classes |= of_volumes
    found = f"it has {', '.join(sorted(classes))}" if classes else "it has none"
    return (
        f"the cluster has no StorageClass {wanted}, {found}: "
        f"pulumi config set {PROJECT}:defaultStorageClass <one of the cluster's>"
    )
