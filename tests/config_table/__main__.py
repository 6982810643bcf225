"""Write docs/config-changes.md anew, for a quarter of an hour: `python -m tests.config_table`."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from kubernetes.client.api.scheduling_v1_api import SchedulingV1Api
from rich.console import Console

from local.api.kubeconfig import connect
from local.cluster.control_plane import Cluster
from local.cluster.kinds import define_kinds
from local.engine.stack import Engine
from local.tools import toolchain
from local.tools.catalog import CLUSTER_TOOLS, ENGINE_TOOLS, PROMETHEUS_OPERATOR_KINDS
from tests.config_table.changes import EXISTING, GKE, LINE_2_5, OPERATOR, PRIORITY_CLASS
from tests.config_table.plan import STREAMED
from tests.config_table.rows import Trial
from tests.config_table.table import DOCUMENT, markdown
from tests.engine.fork_server import fork_server


def main() -> None:
    """Try every change, and write the page."""
    console = Console(stderr=True)
    os.environ.update(STREAMED, DRAGONFLY_CLOUD_SECONDS="0.1")
    tools = toolchain.provide((*ENGINE_TOOLS, *CLUSTER_TOOLS), console)
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder) / "cluster", tools=tools)
        cluster.start()
        try:
            with connect(cluster.kubeconfig) as api:
                classes: Any = SchedulingV1Api(api)
                classes.create_priority_class({"metadata": {"name": PRIORITY_CLASS}, "value": 1})
                define_kinds(api, toolchain.provide([PROMETHEUS_OPERATOR_KINDS], console).values())
            with fork_server(Path(folder)) as python:
                engine = Engine.provide(Path(folder) / "pulumi", console, tools)
                trial = Trial(replace(engine, python=str(python)), cluster, console)
                rows = [row for stacks in (GKE, EXISTING, OPERATOR, LINE_2_5) for row in trial.rows(stacks)]
        finally:
            cluster.stop(remove=True)
    DOCUMENT.write_text(markdown(rows))
    console.print(f"written: {DOCUMENT}")


if __name__ == "__main__":
    main()
