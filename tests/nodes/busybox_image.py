"""A small image for pods of the tests: Debian's static busybox, under its own name and as the pause image."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

from local.images.catalog import PAUSE

IMAGE = "test.local/busybox:1"


def write_busybox_archive(folder: Path) -> Path:
    """Download busybox with apt and put it into an archive as `docker save` writes them."""
    subprocess.run(["apt-get", "download", "busybox-static"], cwd=folder, check=True, capture_output=True, timeout=120)
    package = next(folder.glob("busybox-static_*.deb"))
    subprocess.run(["dpkg-deb", "--extract", package, folder / "root"], check=True, timeout=60)
    busybox = folder / "root" / "bin" / "busybox"
    programs = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True, timeout=10).stdout
    layer = _layer(busybox, programs.split())
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/bin/sleep", "infinity"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [PAUSE, IMAGE], "Layers": ["layer.tar"]}]
    archive = folder / "busybox.tar"
    with tarfile.open(archive, "w") as file:
        _add(file, "config.json", json.dumps(config).encode())
        _add(file, "layer.tar", layer)
        _add(file, "manifest.json", json.dumps(manifest).encode())
    return archive


def _layer(busybox: Path, programs: list[str]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as layer:
        for name, mode in (("bin", 0o755), ("tmp", 0o1777), ("etc", 0o755)):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            layer.addfile(folder)
        _add(layer, "bin/busybox", busybox.read_bytes(), 0o755)
        for program in programs:
            if program != "busybox":
                link = tarfile.TarInfo(f"bin/{program}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                layer.addfile(link)
    return content.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
