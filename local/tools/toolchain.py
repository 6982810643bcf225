"""The command-line tools and servers that a machine without a cloud needs: found on it, fetched, or built once."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console

from local.machine.paths import cache_folder
from local.tools.building.build import Build, run_all
from local.tools.building.tool import Tool, ToolchainError
from local.tools.catalog import TOOLS
from local.tools.download.downloads import Downloads
from local.tools.download.releases import RELEASES, Order, Release
from local.tools.installed import installed
from local.tools.report import Report


def provide(
    names: Iterable[str] = tuple(TOOLS),
    console: Console | None = None,
    releases: Mapping[str, Release] = RELEASES,
) -> dict[str, Path]:
    """Make tools available: fetch those which neither the machine nor the cache has, and build what cannot be fetched.

    Args:
        names: keys of `local.tools.catalog.TOOLS`.
        console: where progress goes; standard error when not given.
        releases: where their projects publish them.

    Returns:
        The absolute path of each binary by its name, `kube-apiserver` for example.

    Raises:
        ToolchainError: Go is missing or too old, or a build failed.
    """
    console = console or Console(stderr=True, highlight=False)
    report = Report(console)
    downloads = Downloads(cache_folder(), console)
    orders = release_orders(releases)

    def fetched(tool: Tool) -> dict[str, Path] | None:
        order = orders.get(tool.name)
        return downloads.fetched(order) if order is not None else None

    wanted = set(names)
    binaries: dict[str, Path] = {}
    missing: list[Tool] = []
    for tool in TOOLS.values():
        if tool.name not in wanted:
            continue
        present = installed(tool)
        if present is not None:
            report.on_machine(tool, present)
            binaries.update(present)
            continue
        if (programs := fetched(tool)) is not None:
            report.fetched(orders[tool.name])
            binaries.update(programs)
        elif (build := _build_before(tool, report)) is not None:
            report.cached(tool)
            binaries.update(build.binaries())
        else:
            missing.append(tool)
    report.summary()
    to_build: list[Build] = []
    asked_for = [orders[tool.name] for tool in missing if tool.name in orders]
    asked_for += library_orders(tool.name for tool in missing)
    failures = downloads.fetch(asked_for)
    downloads.tell_built(asked_for, failures)
    for tool in missing:
        if (programs := fetched(tool)) is not None:
            binaries.update(programs)
            continue
        if tool.name not in failures:
            report.why_built(tool)
        to_build.append(Build(tool, report))
    if to_build:
        with report:
            run_all(to_build)
    for build in to_build:
        binaries.update(build.binaries())
    return binaries


def release_orders(releases: Mapping[str, Release] = RELEASES) -> dict[str, Order]:
    """Return what there is to fetch for this machine, by the name of the tool.

    Args:
        releases: where the projects publish it.
    """
    if sys.platform != "linux":
        return {}
    found = {name: release.order(name, lambda tool: TOOLS[tool].version) for name, release in releases.items()}
    return {name: order for name, order in found.items() if order is not None}


def library_orders(names: Iterable[str]) -> list[Order]:
    """Return what need not be compiled for tools that are built.

    Args:
        names: of the tools.
    """
    return [order for name in names for order in TOOLS[name].libraries()]


def _build_before(tool: Tool, report: Report) -> Build | None:
    """Return a tool's build that the cache has. Where there is no Go, nothing was built for it."""
    try:
        build = Build(tool, report)
    except ToolchainError:
        return None
    return build if build.done() else None
