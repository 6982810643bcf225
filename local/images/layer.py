"""Layers of images: tar files whose content, and so whose digest, depends on nothing but what is put in."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Layer:
    """A layer that is ready: not compressed, since unpacking it on every node takes longer than reading it.

    Attributes:
        file: the tar file.
        digest: `sha256:...` of its content.
        size: in bytes.
    """

    file: Path
    digest: str
    size: int


@dataclass(frozen=True)
class Entry:
    """A file, folder or link of a layer.

    Attributes:
        path: absolute path in the image.
        content: of a file.
        link: what a symbolic link points to.
        mode: permissions.
    """

    path: str
    content: bytes | None = None
    link: str | None = None
    mode: int = 0o755

    def member(self) -> tarfile.TarInfo:
        """Return the entry's header in the tar file."""
        member = tarfile.TarInfo(self.path.lstrip("/"))
        member.mode = self.mode
        if self.link is not None:
            member.type = tarfile.SYMTYPE
            member.linkname = self.link
        elif self.content is None:
            member.type = tarfile.DIRTYPE
        else:
            member.size = len(self.content)
        return member


def layer(file: Path) -> Layer:
    """Return what a finished tar file is as a layer."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return Layer(file, f"sha256:{digest.hexdigest()}", file.stat().st_size)


def write_layer(file: Path, entries: Iterable[Entry]) -> Layer:
    """Write a layer of a few entries, with the folders that they lie in.

    Args:
        file: where to.
        entries: in any order.
    """
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive:
        add_entries(archive, entries, {})
    return layer(file)


def add_entries(archive: tarfile.TarFile, entries: Iterable[Entry], present: Mapping[str, object]) -> None:
    """Add entries to an archive that is being written.

    Args:
        archive: the archive.
        entries: what to add.
        present: paths, without the leading slash, of folders that it has.
    """
    folders = dict.fromkeys(present)
    for entry in sorted(entries, key=lambda entry: entry.path):
        for parent in reversed(Path(entry.path.lstrip("/")).parents[:-1]):
            name = str(parent)
            if name not in folders:
                folders[name] = None
                archive.addfile(Entry(name).member())
        if entry.content is None and entry.link is None:
            folders[entry.path.lstrip("/")] = None
        archive.addfile(entry.member(), io.BytesIO(entry.content or b""))
