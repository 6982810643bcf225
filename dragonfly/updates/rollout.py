"""Waiting for a changed StatefulSet where the plug-in does not.

The plug-in takes one for rolled out whose controller has not seen the change yet: up to its release 4.25 it does not
compare `observedGeneration` (pulumi-kubernetes pull request 4094). An image that cannot be pulled would pass for a
success.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi_kubernetes.apps import v1 as apps

from dragonfly.access.cluster_access import ClusterAccess
from dragonfly.parts.names import Names

if TYPE_CHECKING:
    from dragonfly.access.objects import Cluster
    from dragonfly.status.workloads import Condition

_POLL_SECONDS = 0.5

# Not the loop's own, in which registrations have few places.
_WAITING = ThreadPoolExecutor()


class NotReadyError(pulumi.RunError):
    """A StatefulSet did not become Ready in time; the message says why."""


def awaits_rollout(stateful_set: apps.StatefulSet, *, names: Names, access: ClusterAccess, seconds: float) -> None:
    """Let `pulumi up` end when a StatefulSet has rolled out, or fail with the reason: this `up`, and those after it.

    A hook after the update would not do: what it finds is not recorded, and the next `up` would pass.

    Args:
        stateful_set: as it was declared.
        names: of the instance that it belongs to.
        access: to its cluster.
        seconds: how long it may take.

    Raises:
        NotReadyError: (from the program's end) it did not become Ready in time.
    """

    async def wait(found: Mapping[str, Any]) -> None:
        if pulumi.runtime.is_dry_run() or found["observed_generation"] == found["generation"]:
            return
        name = found["name"]
        pulumi.log.info(f"Waiting until {name} has rolled out", stateful_set, ephemeral=True)
        await asyncio.get_running_loop().run_in_executor(
            _WAITING, _wait, found["kubeconfig"], access.context, found["namespace"], names, name, seconds
        )

    pulumi.Output.all(
        name=stateful_set.metadata.name,
        namespace=stateful_set.metadata.namespace,
        generation=stateful_set.metadata.generation,
        observed_generation=stateful_set.status.apply(lambda status: status and status.observed_generation),
        kubeconfig=access.kubeconfig,
    ).apply(wait)


def _wait(kubeconfig: str | None, context: str | None, namespace: str, names: Names, name: str, seconds: float) -> None:
    # The client takes a second to load, and most updates do not need it.
    from dragonfly.access.client import KubeconfigError, connect
    from dragonfly.access.objects import Cluster, NoClusterError

    deadline = time.monotonic() + seconds
    cluster: Cluster | None = None
    while True:
        try:
            # No log is read, so that no secret can be in what is told.
            cluster = cluster or Cluster(connect(kubeconfig, context), namespace, secrets=())
            condition = _condition(cluster, names, name)
            if condition.ready:
                return
            reasons = "; ".join(reason.what for reason in condition.reasons)
        except (KubeconfigError, NoClusterError) as error:
            # A control plane is away for a moment while it is updated.
            reasons = f"it could not be asked for any more: {error}"
        if time.monotonic() >= deadline:
            raise NotReadyError(f"StatefulSet {name} did not become Ready within {seconds:.0f} s: {reasons}")
        time.sleep(_POLL_SECONDS)


def _condition(cluster: Cluster, names: Names, name: str) -> Condition:
    from dragonfly.status.workloads import conditions

    objects = cluster.read(names.app)
    found = conditions(names, objects, _no_log_line, datetime.now(UTC), network_policies=False)
    return next(each for each in found if each.name == name)


def _no_log_line(pod: str, container: str, previous: bool) -> str | None:
    del pod, container, previous
