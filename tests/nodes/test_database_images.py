"""The image of MySQL, run from its own files in namespaces of its own: that it does what the well-known image does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any, cast

import pytest

from dragonfly.images import Image
from dragonfly.pod_security import DATABASE_UID
from local.images.archive import provide_archive
from local.images.catalog import default_references
from tests.waiting import wait_until

LIMIT_SECONDS = 30
ROOT_PASSWORD = """a'b"c\\d$e`f%g"""
USER_PASSWORD = "u\\'s er"
COUNT_FROM_INIT = "SELECT COUNT(*) FROM `my_db`.made"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts are made by root"),
    pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="images are built by mmdebstrap, not on PATH"),
    pytest.mark.skipif(shutil.which("go") is None, reason="images are built with Go, which is not on PATH"),
]


def _document(archive: tarfile.TarFile, name: str) -> Any:
    stream = archive.extractfile(name)
    assert stream is not None
    return json.load(stream)


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _unpack(reference: str, target: Path) -> dict[str, Any]:
    """Lays an image's layers on top of each other; returns its configuration."""
    with tarfile.open(provide_archive()) as archive:
        index = _document(archive, "index.json")
        (line,) = [line for line in index["manifests"] if line["annotations"]["io.containerd.image.name"] == reference]
        manifest = _document(archive, _blob(line["digest"]))
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=archive.extractfile(_blob(layer["digest"]))) as files:
                files.extractall(target, filter="tar")
        return cast("dict[str, Any]", _document(archive, _blob(manifest["config"]["digest"]))["config"])


@pytest.fixture(scope="session")
def mysql_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mysql-image")
    # pytest's folders are for their owner alone, and this one is the server's `/`.
    root.chmod(0o755)
    config = _unpack(default_references().reference(Image.MYSQL), root)
    assert config["Entrypoint"] == ["mysql-entrypoint"]
    return root


class Database:
    """A container of the MySQL image, without a container runtime: its mounts, its user, no network."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
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
        namespaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]
        return [*namespaces, "sh", "-c", script, "sh", *arguments]

    def start(self, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        command = self.command("mysql-entrypoint", "mysqld", "--skip-name-resolve", "--host-cache-size=0")
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
        results = [self.query(statement)]

        def answered() -> bool:
            results.append(self.query(statement))
            return results[-1].returncode == 0

        wait_until(answered, "the database answers", evidence=lambda: results[-1].stderr + self.log.read_text())
        return results[-1].stdout.strip()


@pytest.fixture
def database(mysql_root: Path, tmp_path: Path) -> Database:
    made = Database(mysql_root, tmp_path)
    (made.init / "made.sql").write_text(
        "CREATE TABLE made (a INT);\nINSERT INTO made VALUES (1);\n"
        "CREATE USER 'watch'@'127.0.0.1' IDENTIFIED BY 'x';\nGRANT REPLICATION CLIENT ON *.* TO 'watch'@'127.0.0.1';\n"
    )
    return made


def _stop(server: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # The server is the one process below `unshare`, and the first of its own namespace.
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), number)
    server.wait(LIMIT_SECONDS)


def _environment(database: Database) -> dict[str, str]:
    secrets = {
        "MYSQL_ROOT_PASSWORD": ROOT_PASSWORD,
        "MYSQL_DATABASE": "my_db",
        "MYSQL_USER": "me",
        "MYSQL_PASSWORD": USER_PASSWORD,
    }
    for name, value in secrets.items():
        (database.secrets / name).write_text(value)
    return {f"{name}_FILE": f"/run/secrets/{name}" for name in secrets}


def test_first_start_makes_users_and_database_and_later_ones_keep_them(database: Database) -> None:
    environment = _environment(database)
    server = database.start(environment)
    try:
        assert database.answer(COUNT_FROM_INIT) == "1"
        assert database.answer("SELECT host FROM mysql.user WHERE user = 'root' ORDER BY host") == "%\nlocalhost"
        assert database.answer("SELECT COUNT(*) FROM mysql.user WHERE user = ''") == "0"
        assert "SLAVE MONITOR" in database.answer("SHOW GRANTS FOR 'watch'@'127.0.0.1'")
        assert database.query("INSERT INTO my_db.made VALUES (2)", "me", USER_PASSWORD).returncode == 0
        assert database.query("SELECT * FROM mysql.user", "me", USER_PASSWORD).returncode != 0
        assert "Access denied" in database.query("SELECT 1", password="wrong").stderr
        assert "Access denied" in database.query("SELECT 1", password="").stderr
    finally:
        _stop(server, signal.SIGKILL)
    server = database.start(environment)
    try:
        assert database.answer(COUNT_FROM_INIT) == "2"
    finally:
        _stop(server, signal.SIGTERM)
    assert database.log.read_text().count("running /docker-entrypoint-initdb.d/made.sql") == 1
    assert "Shutdown complete" in database.log.read_text()


@pytest.mark.parametrize("mark", [".new/ibdata1", ".new/mysql", ".complete", "mysql"])
def test_first_start_can_be_killed_at_any_moment(database: Database, mark: str) -> None:
    environment = _environment(database)
    server = database.start(environment)
    deadline = time.monotonic() + LIMIT_SECONDS
    # A short-lived mark may be missed: then the next one is there.
    while not (database.data / mark).exists() and not (database.data / "mysql").exists():
        assert server.poll() is None, database.log.read_text()
        assert time.monotonic() < deadline
    _stop(server, signal.SIGKILL)
    server = database.start(environment)
    try:
        assert database.answer(COUNT_FROM_INIT) == "1"
    finally:
        _stop(server, signal.SIGKILL)
    assert not (database.data / ".new").exists()
    assert not (database.data / ".complete").exists()


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({}, "MYSQL_ROOT_PASSWORD or MYSQL_ROOT_PASSWORD_FILE must be set"),
        ({"MYSQL_ROOT_PASSWORD": "a", "MYSQL_ROOT_PASSWORD_FILE": "/b"}, "are both set"),
        ({"MYSQL_ROOT_PASSWORD_FILE": "/none"}, "cannot read /none"),
        ({"MYSQL_ROOT_PASSWORD": "a", "MYSQL_USER": "me"}, "neither MYSQL_PASSWORD nor MYSQL_PASSWORD_FILE"),
    ],
)
def test_first_start_says_what_is_missing(database: Database, environment: dict[str, str], reason: str) -> None:
    assert database.start(environment).wait(LIMIT_SECONDS) == 1
    assert reason in database.log.read_text()
    assert list(database.data.iterdir()) == []


def test_first_start_ends_with_the_fault_of_an_init_file(database: Database) -> None:
    (database.init / "wrong.sql").write_text("SELEC 1;\n")
    assert database.start(_environment(database)).wait(LIMIT_SECONDS) == 1
    assert "near 'SELEC 1;'" in database.log.read_text()
    assert not (database.data / "mysql").exists()
