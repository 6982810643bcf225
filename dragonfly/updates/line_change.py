"""The move of an installed stack from one release line of Dragonfly to another.

Never do managers of two lines work on one database: the old one is stopped before the new one is made, which migrates
the database when it starts. The others follow one after the other, each when the one before it is Ready: the programs
of 2.1 understand a manager and schedulers of 2.5, not the other way round. A first installation knows none of this, and
stays parallel.

What is known of before is in the state, so that an update that was cut off is gone on with by the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi

from dragonfly.access.cluster_access import ClusterAccess
from dragonfly.parts.labels import Component, selector
from dragonfly.parts.names import Names
from dragonfly.settings.fault import PROJECT
from dragonfly.updates.cluster_request import RequestError, request

if TYPE_CHECKING:
    from dragonfly.access.objects import Cluster, Object

RELEASE_LINE = "releaseLine"
"""The manager's output that tells, when the cluster is lost with every object in it, what the database is of."""

LINE_ANNOTATION = "dragonfly.pulumi.com/release-line"
"""Of the workloads and their config, from 2.5 on."""

_Answer = TypeVar("_Answer")

FIRST_LINE = "2.1"
"""That of an installation which does not tell its line."""

_POLL_SECONDS = 0.5


class LineChangeError(pulumi.RunError):
    """The stack cannot move to another release line; the message says why, and what to do."""


@dataclass(frozen=True)
class LineChange:
    """How one stack moves.

    Attributes:
        names: of its objects.
        namespace: of its objects.
        access: to its cluster.
        seconds: how long a workload may take to become Ready, or to end.
        allows_downgrade: whether the line of before may come back though the manager may have migrated the database.
        failed: set once one of Dragonfly's programs, or its config, has failed, or was interrupted: nobody needs to
            wait for it any longer.
    """

    names: Names
    namespace: pulumi.Input[str]
    access: ClusterAccess
    seconds: float
    allows_downgrade: bool
    failed: threading.Event = field(default_factory=threading.Event)

    def of_manager(self) -> pulumi.ResourceOptions:
        """Return the options of the manager's workload: the old one is stopped first, or the move refused."""

        async def run(args: pulumi.ResourceHookArgs) -> None:
            if (old := await self._live_line(args)) != (new := release_line(args.new_inputs or {})):
                await self._ask(args, lambda cluster: self._stop_manager(cluster, old, new))

        async def undo(args: pulumi.ErrorHookArgs) -> bool:
            self.failed.set()
            old = release_line(args.old_inputs or {})
            if args.failed_operation == "update" and old != release_line(args.new_inputs or {}):
                try:
                    await self._ask(args, lambda cluster: self._start_manager_again(cluster, old))
                except RequestError as error:
                    pulumi.log.warn(f"the manager of {old} may have been stopped, and not been started again: {error}")
            return False

        return _hooks("manager-changes-line", run, undo, on_dry_run=True)

    def after(self, kind: str, predecessor: str, resource_name: str, place: int) -> pulumi.ResourceOptions:
        """Return the options of a workload, and of its config, which move when another workload has.

        Args:
            kind: of that other workload.
            predecessor: its name.
            resource_name: Pulumi's name of the workload that waits.
            place: how many moves come before it.
        """

        async def run(args: pulumi.ResourceHookArgs) -> None:
            line = release_line(args.new_inputs or {})
            if release_line(args.old_inputs or {}) == line or pulumi.runtime.is_dry_run():
                return

            def moved(cluster: Cluster) -> bool:
                return _has_moved(cluster.workload(kind, predecessor), line)

            # Before the first of them is Ready, the old manager has ended.
            seconds = self.seconds * (place + 1)
            await self._ask(args, lambda cluster: self._wait(cluster, moved, f"{kind} {predecessor}", seconds))

        def give_up(_: pulumi.ErrorHookArgs) -> bool:
            self.failed.set()
            return False

        return _hooks(f"{resource_name}-changes-line", run, give_up, on_dry_run=False)

    async def _live_line(self, args: pulumi.ResourceHookArgs) -> str:
        """Return the line of the manager that is there. After a recovery the state does not tell it."""
        found = None
        try:
            found = await self._ask(args, lambda cluster: cluster.workload("Deployment", self.names.manager))
        except RequestError:
            if not pulumi.runtime.is_dry_run():
                raise
        return release_line(found or args.old_inputs or {})

    async def _ask(
        self, args: pulumi.ResourceHookArgs | pulumi.ErrorHookArgs, question: Callable[[Cluster], _Answer]
    ) -> _Answer | None:
        try:
            return await request(self.access, self.namespace, question)
        except RequestError as error:
            raise RequestError(f"{args.name} is not changed: {error}. Run the same command again.") from None

    def _stop_manager(self, cluster: Cluster, old: str, new: str) -> None:
        manager = self.names.manager
        try:
            if is_older(new, old) and not self.allows_downgrade and self._may_have_migrated(cluster, old):
                raise LineChangeError(
                    f"{PROJECT}:tag: the manager of {old} may have migrated the database, and Dragonfly promises "
                    f"nothing of one of {new} on it; set the tag back, or, with a snapshot of the database's disk at "
                    f"hand: pulumi config set {PROJECT}:allowDowngrade true"
                )
            if pulumi.runtime.is_dry_run():
                return
            cluster.scale(manager, 0)
            try:
                self._wait(cluster, self._manager_has_ended, f"the end of the manager of {old}", self.seconds)
            except BaseException:
                cluster.scale(manager, 1)
                raise
        except BaseException:
            self.failed.set()
            raise

    def _start_manager_again(self, cluster: Cluster, line: str) -> None:
        """Make a manager that was stopped, and not changed, as the state has it: no later update would find a change.

        Where the engine is interrupted, it lets a hook come to its end, and refuses what should follow it.
        """
        deployment = cluster.workload("Deployment", self.names.manager)
        if deployment and release_line(deployment) == line and deployment["spec"].get("replicas") == 0:
            cluster.scale(self.names.manager, 1)

    def _managers(self, cluster: Cluster) -> list[Object]:
        pods = cluster.pods(selector(self.names.app, Component.MANAGER))
        # One that was evicted stays as a record.
        return [pod for pod in pods if pod.get("status", {}).get("phase") not in ("Failed", "Succeeded")]

    def _manager_has_ended(self, cluster: Cluster) -> bool:
        deployment = cluster.workload("Deployment", self.names.manager)
        if deployment is None:
            return not self._managers(cluster)
        status = deployment.get("status", {})
        seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
        return seen and not status.get("replicas") and not self._managers(cluster)

    def _may_have_migrated(self, cluster: Cluster, line: str) -> bool:
        """Whether the manager of a line may have migrated the database: all that can be known is that it has not."""
        scheduler = cluster.workload("StatefulSet", self.names.scheduler)
        if scheduler is not None and release_line(scheduler) == line:
            # It moved when the manager had.
            return True
        deployment = cluster.workload("Deployment", self.names.manager)
        image = deployment and _image(deployment["spec"]["template"])
        pods = [pod for pod in self._managers(cluster) if _image(pod) == image]
        return not pods or any(_ran(pod) for pod in pods)

    def _wait(self, cluster: Cluster, over: Callable[[Cluster], bool], what: str, seconds: float) -> None:
        from dragonfly.access.objects import NoClusterError

        deadline, silence = time.monotonic() + seconds, ""
        while not self.failed.is_set():
            try:
                if over(cluster):
                    return
                silence = ""
            except NoClusterError as error:
                # A control plane is away for a moment while it is updated.
                silence = f" ({error})"
            if time.monotonic() >= deadline:
                raise LineChangeError(
                    f"{what} was waited for, and did not come within {seconds:.0f} s{silence}; what follows it is as "
                    "it was. Run the same command again."
                )
            time.sleep(_POLL_SECONDS)
        raise LineChangeError(f"{what} is not waited for any longer: what it follows does not move")


