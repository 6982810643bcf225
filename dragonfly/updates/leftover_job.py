"""A Job that an update made which was cut off before it could tell the state.

The plug-in applies the new Job to the one that is there, and the template of a Job cannot be changed: no `pulumi up`
would lead out once the config has changed meanwhile (Kubernetes documentation, "Jobs").
"""

from __future__ import annotations

import pulumi

from dragonfly.access.cluster_access import ClusterAccess
from dragonfly.updates.cluster_question import ask

_IMMUTABLE = "field is immutable"


def replaces_leftover(access: ClusterAccess, namespace: pulumi.Input[str], name: str) -> pulumi.ResourceOptions:
    """Return the options of a Job that takes the place of such a one.

    Args:
        access: to the cluster.
        namespace: of the Job.
        name: of the Job.
    """

    async def retry(args: pulumi.ErrorHookArgs) -> bool:
        if args.failed_operation != "create" or len(args.errors) > 1 or _IMMUTABLE not in args.errors[0]:
            return False
        await ask(access, namespace, args.name, lambda cluster: cluster.delete_job(name))
        return True

    hook = pulumi.ErrorHook("replaces-leftover-job", retry)
    return pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(on_error=[hook]))
