"""Objects that need no deletion of their own at destroy, because they go with their cluster."""

from __future__ import annotations

import pulumi

_KUBERNETES = "kubernetes:"
# What a disk hangs on must go in order while the cluster still works: the pod, its claim, its volume, the disk.
_CLAIMS_AND_VOLUMES = ("kubernetes:core/v1:PersistentVolumeClaim", "kubernetes:core/v1:PersistentVolume")
_STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"


def deleted_with(
    cluster: pulumi.Resource, with_disk: tuple[type[pulumi.ComponentResource], ...]
) -> pulumi.ResourceTransformation:
    """Make every stateless object of an installation end with its cluster, which saves minutes at destroy.

    On single objects, never on a component: its children inherit the option and cannot unset it.

    Args:
        cluster: the cluster of the same stack.
        with_disk: the components whose StatefulSets hold a disk.
    """

    def transformation(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if not args.type_.startswith(_KUBERNETES) or args.type_ in _CLAIMS_AND_VOLUMES:
            return None
        if args.type_ == _STATEFUL_SET and isinstance(args.opts.parent, with_disk):
            return None
        return pulumi.ResourceTransformationResult(
            args.props, pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(deleted_with=cluster))
        )

    return transformation
