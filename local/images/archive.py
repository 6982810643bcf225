"""Builds the archive of all images in the cache, unless what it is made of has not changed."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from dragonfly.lines.known_lines import line_of
from local.images import debian_root
from local.images.catalog import (
    LINE_IMAGES,
    Layers,
    configured_names,
    database_entries,
    default_references,
    default_tag,
    images,
    pause_entries,
)
from local.images.layer import Layer, layer, write_layer
from local.images.oci_archive import write_archive
from local.images.registry import pulled_archives
from local.machine.file_lock import file_lock
from local.machine.paths import cache_folder
from local.tools import toolchain

_SOURCES = Path(__file__).resolve().parent
_NAME = "images"
_DEBIAN = "debian-root"
_MEGABYTE = 1_000_000


def _archive_folder() -> Path:
    """Where the archive lies, and those that were pulled."""
    return cache_folder() / _NAME


def provide_archives(console: Console | None = None, tag: str | None = None) -> list[Path]:
    """Fetch the images from their registries, or build them where that cannot be.

    Args:
        console: where progress goes; standard error when not given.
        tag: of Dragonfly; the default one when not given.

    Returns:
        Archives of one or more images each.

    Raises:
        ToolchainError: what is in them could not be built.
        DebianRootError: Debian's packages could not be had.
    """
    console = console or Console(stderr=True, highlight=False, soft_wrap=True)
    names = configured_names({} if tag is None else {"tag": tag})
    return pulled_archives(names, _archive_folder() / "pulled", console) or [provide_archive(console, tag)]


def provide_archive(console: Console | None = None, tag: str | None = None) -> Path:
    """Make the archive, or find that the one in the cache is made of the same.

    Args:
        console: where progress goes; standard error when not given.
        tag: of Dragonfly; the default one when not given.

    Returns:
        The archive's path.

    Raises:
        ToolchainError: what is in it could not be built.
        DebianRootError: Debian's packages could not be had.
    """
    console = console or Console(stderr=True, highlight=False, soft_wrap=True)
    started = time.monotonic()
    tag = tag or default_tag()
    line_name = line_of(tag).name
    line = LINE_IMAGES[line_name]
    binaries = toolchain.provide(line.tools, console)
    references = default_references(tag)
    cache = cache_folder()
    folder, locks = _archive_folder(), cache / "locks"
    for path in (folder, locks, cache / "logs"):
        path.mkdir(parents=True, exist_ok=True)
    archive, key_file = folder / f"images-{line_name}.tar", folder / f"images-{line_name}.key"
    with file_lock(locks / _NAME, on_wait=lambda: console.print("images: waiting for another process")):
        key = _key([debian_root.recipe(), repr(references), *map(str, binaries.values()), *_own_sources()])
        if archive.exists() and key_file.exists() and key_file.read_text().strip() == key:
            console.print(f"images built before: {archive}")
            return archive
        key_file.unlink(missing_ok=True)
        debian = _debian_layer(cache, console)
        with _temporary_folder(folder) as temporary:
            layers = Layers(
                debian=debian,
                databases=write_layer(temporary / "databases.layer", database_entries()),
                dragonfly=write_layer(temporary / "dragonfly.layer", line.entries(binaries)),
                pause=write_layer(temporary / "pause.layer", pause_entries(binaries)),
            )
            listed = images(layers, references, line)
            write_archive(temporary / archive.name, listed)
            (temporary / archive.name).rename(archive)
        key_file.write_text(f"{key}\n")
    for image in listed:
        console.print(f"  {image.reference}: {_megabytes(image.size)}", markup=False)
    console.print(
        f"images: built in {time.monotonic() - started:.0f} s, {_megabytes(archive.stat().st_size)} with shared layers "
        f"once: {archive}"
    )
    return archive


def _debian_layer(cache: Path, console: Console) -> Layer:
    """Debian's layer from the cache, in a folder named after what it is made of, or made anew."""
    target = cache / f"{_DEBIAN}-{_key([debian_root.recipe()])}"
    file = target / "layer.tar"
    if target.is_dir():
        found = cast("dict[str, Any]", json.loads((target / "layer.json").read_text()))
        console.print(f"{_DEBIAN}: built before")
        return Layer(file, found["digest"], found["size"])
    started = time.monotonic()
    console.print(f"{_DEBIAN}: building, once; about half a minute")
    with _temporary_folder(cache, f".{_DEBIAN}-") as temporary:
        debian_root.write_debian_root(temporary / file.name, cache / "logs" / f"{_DEBIAN}.log")
        made = layer(temporary / file.name)
        (temporary / "layer.json").write_text(json.dumps({"digest": made.digest, "size": made.size}))
        temporary.chmod(0o755)
        temporary.rename(target)
    console.print(f"{_DEBIAN}: built in {time.monotonic() - started:.0f} s, {_megabytes(made.size)}")
    return Layer(file, made.digest, made.size)


@contextmanager
def _temporary_folder(parent: Path, prefix: str = ".new-") -> Generator[Path]:
    # The caller holds the lock: what lies here was left by a build that was interrupted.
    for leftover in parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _own_sources() -> list[str]:
    """All that this package says: a change of any of it may change an image."""
    files = sorted(path for path in _SOURCES.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return [path.read_text() for path in files]


def _key(parts: Iterable[str]) -> str:
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:16]


def _megabytes(size: int) -> str:
    return f"{size / _MEGABYTE:.0f} MB"
