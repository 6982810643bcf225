"""A Job that an update made which was cut off before it could tell the state.

The plug-in applies the new Job to the one that is there, and the template of a Job cannot be changed: no `pulumi up`
would lead out once the config has changed meanwhile (Kubernetes documentation, "Jobs").
"""

from __future__ import annotations

import pulumi

from dragonfly.access.cluster_access import ClusterAccess
from dragonfly.updates.cluster_request import RequestError, request

_IMMUTABLE = "field is immutable"


def replaces_leftover(access: ClusterAccess, namespace: pulumi.Input[str], name: str) -> pulumi.ResourceOptions:
    """Return the options of a Job that takes the place of such a one.

    Args:
        access: to the cluster.
        namespace: of the Job.
        name: of the Job.
    """

    async def retry(args: pulumi.ErrorHookArgs) -> bool:
        # The engine asks in a preview, too.
        if pulumi.runtime.is_dry_run() or args.failed_operation != "create" or len(args.errors) != 1:
            return False
        if _IMMUTABLE not in args.errors[0]:
            return False
        try:
            await request(access, namespace, lambda cluster: cluster.delete_job(name))
        except RequestError as error:
            place = await pulumi.Output.from_input(namespace).future()
            pulumi.log.warn(
                f"Job {name}, left by an update that was cut off, cannot be deleted: {error}. Have it deleted, then "
                f"run the same command again: kubectl delete job {name} --namespace {place}"
            )
            return False
        return True

    hook = pulumi.ErrorHook("replaces-leftover-job", retry)
    return pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(on_error=[hook]))
