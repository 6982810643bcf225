"""Container images as OCI archives: names, digests and layers, written and read back."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any, cast

import pytest

from dragonfly.parts.images import Image, image_reference_fault
from local.images.catalog import LINE_IMAGES, PAUSE, Layers, default_references, images
from local.images.layer import Entry, Layer, write_layer
from local.images.oci_archive import write_archive


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    made = {
        name: write_layer(tmp_path / name, [Entry(f"/opt/{name}", name.encode())])
        for name in ("debian", "databases", "dragonfly", "pause")
    }
    return Layers(**made)


@pytest.fixture
def content(tmp_path: Path, layers: Layers) -> dict[str, bytes]:
    """What an archive of all images holds, by name."""
    file = tmp_path / "images.tar"
    write_archive(file, images(layers, default_references(), LINE_IMAGES["2.1"]))
    found: dict[str, bytes] = {}
    with tarfile.open(file) as archive:
        for member in archive:
            assert member.name not in found
            stream = archive.extractfile(member)
            assert stream is not None
            found[member.name] = stream.read()
    return found


def _document(content: dict[str, bytes], digest: str) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(content[f"blobs/{digest.replace(':', '/')}"]))


def _manifests(content: dict[str, bytes]) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", json.loads(content["index.json"])["manifests"])


def test_archive_has_every_image_that_a_local_installation_runs(content: dict[str, bytes]) -> None:
    names = [manifest["annotations"]["io.containerd.image.name"] for manifest in _manifests(content)]
    references = default_references()
    # Metrics go to Google Cloud only.
    wanted = [references.reference(image) for image in Image if image is not Image.METRICS_EXPORTER]
    assert sorted(names) == sorted([*wanted, PAUSE])
    assert [image_reference_fault(name) for name in names] == [None] * len(names)


def test_every_blob_has_the_digest_and_size_by_which_it_is_named(content: dict[str, bytes]) -> None:
    blobs = {name: data for name, data in content.items() if name.startswith("blobs/")}
    assert blobs
    for name, data in blobs.items():
        assert name == f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"
    for line in _manifests(content):
        manifest = _document(content, line["digest"])
        for blob in (line, manifest["config"], *manifest["layers"]):
            assert len(content[f"blobs/{blob['digest'].replace(':', '/')}"]) == blob["size"]


def test_layers_of_an_image_are_those_that_its_config_names(content: dict[str, bytes], layers: Layers) -> None:
    for line in _manifests(content):
        manifest = _document(content, line["digest"])
        digests = [layer["digest"] for layer in manifest["layers"]]
        assert _document(content, manifest["config"]["digest"])["rootfs"]["diff_ids"] == digests
        name = line["annotations"]["io.containerd.image.name"]
        assert digests[0] == (layers.pause if name == PAUSE else layers.debian).digest


def test_no_two_images_are_the_same(content: dict[str, bytes]) -> None:
    digests = [manifest["digest"] for manifest in _manifests(content)]
    assert len(set(digests)) == len(digests)


def test_layer_of_the_same_content_has_the_same_digest(tmp_path: Path) -> None:
    entries = [Entry("/bin/tool", b"#!/bin/sh\n"), Entry("/bin/link", link="tool"), Entry("/data", mode=0o700)]

    def made(name: str, listed: list[Entry]) -> Layer:
        return write_layer(tmp_path / name, listed)

    assert made("one", entries).digest == made("two", entries[::-1]).digest
    assert made("three", entries[:-1]).digest != made("one", entries).digest
    with tarfile.open(tmp_path / "one") as archive:
        shown = [(member.name, member.mode, member.type, member.linkname, member.mtime) for member in archive]
    assert shown == [
        ("bin", 0o755, tarfile.DIRTYPE, "", 0),
        ("bin/link", 0o755, tarfile.SYMTYPE, "tool", 0),
        ("bin/tool", 0o755, tarfile.REGTYPE, "", 0),
        ("data", 0o700, tarfile.DIRTYPE, "", 0),
    ]
