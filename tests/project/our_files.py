"""The files of the repository, whether or not it is a git checkout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tests.program.recorded.recorded_program import ROOT

# Environments, caches and what a build leaves; nothing of it is in git.
_NOT_OURS = {"venv", "__pycache__", "node_modules", "build", "dist"}


def our_files() -> Iterator[Path]:
    """Every file and folder but hidden ones."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _NOT_OURS]
        yield from (Path(folder) / name for name in (*folders, *files))
