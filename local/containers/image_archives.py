"""The images that the nodes are given, as archives: where no registry is in reach, nothing else brings them there."""

from __future__ import annotations

from pathlib import Path

from local.toolchain import cache_folder


def image_archives() -> list[Path]:
    """OCI or Docker archives that were built for this machine's nodes, each of one image.

    Raises:
        ValueError: There are none.
    """
    folder = cache_folder() / "images"
    found = sorted(folder.glob("*.tar"))
    if not found:
        raise ValueError(f"{folder} has no images for the nodes: `make images` builds them")
    return found
