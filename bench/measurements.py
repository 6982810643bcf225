"""Where the time goes: an installation from nothing, and a preview against that of a program with a single object."""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.readiness_timeline import ReadinessTimeline, readiness_timeline
from bench.resource_use import LOAD_SECONDS, measure, use_table
from dragonfly.settings.model import Settings
from local.cluster.control_plane import Cluster
from local.engine.stack import LocalStack
from local.images.archive import provide_archives
from local.images.catalog import default_tag
from local.nodes.containers.container_nodes import ContainerNodes
from local.tools.built_client import LATEST_TAG, why_no_client

PAIRS = 5
"""Timed previews of each program, in turn, so that a slow spell of the machine slows both."""

RATIO_GOAL = 2.0
CHART_READY_SECONDS = 109
"""From the first object to the last pod Ready with the guide's chart, on such nodes with every image present."""

READY_GOAL_SECONDS = CHART_READY_SECONDS / 5

TURNS = 2
"""Installations of each release, in turn, for the same reason."""

_READY = "from the first object to the last pod Ready"
_SINGLE_OBJECT = Path(__file__).with_name("single_object.py")


def bench(
    stack: LocalStack,
    tools: Mapping[str, Path],
    node_kind: str,
    machine_type: str,
    node_count: int,
    console: Console,
) -> None:
    """Measures on clusters and stacks of its own, and prints the figures.

    Args:
        stack: gives engine and config; itself it is left alone.
        tools: the cluster's binaries.
        node_kind: one of `local.cluster.control_plane.NODE_KINDS`.
        machine_type: GKE machine type of the nodes.
        node_count: how many nodes.
        console: where progress goes; the figures go to standard output.
    """
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        cluster = Cluster(state / "cluster", machine_type, node_count, tools=tools, node_kind=node_kind)
        try:
            _bench(stack, cluster, node_kind, state, console)
        finally:
            cluster.stop(remove=True)


@dataclass
class _Line:
    """What was measured of one release of Dragonfly.

    Attributes:
        seconds: how long each phase took, each time.
        timeline: of the fastest installation.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    timeline: ReadinessTimeline | None = None

    def timed(self, phase: str, action: Callable[[], object]) -> None:
        started = time.monotonic()
        action()
        self.seconds.setdefault(phase, []).append(time.monotonic() - started)

    def saw(self, timeline: ReadinessTimeline) -> None:
        ready, seen = timeline.seconds_to_ready(), self.seconds.setdefault(_READY, [])
        if not seen or ready < min(seen):
            self.timeline = timeline
        seen.append(ready)


def _bench(stack: LocalStack, cluster: Cluster, node_kind: str, state: Path, console: Console) -> None:
    containers, no_client = node_kind == ContainerNodes.name, why_no_client()
    lines = {default_tag(): _Line()}
    if not containers or no_client is None:
        lines[LATEST_TAG] = _Line()
    console.print("start the cluster ...")
    cluster.start()
    stacks = {
        tag: replace(
            stack,
            engine=replace(stack.engine, state=state / tag),
            kubeconfig=cluster.kubeconfig,
            config={**stack.config, "dragonfly:tag": tag},
        )
        for tag in lines
    }
    for tag, full in stacks.items():
        full.prepare()
        if containers:
            cluster.give_images(provide_archives(console, tag))
    previews: dict[str, list[float]] = {}
    for turn in range(TURNS):
        for tag, line in lines.items():
            console.print(f"{tag}: installation {turn + 1} of {TURNS} ...")
            _install(stacks[tag], cluster, line)
            if containers and turn == 0:
                console.print(f"{tag}: {LOAD_SECONDS} s of load ...")
                app = str(Settings.model_fields["app_instance_name"].default)
                uses = measure(cluster.kubeconfig, stacks[tag].output("stack", "output", "namespace").strip(), app)
                Console().print(f"{tag}, under load:", use_table(uses), sep="\n")
            if (turn, tag) == (TURNS - 1, default_tag()):
                previews = _previews(stacks[tag], state, console)
            line.timed("pulumi destroy", lambda full=stacks[tag]: full.output("destroy", "--yes", "--skip-preview"))
    _print(lines, previews)
    if len(lines) == 1:
        Console().print(f"{LATEST_TAG} was not measured: {no_client}", markup=False)


def _install(full: LocalStack, cluster: Cluster, line: _Line) -> None:
    with readiness_timeline(cluster.kubeconfig) as timeline:
        line.timed("pulumi up, from nothing to Ready", lambda: full.output("up", "--yes", "--skip-preview"))
    line.saw(timeline)
    line.timed("pulumi up, nothing changed", lambda: full.output("up", "--yes", "--skip-preview"))


def _previews(full: LocalStack, state: Path, console: Console) -> dict[str, list[float]]:
    """Return how long previews take of the program, and of one with a single object, in turn."""
    single = replace(
        full, engine=replace(full.engine, state=state / "single", project=_single_object_project(full, state))
    )
    single.prepare()
    single.output("up", "--yes", "--skip-preview")
    times: dict[str, list[float]] = {"full": [], "single": []}
    console.print(f"{PAIRS} previews of each program ...")
    for _ in range(PAIRS):
        for name, measured in (("full", full), ("single", single)):
            started = time.monotonic()
            measured.output("preview")
            times[name].append(time.monotonic() - started)
    single.output("destroy", "--yes", "--skip-preview")
    return times


def _print(lines: Mapping[str, _Line], previews: Mapping[str, list[float]]) -> None:
    for tag, line in lines.items():
        if line.timeline:
            Console().print(f"{tag}, the fastest installation:", line.timeline.table(), sep="\n")
    title = f"Dragonfly on a local cluster, installed {TURNS} times in turn"
    table = Table("seconds, median of each", *lines, "must be", title=title)
    for phase in next(iter(lines.values())).seconds:
        goal = f"under {READY_GOAL_SECONDS:.0f}" if phase == _READY else ""
        table.add_row(phase, *(f"{statistics.median(line.seconds[phase]):.1f}" for line in lines.values()), goal)
    Console().print(table)
    ratio = statistics.median(a / b for a, b in zip(previews["full"], previews["single"], strict=True))
    table = Table("median", "figure", "must be", title="A preview of what has not changed")
    table.add_row("pulumi preview, in seconds", f"{statistics.median(previews['full']):.2f}")
    table.add_row("the same with one object", f"{statistics.median(previews['single']):.2f}")
    table.add_row("ratio of the two, in pairs", f"{ratio:.2f}", f"under {RATIO_GOAL:.0f}")
    Console().print(table)


def _single_object_project(full: LocalStack, state: Path) -> Path:
    project = state / "project"
    project.mkdir()
    shutil.copyfile(full.engine.project / "Pulumi.yaml", project / "Pulumi.yaml")
    shutil.copyfile(full.engine.project / f"Pulumi.{full.name}.yaml", project / f"Pulumi.{full.name}.yaml")
    (project / "dragonfly").symlink_to(full.engine.project / "dragonfly")
    # The language host of the CLI's makers looks here for what Pulumi.yaml names; the one that is built does not.
    (project / ".venv").symlink_to(sys.prefix)
    shutil.copyfile(_SINGLE_OBJECT, project / "__main__.py")
    return project
