"""A question that a hook asks the stack's cluster while the engine waits."""

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
_ASKING = ThreadPoolExecutor()


class NoAnswerError(pulumi.RunError):
    """The cluster gave no answer; the message says which resource is not changed, and why."""


async def ask(
    access: ClusterAccess, namespace: pulumi.Input[str], resource: str, question: Callable[[Cluster], _Answer]
) -> _Answer | None:
    """Ask, and return the answer; None where the cluster is known only once it is made.

    Args:
        access: to the cluster.
        namespace: of the objects that are asked for.
        resource: Pulumi's name of the one whose hook asks.
        question: what is asked.

    Raises:
        NoAnswerError: the cluster cannot be reached, or refuses.
    """
    kubeconfig = await pulumi.Output.from_input(access.kubeconfig).future()
    if kubeconfig is None and access.kubeconfig is not None:
        # The ambient one must not be asked in its place.
        return None
    # The hook's own resource is in it: it is known.
    place = str(await pulumi.Output.from_input(namespace).future())

    def answer() -> _Answer:
        # The client takes a second to load, and most updates ask nothing.
        from dragonfly.access.client import KubeconfigError, connect
        from dragonfly.access.objects import Cluster, NoClusterError

        try:
            return question(Cluster(connect(kubeconfig, access.context), place, secrets=()))
        except (KubeconfigError, NoClusterError) as error:
            raise NoAnswerError(f"{resource} is not changed: {error}. Run the same command again.") from None

    return await asyncio.get_running_loop().run_in_executor(_ASKING, answer)
