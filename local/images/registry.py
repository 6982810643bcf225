"""The images from their registries, where these can be reached: archives that nodes without a way out are given.

By skopeo, which copies images without a daemon.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from local.machine.file_lock import file_lock
from local.tools.refusals import Refusal

_SKOPEO = "skopeo"
_QUESTION_SECONDS = 20
_COPY_SECONDS = 600
_UNFINISHED = ".unfinished"


def pulled_archives(references: Sequence[str], folder: Path, console: Console) -> list[Path] | None:
    """Fetch each image once.

    Args:
        references: of the images, each with a tag of a full version or a digest.
        folder: where the archives are kept, one of each image.
        console: where progress goes.

    Returns:
        The archives, or None where a registry cannot be reached, or skopeo is not installed.
    """
    archives = {reference: folder / f"{_digest(reference)}.tar" for reference in references}
    if all(archive.exists() for archive in archives.values()):
        return list(archives.values())
    # Of all of them: when some were pulled and one is refused, the rest is the same question.
    refusal = Refusal(folder / "refused.json", list(references))
    if shutil.which(_SKOPEO) is None:
        console.print("images are built instead of pulled: skopeo is missing (`make node-packages` installs it)")
        return None
    folder.mkdir(parents=True, exist_ok=True)
    with file_lock(folder / "lock", on_wait=lambda: console.print("images: waiting for another process")):
        _sweep(folder)
        missing = [reference for reference, archive in archives.items() if not archive.exists()]
        refused = refusal.is_remembered()
        if missing and (refused or not _can_be_pulled(missing[0])):
            if not refused:
                refusal.remember()
            console.print(f"images cannot be pulled here and are built instead ({refusal.remark})", markup=False)
            return None
        for reference in missing:
            started = time.monotonic()
            if not _copy(reference, archives[reference]):
                refusal.remember()
                remark = f"images are built instead ({refusal.remark})"
                console.print(f"{reference} cannot be pulled: {remark}", markup=False)
                return None
            console.print(f"{reference} pulled in {time.monotonic() - started:.0f} s", markup=False)
    return list(archives.values())


def _sweep(folder: Path) -> None:
    """Remove copies that were cut off; the caller holds the lock, so that nobody writes one."""
    for unfinished in folder.glob(f"*{_UNFINISHED}"):
        unfinished.unlink(missing_ok=True)


def _can_be_pulled(reference: str) -> bool:
    return _skopeo("inspect", "--raw", f"docker://{reference}", seconds=_QUESTION_SECONDS)


def _copy(reference: str, archive: Path) -> bool:
    # A name of its own: a copy that was cut off must not be taken for an image.
    unfinished = archive.with_suffix(_UNFINISHED)
    try:
        # In this format the archive says under which name the image is to be known.
        done = _skopeo(
            "copy", f"docker://{reference}", f"docker-archive:{unfinished}:{reference}", seconds=_COPY_SECONDS
        )
        if done:
            unfinished.rename(archive)
        return done
    finally:
        unfinished.unlink(missing_ok=True)


def _skopeo(*arguments: str, seconds: float) -> bool:
    try:
        done = subprocess.run(
            [_SKOPEO, *arguments], capture_output=True, stdin=subprocess.DEVNULL, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _digest(reference: str) -> str:
    return hashlib.sha256(reference.encode()).hexdigest()[:16]
