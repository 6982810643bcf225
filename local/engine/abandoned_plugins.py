"""Ends the plug-ins of an engine that was killed.

Real ones go on for ever: they look every five minutes whether their engine is there, and cancel a context that nobody
waits for (`MainContext` in pulumi's `pkg/resource/provider/main.go`, v3.215).
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import psutil

from local.machine.processes import end

PULUMI_HOME = "PULUMI_HOME"
"""Environment variable of the engine, and so of what it starts: the folder with its plug-ins."""
# Of a resource plug-in and of a language host.
_PLUGIN = "pulumi-"
_ENGINE = "pulumi"


def end_abandoned_plugins(homes: Collection[Path]) -> None:
    """End plug-ins that outlived their engine.

    Args:
        homes: of the engines whose plug-ins these are; nobody else's are touched.
    """
    end(abandoned_plugins(homes), grace_seconds=0)


def abandoned_plugins(homes: Collection[Path]) -> list[psutil.Process]:
    """Return the processes of plug-ins that outlived their engine.

    Args:
        homes: of the engines whose plug-ins these are.
    """
    ours = {str(home) for home in homes}
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        # It may end meanwhile, or be another user's.
        with suppress(psutil.Error):
            if process.name().startswith(_PLUGIN) and process.environ().get(PULUMI_HOME) in ours:
                parent = process.parent()
                if parent is None or parent.name() != _ENGINE:
                    found.append(process)
    return found
