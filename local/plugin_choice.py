"""Which resource plug-ins the engine uses: the real ones where they can be had, stand-ins of ours elsewhere.

Google Cloud is always played: on this machine nothing must be billed.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from local.refusals import Refusal

CLOUD_STAND_INS = Path(__file__).resolve().parent / "plugins" / "cloud-bin"
"""Folder of the executables that take the place of Google's: plug-in and credentials."""

_STAND_INS = Path(__file__).resolve().parent / "plugins" / "bin"
# The plug-in of a package has the version of its Python SDK.
_PACKAGES = {"kubernetes": "pulumi-kubernetes", "random": "pulumi-random"}

DOWNLOAD_SECONDS = 20.0
"""For all downloads together: without a network they would hang for minutes."""


def stand_in_folder(pulumi: Path, pulumi_home: Path, environment: Mapping[str, str], console: Console) -> Path | None:
    """Provides the real plug-ins, or says which folder on the PATH holds executables that take their place.

    Args:
        pulumi: the CLI.
        pulumi_home: where the CLI keeps plug-ins.
        environment: of the CLI.
        console: where one line about the choice goes.

    Returns:
        None when the real plug-ins are installed.
    """
    wanted = {name: version(package) for name, package in _PACKAGES.items()}
    missing = [name for name, number in wanted.items() if not _installed(pulumi_home, name, number)]
    refusal = Refusal(pulumi_home / "plugins-refused.json", wanted)
    if missing and not refusal.is_remembered():
        console.print(f"asking for Pulumi's plug-ins, {DOWNLOAD_SECONDS:.0f} s at most ...")
        deadline = time.monotonic() + DOWNLOAD_SECONDS
        with ThreadPoolExecutor(len(missing)) as executor:
            tries = [executor.submit(_download, pulumi, name, wanted[name], environment, deadline) for name in missing]
        missing = [name for name, done in zip(missing, tries, strict=True) if not done.result()]
        if missing:
            refusal.remember()
    if not missing:
        return None
    console.print(
        f"stand-ins serve for the {' and '.join(wanted)} plug-ins, which cannot be downloaded here ({refusal.remark})"
    )
    return _STAND_INS


def _installed(pulumi_home: Path, name: str, number: str) -> bool:
    return (pulumi_home / "plugins" / f"resource-{name}-v{number}" / f"pulumi-resource-{name}").is_file()


def _download(pulumi: Path, name: str, number: str, environment: Mapping[str, str], deadline: float) -> bool:
    try:
        done = subprocess.run(
            [pulumi, "plugin", "install", "resource", name, number, "--reinstall"],
            env={**os.environ, **environment, "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "false"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=max(0.1, deadline - time.monotonic()),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
