"""The images that the nodes are given, as archives: where no registry is in reach, nothing else brings them there."""

from __future__ import annotations

from pathlib import Path

from local.toolchain import cache_folder


def image_archives() -> list[Path]:
    """OCI or Docker archives that were built for this machine's nodes, each of one image."""
    return sorted((cache_folder() / "images").glob("*.tar"))
