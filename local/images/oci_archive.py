"""Writes images as one OCI archive (the Image Layout of the OCI image specification), which containerd imports."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.images.layer import Layer

_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_PLATFORM = {"os": "linux", "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine())}

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# So that a rebuilt image with the same content has the same digest.
_CREATED = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class OciImage:
    """An image under its full name.

    Attributes:
        reference: registry, repository and tag.
        layers: from the bottom.
        entrypoint: what a container starts.
        command: its arguments, unless the container gives others.
        user: whom it runs as, unless the container says otherwise.
        folder: its working directory.
        volumes: folders that outlive a container of it.
        labels: what it says of itself.
    """

    reference: str
    layers: Sequence[Layer]
    entrypoint: Sequence[str]
    command: Sequence[str] = ()
    user: str = ""
    folder: str = "/"
    volumes: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def size(self) -> int:
        """Bytes of all its layers."""
        return sum(layer.size for layer in self.layers)

    def config(self) -> dict[str, Any]:
        """Its configuration document."""
        return {
            "created": _CREATED,
            **_PLATFORM,
            "config": {
                "Env": [f"PATH={_PATH}"],
                "Entrypoint": list(self.entrypoint),
                "Cmd": list(self.command),
                "User": self.user,
                "WorkingDir": self.folder,
                "Volumes": {volume: {} for volume in self.volumes},
                "Labels": dict(self.labels),
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in self.layers]},
        }


def write_archive(file: Path, images: Sequence[OciImage]) -> None:
    """Write an archive in which every layer stands once.

    Args:
        file: where to.
        images: each with a name of its own.
    """
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive:
        writer = _Writer(archive)
        manifests = [writer.image(image) for image in images]
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": manifests}
        writer.file("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        writer.file("index.json", _json(index))


class _Writer:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._blobs: set[str] = set()

    def image(self, image: OciImage) -> dict[str, Any]:
        """Add an image; return its line of the index."""
        layers = [self._layer(layer) for layer in image.layers]
        config = self._document(_CONFIG, image.config())
        manifest = self._document(
            _MANIFEST, {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": layers}
        )
        return {
            **manifest,
            "platform": _PLATFORM,
            # containerd's own annotation, by which it names what it imports, and the specification's.
            "annotations": {
                "io.containerd.image.name": image.reference,
                "org.opencontainers.image.ref.name": image.reference.rpartition(":")[2],
            },
        }

    def file(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.mode = 0o644
        member.size = len(content)
        self._archive.addfile(member, io.BytesIO(content))

    def _document(self, media_type: str, document: dict[str, Any]) -> dict[str, Any]:
        content = _json(document)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if digest not in self._blobs:
            self._blobs.add(digest)
            self.file(_blob(digest), content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def _layer(self, layer: Layer) -> dict[str, Any]:
        if layer.digest not in self._blobs:
            self._blobs.add(layer.digest)
            member = tarfile.TarInfo(_blob(layer.digest))
            member.mode = 0o644
            member.size = layer.size
            with layer.file.open("rb") as content:
                self._archive.addfile(member, content)
        return {"mediaType": _LAYER, "digest": layer.digest, "size": layer.size}


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
