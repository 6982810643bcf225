"""The script that gives root a password, run by a real shell against a played manager."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dragonfly.components.root_password import PUBLIC_PASSWORD, ROOT_PASSWORD_KEY, set_root_password
from tests.scripts.image_shell import TOOL_SETS, ImageShell, image_shell

LOOPBACK = "127.0.0.1"
# The played manager takes a thirtieth of a second, and the shell's programs on a busy machine longer.
PATIENCE_SECONDS = 0.6
NEW = "a-New-Password-1"
SIGN_IN, RESET = "/api/v1/users/signin", "/api/v1/users/1/reset_password"


@dataclass
class Console:
    """What a manager answers, by its routes `users/signin` and `users/:id/reset_password`."""

    password: str = PUBLIC_PASSWORD
    out_of_order: int = 0
    without_database: int = 0
    requests: list[str] = field(default_factory=list[str])

    def answer(self, path: str, body: dict[str, str]) -> int:
        self.requests.append(path)
        if self.out_of_order > 0:
            self.out_of_order -= 1
            return 503
        if self.without_database > 0:
            self.without_database -= 1
            return 401 if path == SIGN_IN else 500
        if path == SIGN_IN:
            return 200 if body == {"name": "root", "password": self.password} else 401
        assert path == RESET
        if body["old_password"] != self.password:
            return 401
        # As upstream's request types say.
        if not 8 <= len(body["new_password"]) <= 20:
            return 422
        self.password = body["new_password"]
        return 200


def _server(console: Console, port: int = 0) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["Content-Type"] == "application/json"
            # A manager whose client has closed its half of the connection gives up what it asks the database.
            time.sleep(0.03)
            gone = bool(select.select([self.connection], [], [], 0)[0])
            self.send_response(401 if gone else console.answer(self.path, body))
            self.send_header("Content-Length", "2")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: a test prints what it has to say."""

    server = ThreadingHTTPServer((LOOPBACK, port), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


@pytest.fixture
def console() -> Console:
    return Console()


@pytest.fixture
def port(console: Console) -> Iterator[int]:
    server = _server(console)
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture(params=TOOL_SETS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ImageShell]:
    with image_shell(request.param, tmp_path / "bin") as made:
        yield made


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / ROOT_PASSWORD_KEY
    file.write_text(NEW)
    return file


def _run(shell: ImageShell, port: int, password_file: Path, refusals: int = 2) -> str:
    process = shell.start(set_root_password(LOOPBACK, port, str(password_file), refusals, PATIENCE_SECONDS))
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    return out


def test_public_password_is_replaced(shell: ImageShell, console: Console, port: int, password_file: Path) -> None:
    out = _run(shell, port, password_file)
    assert console.password == NEW
    assert out == "root signs in with this stack's password\n"


def test_second_run_changes_nothing(shell: ImageShell, console: Console, port: int, password_file: Path) -> None:
    console.password = NEW
    _run(shell, port, password_file)
    assert console.requests == [SIGN_IN]


def test_password_that_somebody_has_chosen_stays(
    shell: ImageShell, console: Console, port: int, password_file: Path
) -> None:
    console.password = "chosen in the console"
    out = _run(shell, port, password_file)
    assert console.password == "chosen in the console"
    assert "it stays" in out


def test_manager_without_its_database_is_asked_again(
    shell: ImageShell, console: Console, port: int, password_file: Path
) -> None:
    # It refuses every sign-in meanwhile. Taken at its word, it would keep the public password.
    console.without_database = 10
    out = _run(shell, port, password_file, refusals=2)
    assert console.password == NEW
    assert out == "root signs in with this stack's password\n"


def test_refused_password_is_an_error_and_not_tried_for_ever(
    shell: ImageShell, console: Console, port: int, password_file: Path
) -> None:
    password_file.write_text("x" * 21)
    process = shell.start(set_root_password(LOOPBACK, port, str(password_file), 2, PATIENCE_SECONDS))
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (1, "the manager refuses the new password: HTTP status 422\n")
    assert console.password == PUBLIC_PASSWORD


@pytest.mark.parametrize("moment", range(4))
def test_database_that_comes_back_between_two_answers_is_not_taken_for_a_refusal(
    shell: ImageShell, console: Console, port: int, password_file: Path, moment: int
) -> None:
    # The stack's own password is in place: a sign-in refused for want of a database must not look like somebody's.
    console.password = NEW
    console.without_database = 2 * moment + 1
    assert _run(shell, port, password_file) == "root signs in with this stack's password\n"


def test_manager_that_is_out_of_order_is_asked_again(
    shell: ImageShell, console: Console, port: int, password_file: Path
) -> None:
    console.out_of_order = 2
    _run(shell, port, password_file)
    assert console.password == NEW


def test_manager_that_is_not_there_yet_is_waited_for(shell: ImageShell, console: Console, password_file: Path) -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((LOOPBACK, 0))
        port = holder.getsockname()[1]
        process = shell.start(set_root_password(LOOPBACK, port, str(password_file), 2, PATIENCE_SECONDS))
        assert process.stdout is not None
        assert process.stdout.readline() == f"waiting for {LOOPBACK}:{port}\n"
    server = _server(console, port)
    process.communicate(timeout=10)
    server.shutdown()
    server.server_close()
    assert console.password == NEW