def _hooks(
    name: str,
    before: Callable[[pulumi.ResourceHookArgs], Awaitable[None]],
    on_error: Callable[[pulumi.ErrorHookArgs], bool | Awaitable[bool]],
    *,
    on_dry_run: bool,
) -> pulumi.ResourceOptions:
    before_update = pulumi.ResourceHook(name, before, pulumi.ResourceHookOptions(on_dry_run=on_dry_run))
    failed = pulumi.ErrorHook(f"{name}-failed", on_error)
    return pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_update=[before_update], on_error=[failed]))


def release_line(workload: Mapping[str, Any]) -> str:
    """Return the release line of a workload.

    Args:
        workload: as the cluster or the state has it.
    """
    annotations: Mapping[str, Any] = workload.get("metadata", {}).get("annotations") or {}
    return str(annotations.get(LINE_ANNOTATION, FIRST_LINE))


def is_older(line: str, than: str) -> bool:
    """Whether one release line came before another.

    Args:
        line: its name.
        than: the other one's.
    """
    one, other = ([int(number) for number in name.split(".")] for name in (line, than))
    return one < other


def _has_moved(workload: Object | None, line: str) -> bool:
    """Whether a workload of one pod is of a line and Ready."""
    if workload is None or release_line(workload) != line:
        return False
    status = workload.get("status", {})
    wanted = workload["spec"].get("replicas", 1)
    return (
        status.get("observedGeneration") == workload["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == wanted == status.get("readyReplicas", 0)
        # None of the line before is on its way out.
        and status.get("replicas", 0) == wanted
    )


def _image(pod: Mapping[str, Any]) -> str:
    return str(pod["spec"]["containers"][0]["image"])


def _ran(pod: Object) -> bool:
    from dragonfly.access.objects import listed

    statuses = listed(pod, "containerStatuses")
    return any({"running", "terminated"} & set(each.get("state", {})) or each.get("restartCount") for each in statuses)


def line_annotations(line: str) -> dict[str, str]:
    """Return the annotations of a workload: none for the first line, whose installations have none.

    Args:
        line: the release line's name.
    """
    return {} if line == FIRST_LINE else {LINE_ANNOTATION: line}
