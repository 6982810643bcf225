"""Where the time goes: an installation from nothing, and a preview against that of a program with a single object."""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dragonfly.settings.model import Settings
from local.bench.readiness_timeline import readiness_timeline
from local.bench.resource_use import LOAD_SECONDS, measure, use_table
from local.cluster.control_plane import Cluster
from local.engine.stack import LocalStack
from local.nodes.containers.container_nodes import ContainerNodes

PAIRS = 5
"""Timed previews of each program, in turn, so that a slow spell of the machine slows both."""

RATIO_GOAL = 2.0
CHART_READY_SECONDS = 109
"""From the first object to the last pod Ready with the guide's chart, on such nodes with every image present."""

READY_GOAL_SECONDS = CHART_READY_SECONDS / 5

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


def _bench(stack: LocalStack, cluster: Cluster, node_kind: str, state: Path, console: Console) -> None:
    phases: dict[str, float] = {}

    def timed(phase: str, action: Callable[[], object]) -> None:
        console.print(f"{phase} ...")
        started = time.monotonic()
        action()
        phases[phase] = time.monotonic() - started

    full = replace(stack, engine=replace(stack.engine, state=state / "full"), kubeconfig=cluster.kubeconfig)
    timed("start the cluster", cluster.start)
    timed("make the stack", full.prepare)
    with readiness_timeline(cluster.kubeconfig) as timeline:
        timed("pulumi up, from nothing to Ready", lambda: full.output("up", "--yes", "--skip-preview"))
    ready = timeline.seconds_to_ready()
    if node_kind == ContainerNodes.name:
        console.print(f"{LOAD_SECONDS} s of load ...")
        app = str(Settings.model_fields["app_instance_name"].default)
        uses = measure(cluster.kubeconfig, full.output("stack", "output", "namespace").strip(), app)
        Console().print(use_table(uses))
    timed("pulumi up, nothing changed", lambda: full.output("up", "--yes", "--skip-preview"))

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
    ratio = statistics.median(a / b for a, b in zip(times["full"], times["single"], strict=True))
    timed("pulumi destroy", lambda: full.output("destroy", "--yes", "--skip-preview"))
    single.output("destroy", "--yes", "--skip-preview")

    table = Table("what", "seconds", title="Dragonfly on a local cluster")
    for phase, seconds in phases.items():
        table.add_row(phase, f"{seconds:.1f}")
    table.add_row("from the first object to the last pod Ready", f"{ready:.1f}, must be under {READY_GOAL_SECONDS:.0f}")
    table.add_row("pulumi preview, nothing changed (median)", f"{statistics.median(times['full']):.2f}")
    table.add_row("the same with one object (median)", f"{statistics.median(times['single']):.2f}")
    table.add_row("ratio of the two (median of pairs)", f"{ratio:.2f}, must be under {RATIO_GOAL:.0f}")
    Console().print(timeline.table())
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
