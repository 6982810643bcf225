"""A request of a hook to the stack's cluster, for which the engine waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import pulumi

from dragonfly.access.cluster_access import ClusterAccess

if TYPE_CHECKING:
    from dragonfly.access.objects import Cluster

_Answer = TypeVar("_Answer")

# Not the loop's own, in which registrations have few places.
_REQUESTS = ThreadPoolExecutor()


class RequestError(pulumi.RunError):
    """The cluster cannot be reached, or refuses; the message says why."""


async def request(
    access: ClusterAccess, namespace: pulumi.Input[str], what: Callable[[Cluster], _Answer]
) -> _Answer | None:
    """Make a request, and return the answer; None where the cluster is known only once it is made.

    Args:
        access: to the cluster.
        namespace: of the objects that it is about.
        what: it.

    Raises:
        RequestError: the cluster cannot be reached, or refuses.
    """
    kubeconfig = await pulumi.Output.from_input(access.kubeconfig).future()
    if kubeconfig is None and access.kubeconfig is not None:
        # The ambient one must not be asked in its place.
        return None
    # The hook's own resource is in it: it is known.
    place = str(await pulumi.Output.from_input(namespace).future())

    def send() -> _Answer:
        # The client takes a second to load, and most updates make none.
        from dragonfly.access.client import KubeconfigError, connect
        from dragonfly.access.objects import Cluster, NoClusterError

        try:
            return what(Cluster(connect(kubeconfig, access.context), place, secrets=()))
        except (KubeconfigError, NoClusterError) as error:
            raise RequestError(str(error)) from None

    return await asyncio.get_running_loop().run_in_executor(_REQUESTS, send)
