"""Provides every tool, or those that are named: `python -m local.tools.supply [NAME ...] [--without NAME ...]`.

With `--fetch-only` it fetches everything that has a row in `download/releases.py`, whatever the machine has, starts
each program once, and ends with 1 when one cannot be had that way: then a row is wrong, or there is no network.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from local.machine.paths import cache_folder
from local.tools import toolchain
from local.tools.catalog import TOOLS
from local.tools.download.downloads import Downloads
from local.tools.download.releases import RELEASES, Order, Release

_HELP = ("-h",)
_START: Mapping[str, Sequence[str]] = {
    "kubectl": ("version", "--client"),
    "pulumi": ("version",),
    "coredns": ("-version",),
    "actionlint": ("-version",),
    # They do not tell their version, but they start.
    "pulumi-language-python": _HELP,
    "pulumi-resource-kubernetes": _HELP,
}
"""How a program is asked for its version, where not with `--version`."""

_NOT_STARTED = ("pulumi-language-python-exec",)
"""Text that the language host has an interpreter run."""

_START_SECONDS = 60


def main(
    arguments: Sequence[str], releases: Mapping[str, Release] = RELEASES, libraries: Iterable[Order] | None = None
) -> int:
    """Provide the tools.

    Args:
        arguments: of the command line.
        releases: where the projects publish them.
        libraries: what is fetched besides; what tools are made of when not given.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m local.tools.supply", description=__doc__)
    parser.add_argument("--fetch-only", action="store_true", help="build nothing, and take nothing that was built")
    parser.add_argument("names", nargs="*", choices=[[], *TOOLS], metavar="NAME", help=", ".join(TOOLS))
    parser.add_argument("--without", nargs="+", choices=TOOLS, default=[], metavar="NAME", help="leave out")
    options = parser.parse_args(arguments)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if options.fetch_only:
        faults = _fetch(console, releases, toolchain.library_orders(TOOLS) if libraries is None else libraries)
        for fault in faults:
            console.print(fault, markup=False)
        return 1 if faults else 0
    try:
        names = [name for name in options.names or TOOLS if name not in options.without]
        toolchain.provide(names, console, releases)
    except toolchain.ToolchainError as error:
        console.print(f"error: {error}", markup=False)
        return 1
    return 0


def _fetch(console: Console, releases: Mapping[str, Release], libraries: Iterable[Order]) -> list[str]:
    """Fetch what has a row, and return what is wrong with it."""
    downloads = Downloads(cache_folder(), console)
    orders = toolchain.release_orders(releases)
    libraries = list(libraries)
    failures = downloads.fetch([*orders.values(), *libraries], ask_again=True)
    faults = [f"{name} is not published for this machine" for name in releases if name not in orders]
    faults += [
        f"{order.title} cannot be fetched: {failures[order.tool].reason}"
        for order in (*orders.values(), *libraries)
        if order.tool in failures
    ]
    for order in orders.values():
        for program, path in (downloads.fetched(order) or {}).items():
            if program not in _NOT_STARTED:
                faults += _what_is_wrong(path, order.title.rpartition(" ")[2], console)
    return faults


def _what_is_wrong(program: Path, version: str, console: Console) -> list[str]:
    """Start a program and return what is wrong with it."""
    arguments = _START.get(program.name, ("--version",))
    command = " ".join([program.name, *arguments])
    try:
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_START_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"`{command}` cannot be run: {error}"]
    said = done.stdout.decode(errors="replace").strip()
    (first, *_) = said.splitlines() or [""]
    if done.returncode != 0:
        return [f"`{command}` ended with {done.returncode}: {first}"]
    if arguments != _HELP and version.removeprefix("v") not in said:
        return [f"`{command}` says {first}, which is not {version}"]
    console.print(f"{program}: {'starts' if arguments == _HELP else first}", markup=False)
    return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
