"""Debian's docker-registry in the nodes' network, with TLS, and a way to put images into it."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import shutil
import socket
import ssl
import subprocess
import tarfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from local.cluster.control_plane import Cluster
from local.machine.certificates import Authority, Certificate
from local.nodes.containers import namespaces
from local.nodes.containers.addresses import CONTROL_PLANE
from tests.nodes.node_images import NODES, on_node
from tests.waiting import wait_until

READY_SECONDS = 20
LOOPBACK = "127.0.0.1"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_EXTRA = "extra"
_TRUSTED = "/etc/ssl/certs"


@dataclass(frozen=True)
class LocalRegistry:
    """A registry that runs.

    Attributes:
        port: on the control plane's address for the nodes, and on loopback for us.
        authority: PEM file of the authority that signed its certificate.
        folder: with its files.
    """

    port: int
    authority: Path
    folder: Path

    @property
    def name(self) -> str:
        """In image references."""
        return f"{CONTROL_PLANE}:{self.port}"

    def push(self, repository: str, archive: Path, extra: bytes) -> str:
        """Put an image into it, by the API of the OCI distribution specification.

        Args:
            repository: its name in the registry; the tag is `1`.
            archive: the image's only layer and its config, as `docker save` writes them.
            extra: content of a file that it gets besides, in a layer of its own.

        Returns:
            The image's reference.
        """
        with tarfile.open(archive) as file:
            config = cast("dict[str, Any]", json.loads(_member(file, "config.json")))
            layers = [_member(file, "layer.tar"), _layer(_EXTRA, extra)]
        config["rootfs"]["diff_ids"] = [_digest(layer) for layer in layers]
        document = json.dumps(config).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._blob(repository, _CONFIG, document),
            "layers": [self._blob(repository, _LAYER, layer) for layer in layers],
        }
        self._ask("PUT", f"/v2/{repository}/manifests/1", json.dumps(manifest).encode(), _MANIFEST)
        return f"{self.name}/{repository}:1"

    def manifest_digest(self, repository: str) -> str:
        """Return the digest of an image's manifest."""
        headers = self._answer("HEAD", f"/v2/{repository}/manifests/1", accept=_MANIFEST)[1]
        return str(headers["Docker-Content-Digest"])

    @property
    def log(self) -> Path:
        """File with its requests."""
        return self.folder / "registry.log"

    def _blob(self, repository: str, media_type: str, content: bytes) -> dict[str, Any]:
        place = self._ask("POST", f"/v2/{repository}/blobs/uploads/").partition(str(self.port))[2]
        digest = _digest(content)
        self._ask("PUT", f"{place}&digest={digest}", content, "application/octet-stream")
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def _ask(self, method: str, path: str, body: bytes = b"", content_type: str = "") -> str:
        """Send a request; returns the place that the answer names."""
        status, headers, said = self._answer(method, path, body, content_type)
        assert status < 300, f"{method} {path}: {status} {said!r}"
        return headers["Location"] or ""

    def _answer(
        self, method: str, path: str, body: bytes = b"", content_type: str = "", accept: str = "*/*"
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        context = ssl.create_default_context(cafile=str(self.authority))
        connection = http.client.HTTPSConnection(LOOPBACK, self.port, timeout=READY_SECONDS, context=context)
        types = {"Accept": accept, **({"Content-Type": content_type} if content_type else {})}
        connection.request(method, path, body, types)
        response = connection.getresponse()
        said = response.read()
        connection.close()
        return response.status, response.headers, said

    def status(self) -> int | None:
        """What it says to somebody who wants nothing of it; None while it does not answer."""
        try:
            return self._answer("GET", "/v2/")[0]
        except (OSError, http.client.HTTPException):
            return None


@contextmanager
def trusted_registry(cluster: Cluster, folder: Path) -> Generator[LocalRegistry]:
    """Run a registry that the nodes' containerd trusts, as those on the Internet.

    Args:
        cluster: the cluster.
        folder: for its files.
    """
    trusted = folder / "trusted"
    trusted.mkdir(exist_ok=True)
    with local_registry(cluster, folder) as running:
        shutil.copy(running.authority, trusted / "registry.crt")
        for node in NODES:
            on_node(cluster, node, "mount", "--bind", str(trusted), _TRUSTED)
        try:
            yield running
        finally:
            for node in NODES:
                on_node(cluster, node, "umount", _TRUSTED)


@contextmanager
def local_registry(
    cluster: Cluster, folder: Path, door: LocalRegistry | None = None, auth: Mapping[str, Any] | None = None
) -> Generator[LocalRegistry]:
    """Run a registry in the control plane's network, which is all that the nodes reach.

    Args:
        cluster: the cluster.
        folder: for its files.
        door: an open one with the same images and the same authority, by which they come in.
        auth: whom it lets in (Distribution documentation, "Configuring a registry"); everybody without it.
    """
    holder = network_holder(cluster)
    port = free_port()
    shared = door.folder if door else folder
    server = registry_certificate(shared)
    registry = LocalRegistry(port, registry_authority(shared).certificate, folder)
    command = registry_command(folder, f"0.0.0.0:{port}", server, shared, auth)
    # It is pushed to through the forwarder, whose connections come to loopback.
    forwarder = namespaces.forwarder("registry-forwarder", namespaces.network_file(holder), [port])
    with running(registry.log, namespaces.in_network(holder, command), forwarder.command):
        good = 401 if auth else 200
        wait_until(lambda: registry.status() == good, "the registry answers", READY_SECONDS, registry.log.read_text)
        yield registry


def registry_authority(folder: Path) -> Authority:
    """Return the authority that signs for the registries of a folder."""
    return Authority(folder / "certificates", "registry-authority")


def registry_certificate(folder: Path) -> Certificate:
    """Return the certificate of what runs beside the control plane, and is reached by loopback too."""
    return registry_authority(folder).server("registry", [CONTROL_PLANE, LOOPBACK])


@contextmanager
def running(log: Path, *commands: Sequence[str]) -> Generator[None]:
    """Run programs, which write to a file."""
    with log.open("wb") as file:
        started = [
            subprocess.Popen(each, env=namespaces.ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
            for each in commands
        ]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def network_holder(cluster: Cluster) -> int:
    """Return the process that holds the control plane's network."""
    return next(int(line.split()[0]) for line in cluster.processes() if line.endswith("sleep infinity"))


def registry_command(
    folder: Path,
    address: str,
    certificate: Certificate | None = None,
    shared: Path | None = None,
    auth: Mapping[str, Any] | None = None,
) -> list[str]:
    """Write a registry's configuration.

    Args:
        folder: for its files.
        address: where it listens.
        certificate: its own; without one it speaks plain HTTP.
        shared: folder of another with the same images.
        auth: whom it lets in; everybody without it.

    Returns:
        The command that runs it.
    """
    http: dict[str, object] = {"addr": address}
    if certificate:
        http["tls"] = {"certificate": str(certificate.certificate), "key": str(certificate.key)}
    config = folder / "registry.yml"
    storage = {"filesystem": {"rootdirectory": str((shared or folder) / "storage")}}
    document = {"version": 0.1, "storage": storage, "http": http, **({"auth": dict(auth)} if auth else {})}
    config.write_text(yaml.safe_dump(document))
    return ["docker-registry", "serve", str(config)]


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        return cast("int", found.getsockname()[1])


def extra_layer(content: bytes) -> str:
    """Return the digest of the layer that an image gets for an extra file with that content."""
    return _digest(_layer(_EXTRA, content))


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    assert stream is not None
    return stream.read()


def _layer(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        layer.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
