"""Kinds that somebody else defines in the cluster: waited for where they come by themselves, and refused elsewhere."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pulumi

from dragonfly.access.cluster_access import ClusterAccess
from dragonfly.settings.fault import PROJECT
from dragonfly.updates.cluster_request import request

if TYPE_CHECKING:
    from dragonfly.access.objects import Cluster

MANAGED_API = ("monitoring.googleapis.com/v1", "PodMonitoring")
"""Of Google's managed Prometheus (github.com/GoogleCloudPlatform/prometheus-engine): version and kind."""

OPERATOR_API = ("monitoring.coreos.com/v1", "PodMonitor")
"""The same of the Prometheus Operator (github.com/prometheus-operator/prometheus-operator)."""

RULES_API = ("monitoring.coreos.com/v1", "PrometheusRule")
"""Of the operator's alerts."""

_BROUGHT_BY = {
    MANAGED_API: "`gcloud container clusters update <cluster> --enable-managed-prometheus` brings it",
    OPERATOR_API: "the Prometheus Operator brings it",
    RULES_API: "the Prometheus Operator brings it",
}
_POLL_SECONDS = 1.0
_LONGEST_SECONDS = 900.0


class MissingKindError(pulumi.RunError):
    """The cluster does not have the kind of an object; the message says what to do."""


def missing_kind(cluster: Cluster, manifest: Any) -> str | None:
    """Return why an object cannot be made whose kind the cluster does not have, and what to type; None where it can.

    Args:
        cluster: the object's.
        manifest: the object. Kinds that this program defines itself are let pass.

    Raises:
        NoClusterError: there is no answer, or a refusal.
    """
    api_version, kind = manifest["apiVersion"], manifest["kind"]
    brought_by = _BROUGHT_BY.get((api_version, kind))
    if brought_by is None or cluster.serves(api_version, kind):
        return None
    return (
        f"the cluster has no kind {kind} of {api_version}; {brought_by}, and without it: "
        f"pulumi config set {PROJECT}:monitoring none"
    )


def has_kind(access: ClusterAccess, failed: threading.Event, *, comes: bool) -> pulumi.ResourceOptions:
    """Return the options of an object in a cluster of the stack whose kind the program does not define.

    Args:
        access: to the cluster.
        failed: set once a program of Dragonfly's, or its config, has failed: nobody needs to wait any longer.
        comes: whether it is waited for, as the cluster brings it some minutes after it answers; the plug-in itself
            tries for a minute alone (pulumi-kubernetes, provider/pkg/retry). Otherwise the preview refuses, too.
    """

    async def look(args: pulumi.ResourceHookArgs) -> None:
        inputs = args.new_inputs or {}
        if comes:
            pulumi.log.info(f"Waiting until the cluster has the kind {inputs['kind']}", ephemeral=True)
        seconds = _LONGEST_SECONDS if comes else 0
        if fault := await request(access, "", lambda cluster: _fault(cluster, inputs, seconds, failed)):
            raise MissingKindError(fault)

    hook = pulumi.ResourceHook("has-kind", look, pulumi.ResourceHookOptions(on_dry_run=not comes))
    return pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_create=[hook]))


def _fault(cluster: Cluster, inputs: Any, seconds: float, failed: threading.Event) -> str | None:
    from dragonfly.access.objects import NoClusterError

    deadline = time.monotonic() + seconds
    while True:
        try:
            fault = missing_kind(cluster, inputs)
        except NoClusterError as error:
            # A control plane is away for a moment while it is updated.
            fault = str(error)
        if fault is None or time.monotonic() >= deadline:
            return fault
        if failed.wait(_POLL_SECONDS):
            return (
                f"{inputs['kind']} is not waited for any longer, as something else failed: run the same command again"
            )
