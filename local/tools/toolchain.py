"""The command-line tools and servers that a machine without a cloud needs: found on it, or built once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from local.tools.build import Build, run_all
from local.tools.catalog import TOOLS
from local.tools.installed import installed
from local.tools.report import Report


def provide(names: Iterable[str] = tuple(TOOLS), console: Console | None = None) -> dict[str, Path]:
    """Make tools available, building those which neither the machine nor the cache has.

    Args:
        names: Keys of `local.tools.catalog.TOOLS`.
        console: Where progress goes; standard error when not given.

    Returns:
        The absolute path of each binary by its name, `kube-apiserver` for example.

    Raises:
        ToolchainError: Go is missing or too old, or a build failed.
    """
    report = Report(console or Console(stderr=True, highlight=False))
    wanted = set(names)
    binaries: dict[str, Path] = {}
    to_build: list[Build] = []
    for tool in TOOLS.values():
        if tool.name not in wanted:
            continue
        present = installed(tool)
        if present is not None:
            report.on_machine(tool, present)
            binaries.update(present)
            continue
        build = Build(tool, report)
        if build.done():
            report.cached(tool)
            binaries.update(build.binaries())
        else:
            to_build.append(build)
    report.summary()
    if to_build:
        with report:
            run_all(to_build)
    for build in to_build:
        binaries.update(build.binaries())
    return binaries
