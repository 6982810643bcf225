"""A server on loopback that plays the projects' release pages, well and badly."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


class ReleaseServer:
    """Answers each path as told, others with 404.

    Attributes:
        url: its address.
        asked: paths it was asked for, in this order.
        over: set at its end: what keeps a client waiting waits for it.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.over = threading.Event()
        played = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                played.asked.append(self.path)
                answer = played.answers.get(self.path)
                if answer is None:
                    self.send_error(404)
                else:
                    with contextlib.suppress(ConnectionError):
                        answer(self)

            def do_CONNECT(self) -> None:
                played.asked.append(self.path)
                self.send_error(403)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: the tests' output is read."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that went away is what some tests are about."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def has(self, path: str, content: bytes) -> None:
        """Answer with a file."""
        self.answers[path] = lambda request: _send(request, content, len(content))

    def cuts_off(self, path: str, content: bytes) -> None:
        """Answer with the first half of a file, and hang up."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            _send(request, content[: len(content) // 2], len(content))
            request.connection.shutdown(socket.SHUT_RDWR)

        self.answers[path] = answer

    def hangs_up(self, path: str, content: bytes, times: int) -> None:
        """Hang up so often before any answer; then answer with a file."""
        left = [None] * times

        def answer(request: BaseHTTPRequestHandler) -> None:
            if left:
                left.pop()
                request.connection.shutdown(socket.SHUT_RDWR)
            else:
                _send(request, content, len(content))

        self.answers[path] = answer

    def stalls(self, path: str, content: bytes) -> None:
        """Answer with the first half of a file, and then with nothing."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            _send(request, content[: len(content) // 2], len(content))
            request.wfile.flush()
            self.over.wait()

        self.answers[path] = answer

    def says_nothing(self, path: str) -> None:
        """Take the question and never answer."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            self.over.wait()

        self.answers[path] = answer

    def answers_late(self, path: str, content: bytes, seconds: float) -> None:
        """Answer with a file after a while."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            self.over.wait(seconds)
            _send(request, content, len(content))

        self.answers[path] = answer

    def drips(self, path: str, content: bytes, pieces: int, seconds: float) -> None:
        """Answer with a file in pieces, with a while after each."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            step = len(content) // pieces + 1
            for begin in range(0, len(content), step):
                _send(request, content[begin : begin + step], len(content), is_first=begin == 0)
                request.wfile.flush()
                self.over.wait(seconds)

        self.answers[path] = answer

    def leads_to(self, path: str, target: str, seconds: float = 0.0) -> None:
        """Answer with another address, perhaps after a while."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            self.over.wait(seconds)
            request.send_response(302)
            request.send_header("Location", target)
            request.send_header("Content-Length", "0")
            request.end_headers()

        self.answers[path] = answer


def _send(request: BaseHTTPRequestHandler, content: bytes, length: int, *, is_first: bool = True) -> None:
    if is_first:
        request.send_response(200)
        request.send_header("Content-Length", str(length))
        request.end_headers()
    request.wfile.write(content)


@contextlib.contextmanager
def release_server(wrap: Callable[[socket.socket], socket.socket] | None = None) -> Generator[ReleaseServer]:
    """Run a server.

    Args:
        wrap: puts TLS around its socket.
    """
    played = ReleaseServer()
    if wrap is not None:
        played.server.socket = wrap(played.server.socket)
        played.url = played.url.replace("http:", "https:")
    thread = threading.Thread(target=lambda: played.server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield played
    finally:
        played.over.set()
        played.server.shutdown()
        played.server.server_close()
