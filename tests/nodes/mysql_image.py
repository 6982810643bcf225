"""The image of MySQL, run from its own files in namespaces of its own, without a container runtime."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tarfile
from pathlib import Path
from typing import Any, cast

from dragonfly.pods.security import DATABASE_UID
from local.images.archive import provide_archive
from tests.waiting import wait_until

LIMIT_SECONDS = 30
ROOT_PASSWORD = """a'b"c\\d$e`f%g"""


def _document(archive: tarfile.TarFile, name: str) -> Any:
    stream = archive.extractfile(name)
    assert stream is not None
    return json.load(stream)


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def unpack_image(reference: str, target: Path) -> dict[str, Any]:
    """Lays an image's layers on top of each other; returns its configuration."""
    with tarfile.open(provide_archive()) as archive:
        index = _document(archive, "index.json")
        (line,) = [line for line in index["manifests"] if line["annotations"]["io.containerd.image.name"] == reference]
        manifest = _document(archive, _blob(line["digest"]))
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=archive.extractfile(_blob(layer["digest"]))) as files:
                files.extractall(target, filter="tar")
        return cast("dict[str, Any]", _document(archive, _blob(manifest["config"]["digest"]))["config"])


class Database:
    """A container of the MySQL image, without a container runtime: its mounts, its user.

    Args:
        root: the image's files.
        folder: for its volumes and its log.
        port: where it listens on loopback; without one it has no network.
    """

    def __init__(self, root: Path, folder: Path, port: int | None = None) -> None:
        self._root = root
        self._port = port
        self._mounts = {
            path: folder / name
            for name, path in {
                "data": "/var/lib/mysql",
                "run": "/run/mysqld",
                "tmp": "/tmp",
                "init": "/docker-entrypoint-initdb.d",
                "secrets": "/run/secrets",
            }.items()
        }
        for path, source in self._mounts.items():
            source.mkdir()
            os.chown(source, DATABASE_UID, DATABASE_UID)
            (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        self.data = self._mounts["/var/lib/mysql"]
        self.init = self._mounts["/docker-entrypoint-initdb.d"]
        self.secrets = self._mounts["/run/secrets"]
        self.log = folder / "log"

    def command(self, *arguments: str) -> list[str]:
        binds = "".join(f'mount --bind "{source}" "{self._root}{path}"\n' for path, source in self._mounts.items())
        script = f"""set -e
            mount --rbind /dev "{self._root}/dev"
            {binds}
            exec chroot --userspec={DATABASE_UID}:{DATABASE_UID} "{self._root}" "$@"
            """
        (self._root / "dev").mkdir(exist_ok=True)
        network = ["--net"] if self._port is None else []
        namespaces = ["unshare", "--mount", *network, "--pid", "--fork", "--kill-child"]
        return [*namespaces, "sh", "-c", script, "sh", *arguments]

    def start(self, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        listen = [] if self._port is None else [f"--port={self._port}", "--bind-address=127.0.0.1"]
        command = self.command("mysql-entrypoint", "mysqld", "--skip-name-resolve", "--host-cache-size=0", *listen)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                env={"PATH": os.environ["PATH"], **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def query(
        self, statement: str, user: str = "root", password: str = ROOT_PASSWORD
    ) -> subprocess.CompletedProcess[str]:
        command = self.command("mysql", f"--user={user}", "--batch", "--skip-column-names", f"--execute={statement}")
        environment = {"PATH": os.environ["PATH"], "MYSQL_PWD": password}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
        )

    def answer(self, statement: str) -> str:
        """Of a server that may still be starting."""
        results: list[subprocess.CompletedProcess[str]] = []

        def answered() -> bool:
            results.append(self.query(statement))
            return results[-1].returncode == 0

        wait_until(answered, "the database answers", evidence=lambda: results[-1].stderr + self.log.read_text())
        return results[-1].stdout.strip()


def stop(server: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send the server of `Database.start` a signal, and wait for its end."""
    # The server is the one process below `unshare`, and the first of its own namespace.
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), number)
    server.wait(LIMIT_SECONDS)
