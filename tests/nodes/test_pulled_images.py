"""Images from a registry, where one can be reached: skopeo and a real registry on loopback."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from local.images.archive import provide_archive
from local.images.catalog import PAUSE
from local.images.registry import pulled_archives
from tests.nodes.local_registry import LOOPBACK, READY_SECONDS, free_port, registry_command
from tests.waiting import wait_until

CONSOLE = Console(stderr=True)
pytestmark = pytest.mark.skipif(
    shutil.which("skopeo") is None or shutil.which("docker-registry") is None,
    reason="needs skopeo and docker-registry: `make node-packages test-packages`",
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of a registry that has one image."""
    folder = tmp_path_factory.mktemp("registry")
    address = f"{LOOPBACK}:{free_port()}"
    server = subprocess.Popen(registry_command(folder, address), stderr=subprocess.DEVNULL)
    try:
        source = f"oci-archive:{provide_archive()}:{PAUSE.rpartition(':')[2]}"
        target = f"docker://{address}/pause:3.6"
        copy = ["skopeo", "copy", "--dest-tls-verify=false", source, target]
        results: list[subprocess.CompletedProcess[str]] = []

        def copied() -> bool:
            results.append(subprocess.run(copy, capture_output=True, text=True, timeout=60, check=False))
            return results[-1].returncode == 0

        wait_until(copied, "the registry has the image", READY_SECONDS, lambda: results[-1].stderr)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=10)


@pytest.fixture
def trusted(registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same registry, which has no certificate, as skopeo accepts it."""
    file = tmp_path / ".config" / "containers" / "registries.conf"
    file.parent.mkdir(parents=True)
    file.write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return registry


def test_image_is_pulled_once_and_keeps_its_name(trusted: str, tmp_path: Path) -> None:
    reference = f"{trusted}/pause:3.6"
    archives = pulled_archives([reference], tmp_path / "images", CONSOLE)
    assert archives is not None
    (archive,) = archives
    with tarfile.open(archive) as content:
        manifest = content.extractfile("manifest.json")
        assert manifest is not None
        assert json.load(manifest)[0]["RepoTags"] == [reference]
    made = archive.stat().st_mtime_ns
    assert pulled_archives([reference], tmp_path / "images", CONSOLE) == [archive]
    assert archive.stat().st_mtime_ns == made


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Holds a line for each call of skopeo."""
    folder, file = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    file.touch()
    skopeo = folder / "skopeo"
    skopeo.write_text(f'#!/bin/sh\necho "$1" >> {file}\nexec {shutil.which("skopeo")} "$@"\n')
    skopeo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return file


def test_registry_without_one_of_the_images_is_left_alone_for_a_day(trusted: str, tmp_path: Path, calls: Path) -> None:
    wanted = [f"{trusted}/pause:3.6", f"{trusted}/nothing:1.0"]
    assert pulled_archives(wanted, tmp_path / "images", CONSOLE) is None
    # The first image is there by now.
    assert calls.read_text().split() == ["inspect", "copy", "copy"]
    assert pulled_archives(wanted, tmp_path / "images", CONSOLE) is None
    assert calls.read_text().split() == ["inspect", "copy", "copy"]


def test_unreachable_registry_means_that_images_are_built(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        reference = f"127.0.0.1:{closed.getsockname()[1]}/pause:3.6"
        assert pulled_archives([reference], tmp_path, CONSOLE) is None
    assert not list(tmp_path.glob("*.tar"))
