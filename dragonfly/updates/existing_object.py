"""A refusal to take over Kubernetes objects that the stack has not made.

Where it is to create an object that exists, the plug-in applies to it what the program says, without a word
(pulumi-kubernetes, "Server-Side Apply"). It would be the stack's from then on, and `pulumi destroy` would delete what
is somebody else's: a database with its data, or a namespace with all that is in it.

An update that is cut off can have made an object of which the state knows nothing. Each, but the Job that sets a
password, bears a mark that no other stack has, by which the next update takes it up.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import pulumi
from pulumi_kubernetes.meta import v1 as meta

from dragonfly.access.cluster_access import ClusterAccess
from dragonfly.config_files.document import document_hash
from dragonfly.settings.fault import PROJECT
from dragonfly.updates.served_kind import missing_kind
from dragonfly.updates.storage_class import missing_storage_class

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

_KUBERNETES = "kubernetes:"
_CLAIM, _POLICY = "PersistentVolumeClaim", "NetworkPolicy"
_NOT_ASKED_FOR = (
    # It shares an object with others, and leaves it there.
    "Patch",
    # A changed one is replaced: in the preview of that, the stack's own is still there. Nothing is in it to lose.
    ":Job",
)

MARK = "dragonfly.pulumi.com/stack"
"""The annotation."""

# Not the loop's own, in which every place can be taken by registrations that wait for this answer.
_ASKING = ThreadPoolExecutor(max_workers=4)


class RefusedObjectError(pulumi.RunError):
    """An object that the stack was about to create is not made; the message says which, why, and what to do."""


class _NoAnswerError(RuntimeError):
    """Nobody can tell whether an object is there; the message says why."""


def stack_mark(key: pulumi.Input[str]) -> pulumi.Output[str]:
    """Return the mark of a stack's objects.

    Args:
        key: random, secret and this stack's alone.
    """
    return document_hash(key, MARK)


def takes_nothing_over(access: ClusterAccess, mark: pulumi.Input[str]) -> pulumi.ResourceOptions:
    """Return the options of components whose Kubernetes objects are refused where they are somebody else's.

    A claim is refused, too, whose StorageClass the cluster does not have, and an object whose kind it does not have.

    The preview refuses, too. Where the cluster gives no answer, an update makes nothing: a moment later the plug-in
    may get one. A preview goes on, also for an account that may not see everything.

    Args:
        access: to the cluster.
        mark: of what the stack makes.
    """

    silent = threading.Event()

    async def look(args: pulumi.ResourceHookArgs) -> None:
        inputs = args.new_inputs or {}
        kubeconfig = await pulumi.Output.from_input(access.kubeconfig).future()
        loop = asyncio.get_running_loop()
        previews = pulumi.runtime.is_dry_run()
        if previews and silent.is_set():
            return
        try:
            refusal = await loop.run_in_executor(_ASKING, _refusal, kubeconfig, access.context, inputs)
        except _NoAnswerError as error:
            if not previews:
                raise RefusedObjectError(f"{_title(inputs)} is not made, as it may be there already: {error}") from None
            # Each of fifty objects would wait for the same answer.
            silent.set()
            return
        if refusal:
            raise RefusedObjectError(refusal)

    hook = pulumi.ResourceHook("takes-nothing-over", look, pulumi.ResourceHookOptions(on_dry_run=True))
    looks = pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_create=[hook]))

    def add(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if not args.type_.startswith(_KUBERNETES) or args.type_.endswith(_NOT_ASKED_FOR):
            return None
        metadata = cast(meta.ObjectMetaArgs, args.props["metadata"])
        marked = {**cast("dict[str, pulumi.Input[str]]", metadata.annotations or {}), MARK: mark}
        metadata.annotations = marked
        return pulumi.ResourceTransformationResult(args.props, pulumi.ResourceOptions.merge(args.opts, looks))

    return pulumi.ResourceOptions(transformations=[add])


def _refusal(kubeconfig: str | None, context: str | None, inputs: Any) -> str | None:
    # The client takes a second to load, and most updates create nothing.
    from dragonfly.access.client import KubeconfigError
    from dragonfly.access.objects import Cluster, NoClusterError

    metadata = inputs["metadata"]
    try:
        cluster = Cluster(_client(kubeconfig, context), str(metadata.get("namespace", "")), secrets=())
        found = cluster.annotations(inputs["apiVersion"], inputs["kind"], metadata["name"])
        if found is None:
            return missing_storage_class(cluster, inputs) if inputs["kind"] == _CLAIM else missing_kind(cluster, inputs)
    except NoClusterError as error:
        raise _NoAnswerError(str(error)) from None
    except KubeconfigError:
        # The plug-in tells it too.
        return None
    is_anothers = found.get(MARK) != metadata["annotations"][MARK]
    return _report(inputs) if is_anothers else None


@functools.cache
def _client(kubeconfig: str | None, context: str | None) -> ApiClient:
    from dragonfly.access.client import connect

    return connect(kubeconfig, context)


def _title(inputs: Any) -> str:
    return f"{inputs['kind']} {inputs['metadata']['name']}"


def _report(inputs: Any) -> str:
    found = f"{_title(inputs)} already exists and is not this stack's; it stays as it is: "
    if not inputs["metadata"].get("namespace"):
        return f"{found}pulumi config set {PROJECT}:createNamespace false"
    if inputs["kind"] == _POLICY:
        return f"{found}give it another name, or: pulumi config set {PROJECT}:networkPolicies false"
    return (
        f"{found}pulumi config set {PROJECT}:appInstanceName <another>, or {PROJECT}:namespace; a first update without "
        "a preview has recorded both: `pulumi destroy` before"
    )
