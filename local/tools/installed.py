"""The tools that the machine has already, where they serve as well as those built here."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from local.tools.building.tool import Tool, version_numbers
from local.tools.catalog import TOOLS


def installed(tool: Tool) -> dict[str, Path] | None:
    """Return the machine's own binaries of a tool, or None where it has none that are good enough."""
    find = _FINDERS.get(tool.name)
    found = find() if find else None
    return None if found is None else {name: found[name] for name in tool.binaries}


@functools.cache
def _official_pulumi() -> dict[str, Path] | None:
    """Find the official CLI, which brings its language hosts, unless it is older than the release built here.

    The two are taken together or not at all: the host does not tell its version.
    """
    cli, host = shutil.which("pulumi"), shutil.which("pulumi-language-python")
    if cli is None or host is None:
        return None
    text = _output([cli, "version"], {"PULUMI_SKIP_UPDATE_CHECK": "1"})
    found = version_numbers(text or "")
    if found is None or found < cast("tuple[int, int, int]", version_numbers(TOOLS["pulumi"].version)):
        return None
    return {"pulumi": Path(cli), "pulumi-language-python": Path(host)}


def _matching_kubectl() -> dict[str, Path] | None:
    """Find a kubectl within one minor release of the API server (Kubernetes' version skew policy)."""
    path = shutil.which("kubectl")
    if path is None:
        return None
    text = _output([path, "version", "--client", "--output", "json"], {})
    try:
        document = cast("dict[str, Any]", json.loads(text or "{}"))
        found = version_numbers(str(document["clientVersion"]["gitVersion"]))
    except (ValueError, KeyError, TypeError):
        return None
    server = version_numbers(TOOLS["kubernetes"].version)
    if found is None or server is None or found[0] != server[0] or abs(found[1] - server[1]) > 1:
        return None
    return {"kubectl": Path(path)}


def _output(command: list[str], environment: Mapping[str, str]) -> str | None:
    try:
        result = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None


_FINDERS = {"pulumi": _official_pulumi, "language-host": _official_pulumi, "kubectl": _matching_kubectl}
