"""The image of MySQL, run from its own files in namespaces of its own: that it does what the well-known image does."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.nodes.mysql_image import LIMIT_SECONDS, ROOT_PASSWORD, Database, stop

USER_PASSWORD = "u\\'s er"
COUNT_FROM_INIT = "SELECT COUNT(*) FROM `my_db`.made"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts are made by root"),
    pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="images are built by mmdebstrap, not on PATH"),
    pytest.mark.skipif(shutil.which("go") is None, reason="images are built with Go, which is not on PATH"),
]


@pytest.fixture
def database(mysql_root: Path, tmp_path: Path) -> Database:
    made = Database(mysql_root, tmp_path)
    (made.init / "made.sql").write_text(
        "CREATE TABLE made (a INT);\nINSERT INTO made VALUES (1);\n"
        "CREATE USER 'watch'@'127.0.0.1' IDENTIFIED BY 'x';\nGRANT REPLICATION CLIENT ON *.* TO 'watch'@'127.0.0.1';\n"
    )
    return made


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
        stop(server, signal.SIGKILL)
    server = database.start(environment)
    try:
        assert database.answer(COUNT_FROM_INIT) == "2"
    finally:
        stop(server, signal.SIGTERM)
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
    stop(server, signal.SIGKILL)
    server = database.start(environment)
    try:
        assert database.answer(COUNT_FROM_INIT) == "1"
    finally:
        stop(server, signal.SIGKILL)
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
