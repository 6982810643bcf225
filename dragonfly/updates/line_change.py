"""The move of an installed stack from one release line of Dragonfly to another.

Never do managers of two lines work on one database: the old one is stopped before the new one is made, which migrates
the database when it starts. The others follow one after the other, each when the one before it is Ready: the programs
of 2.1 understand a manager and schedulers of 2.5, not the other way round. A first installation knows none of this, and
stays parallel.

What is known of before is in the state, so that an update that was cut off is gone on with by the next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi

from dragonfly.access.cluster_access import ClusterAccess
from dragonfly.parts.labels import Component, selector
from dragonfly.parts.names import Names
from dragonfly.settings.fault import PROJECT

if TYPE_CHECKING:
    from dragonfly.access.objects import Cluster, Object

LINE_ANNOTATION = "dragonfly.pulumi.com/release-line"
"""Of the workloads, from 2.5 on."""

_FIRST_LINE = "2.1"
_POLL_SECONDS = 0.5
# Not the loop's own, in which registrations have few places.
_WORKING = ThreadPoolExecutor()


class LineChangeError(pulumi.RunError):
    """The stack cannot move to another release line; the message says why, and what to do."""


@dataclass(frozen=True)
class LineChange:
    """How one stack moves.

    Attributes:
        names: of its objects.
        namespace: of its objects.
        access: to its cluster.
        seconds: how long what comes before may take to become Ready.
        allows_downgrade: whether the line of before may come back though the manager has migrated the database.
    """

    names: Names
    namespace: pulumi.Input[str]
    access: ClusterAccess
    seconds: float
    allows_downgrade: bool

    def of_manager(self) -> pulumi.ResourceOptions:
        """Return the options of the manager's workload: it is stopped first, or the move refused."""
        return self._hooked("manager-changes-line", self._stop_manager, on_dry_run=True)

    def after(self, kind: str, predecessor: str, resource_name: str) -> pulumi.ResourceOptions:
        """Return the options of a workload that moves when another has.

        Args:
            kind: of that other workload.
            predecessor: its name.
            resource_name: Pulumi's name of the workload that waits.
        """

        def wait(cluster: Cluster, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
            del old
            self._wait(lambda: _has_moved(cluster.workload(kind, predecessor), _line(new)), f"{kind} {predecessor}")

        return self._hooked(f"{resource_name}-changes-line", wait, on_dry_run=False)

    def _hooked(self, name: str, act: Callable[..., None], *, on_dry_run: bool) -> pulumi.ResourceOptions:
        async def run(args: pulumi.ResourceHookArgs) -> None:
            old, new = args.old_inputs or {}, args.new_inputs or {}
            # A preview looks at what would be refused, and nothing else.
            if _line(old) == _line(new) or (pulumi.runtime.is_dry_run() and not _is_downgrade(old, new)):
                return
            kubeconfig = await pulumi.Output.from_input(self.access.kubeconfig).future()
            # The hook's own resource is in it: it is known.
            namespace = str(await pulumi.Output.from_input(self.namespace).future())
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(_WORKING, self._act, act, kubeconfig, namespace, old, new)

        hook = pulumi.ResourceHook(name, run, pulumi.ResourceHookOptions(on_dry_run=on_dry_run))
        return pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_update=[hook]))

    def _act(self, act: Callable[..., None], kubeconfig: str | None, namespace: str, old: Any, new: Any) -> None:
        # The client takes a second to load, and most updates change no line.
        from dragonfly.access.client import KubeconfigError, connect
        from dragonfly.access.objects import Cluster, NoClusterError

        try:
            act(Cluster(connect(kubeconfig, self.access.context), namespace, secrets=()), old, new)
        except (KubeconfigError, NoClusterError) as error:
            raise LineChangeError(
                f"Dragonfly does not move from {_line(old)} to {_line(new)}: {error}. Run the same command again."
            ) from None

    def _stop_manager(self, cluster: Cluster, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        if _is_downgrade(old, new) and not self.allows_downgrade and self._has_started(cluster, old):
            raise LineChangeError(
                f"{PROJECT}:tag: the manager of {_line(old)} has migrated the database, and Dragonfly promises nothing "
                f"of one of {_line(new)} on it; set the tag back, or, with a snapshot of the database's disk at hand: "
                f"pulumi config set {PROJECT}:allowDowngrade true"
            )
        if pulumi.runtime.is_dry_run():
            return
        cluster.stop(self.names.manager)
        self._wait(lambda: not self._managers(cluster), f"the end of the manager of {_line(old)}")

    def _managers(self, cluster: Cluster) -> list[Object]:
        return cluster.pods(selector(self.names.app, Component.MANAGER))

    def _has_started(self, cluster: Cluster, old: Mapping[str, Any]) -> bool:
        """Whether the manager of before may have migrated the database: all that is known is that it has not."""
        image = _image(old["spec"]["template"])
        pods = [pod for pod in self._managers(cluster) if _image(pod) == image]
        return not pods or any(_ran(pod) for pod in pods)

    def _wait(self, over: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self.seconds
        while not over():
            if time.monotonic() >= deadline:
                raise LineChangeError(
                    f"{what} was waited for, and did not come within {self.seconds:.0f} s; what follows it is as it "
                    "was. Run the same command again."
                )
            time.sleep(_POLL_SECONDS)


def _line(workload: Mapping[str, Any]) -> str:
    annotations: Mapping[str, Any] = workload.get("metadata", {}).get("annotations") or {}
    return str(annotations.get(LINE_ANNOTATION, _FIRST_LINE))


def _is_downgrade(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    before, now = ([int(number) for number in _line(each).split(".")] for each in (old, new))
    return now < before


def _has_moved(workload: Object | None, line: str) -> bool:
    """Whether a workload of one pod is of a line and Ready."""
    if workload is None or _line(workload) != line:
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
    return {} if line == _FIRST_LINE else {LINE_ANNOTATION: line}
