"""The plug-ins that the engine runs: the real ones where they can be had, stand-ins of ours elsewhere.

Google Cloud is always played: on this machine nothing must be billed. What plays it lies in a folder of the engine's
that only stacks with a played cloud use.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from rich.console import Console

from local.engine.abandoned_plugins import PULUMI_HOME
from local.machine.paths import PROJECT_FOLDER, cache_folder
from local.tools import toolchain
from local.tools.catalog import PLUGIN_TOOLS
from local.tools.refusals import Refusal

CLOUD_COMMANDS = PROJECT_FOLDER / "local" / "standins" / "plugins" / "cloud-commands"
"""Folder of what programs find on the PATH in a played cloud: the command that hands out its credentials."""

_STAND_IN = PROJECT_FOLDER / "local" / "standins" / "plugins" / "stand-in"

KUBERNETES_BEFORE = "4.34.2"
"""Local stacks of before the SDK was pinned to the release that can be built name this one until their next update."""

DOWNLOAD_SECONDS = 20.0
"""For all downloads together: without a network they would hang for minutes."""


@dataclass(frozen=True)
class Plugin:
    """One of the engine's plug-ins.

    Args:
        name: of what it serves: a package, `kubernetes`, or a language.
        version: its version, `4.25.0`.
        executable: the program.
        kind: `resource` or `language`.
    """

    name: str
    version: str
    executable: Path
    kind: str = "resource"

    @classmethod
    def of_package(cls, name: str, executable: Path) -> Plugin:
        """Return a package's resource plug-in; it has the version of the package's Python SDK."""
        return cls(name, metadata.version(f"pulumi-{name}"), executable)

    @property
    def path(self) -> str:
        """Where the engine looks for the executable, seen from its folder, `PULUMI_HOME`."""
        return f"plugins/{self.kind}-{self.name}-v{self.version}/pulumi-{self.kind}-{self.name}"


GOOGLE_CLOUD = Plugin.of_package("gcp", _STAND_IN)
"""Plays Google Cloud."""


def provide_plugins(pulumi: Path, environment: Mapping[str, str], console: Console) -> list[Plugin]:
    """Make the plug-ins available that do not need a cloud.

    Args:
        pulumi: the CLI.
        environment: of the CLI.
        console: where progress goes, and one line about each that is not downloaded.

    Returns:
        Those of Kubernetes, also under its version of before, and of random values.

    Raises:
        ToolchainError: Kubernetes' can be neither downloaded nor built.
    """
    downloads = cache_folder() / "pulumi-home"
    wanted = [Plugin.of_package(name, Path()) for name in ("kubernetes", "random")]
    plugins = [replace(plugin, executable=downloads / plugin.path) for plugin in wanted]
    missing = [plugin for plugin in plugins if not plugin.executable.is_file()]
    refusal = _refusal(downloads, missing)
    if missing and not refusal.is_remembered():
        console.print(f"asking for Pulumi's plug-ins, {DOWNLOAD_SECONDS:.0f} s at most ...")
        deadline = time.monotonic() + DOWNLOAD_SECONDS
        apart = {**environment, PULUMI_HOME: str(downloads), "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "false"}
        with ThreadPoolExecutor(len(missing)) as executor:
            for plugin in missing:
                executor.submit(_download, pulumi, plugin, apart, deadline)
        missing = [plugin for plugin in missing if not plugin.executable.is_file()]
        refusal = _refusal(downloads, missing)
        if missing:
            refusal.remember()
    kubernetes, random = (
        _without_download(plugin, console, refusal) if plugin in missing else plugin for plugin in plugins
    )
    return [kubernetes, replace(kubernetes, version=KUBERNETES_BEFORE), random]


def _refusal(downloads: Path, missing: Iterable[Plugin]) -> Refusal:
    return Refusal(downloads / "plugins-refused.json", [plugin.path for plugin in missing])


def _without_download(plugin: Plugin, console: Console, refusal: Refusal) -> Plugin:
    if plugin.name == "kubernetes":
        built = toolchain.provide(PLUGIN_TOOLS, console)
        return replace(plugin, executable=built["pulumi-resource-kubernetes"])
    console.print(
        f"a stand-in serves for the {plugin.name} plug-in, which cannot be downloaded here ({refusal.remark})"
    )
    return replace(plugin, executable=_STAND_IN)


def lay_out(home: Path, plugins: Iterable[Plugin]) -> None:
    """Put plug-ins where the engine looks for them.

    Args:
        home: the engine's folder, `PULUMI_HOME`.
        plugins: what is to be found in it.
    """
    for plugin in plugins:
        link = home / plugin.path
        if not link.is_symlink() or link.readlink() != plugin.executable:
            link.parent.mkdir(parents=True, exist_ok=True)
            new = link.with_name(f".{os.getpid()}-{threading.get_ident()}")
            new.symlink_to(plugin.executable)
            # At once: another command may be starting its plug-ins.
            new.replace(link)


def _download(pulumi: Path, plugin: Plugin, environment: Mapping[str, str], deadline: float) -> None:
    try:
        subprocess.run(
            [pulumi, "plugin", "install", "resource", plugin.name, plugin.version, "--reinstall"],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=max(0.1, deadline - time.monotonic()),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return
