"""The console's command: what it passes on to the manager, and what it says where there is none."""

from __future__ import annotations

import http.client
import socket
import socketserver
import threading
import urllib.request
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from dragonfly import console
from dragonfly.access.objects import NoClusterError
from dragonfly.access.port_forward import PodUnreachableError
from tests.program.played.played_api_server import NAMESPACE, ApiServer
from tests.program.played.played_pulumi import PlayedPulumi

MANAGER = {"metadata": {"name": "m"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}


class Manager(BaseHTTPRequestHandler):
    """Answers with what it was sent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        del format, args


@contextmanager
def running(server: socketserver.TCPServer) -> Generator[int]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with server:
        try:
            yield cast("tuple[str, int]", server.server_address)[1]
        finally:
            server.shutdown()


@pytest.fixture
def manager() -> Iterator[int]:
    """Port of a manager."""
    with running(HTTPServer(("127.0.0.1", 0), Manager)) as port:
        yield port


def test_what_is_sent_comes_back_whole_from_the_manager_that_runs_now(manager: int) -> None:
    ways: list[int] = []

    @contextmanager
    def way() -> Generator[socket.socket]:
        ways.append(manager)
        with socket.create_connection(("127.0.0.1", manager)) as opened:
            yield opened

    sent = b"x" * 300_000
    with running(console.serve(0, way, pytest.fail)) as port:
        for _ in range(2):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", data=sent, timeout=10) as answer:
                assert answer.read() == sent
    assert len(ways) == 2


def test_of_a_manager_that_is_gone_the_reason_is_told_and_the_next_connection_is_tried(manager: int) -> None:
    told: list[str] = []
    gone = [True]

    @contextmanager
    def way() -> Generator[socket.socket]:
        if gone.pop():
            raise NoClusterError("no pod runs")
        with socket.create_connection(("127.0.0.1", manager)) as opened:
            yield opened

    with running(console.serve(0, way, told.append)) as port:
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", data=b"x", timeout=10)
        gone.append(False)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", data=b"x", timeout=10) as answer:
            assert answer.read() == b"x"
    assert told == ["no pod runs"]


def test_where_no_manager_runs_that_is_said_at_once(
    api: ApiServer, cli: PlayedPulumi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.lists(f"{NAMESPACE}/pods")
    assert console.main(["--stack", "prod", "--no-browser"]) == 1
    assert capsys.readouterr().err == (
        "no pod of dragonfly-1-manager is Ready; to see why: .venv/bin/python -m dragonfly.status --stack prod\n"
    )


def test_a_port_that_is_taken_is_named_with_what_to_do(
    api: ApiServer, cli: PlayedPulumi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def opened(*_: Any) -> Generator[socket.socket]:
        with socket.socket() as way:
            yield way

    api.lists(f"{NAMESPACE}/pods", MANAGER)
    monkeypatch.setattr(console, "forwarded", opened)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert console.main(["--stack", "prod", "--no-browser", "--port", str(port)]) == 1
    assert f"port {port} cannot be had (Address already in use); --port names another" in capsys.readouterr().err


def test_a_credential_that_no_longer_does_is_asked_for_anew(
    api: ApiServer, cli: PlayedPulumi, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[Any] = []
    real = console.connect

    def connect(*arguments: Any) -> Any:
        connected.append(real(*arguments))
        return connected[-1]

    @contextmanager
    def opened(client: Any, *_: Any) -> Generator[socket.socket]:
        if len(connected) == 1 and outdated:
            raise PodUnreachableError("401")
        with socket.socket() as way:
            yield way

    outdated: list[bool] = []
    monkeypatch.setattr(console, "connect", connect)
    monkeypatch.setattr(console, "forwarded", opened)
    api.lists(f"{NAMESPACE}/pods", MANAGER)
    way = console.ManagerWay(console.read_stack("prod", "pulumi", Path())).open
    for _ in range(2):
        with way():
            pass
    assert len(connected) == 1
    outdated.append(True)
    with way():
        pass
    assert len(connected) == 2
