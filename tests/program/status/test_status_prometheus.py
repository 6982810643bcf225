"""A Prometheus that the status asks: what it answers, and what is said of one that does not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from dragonfly.status.prometheus import PrometheusUnreadableError, ask


class Answer(BaseHTTPRequestHandler):
    """Answers as it is told, with what it was asked."""

    answer: Any = None
    asked = ""

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        type(self).asked = parse_qs(path.query)["query"][0]
        self.send_response(200 if path.path == "/api/v1/query" else 404)
        self.end_headers()
        self.wfile.write(json.dumps(self.answer).encode())

    def log_message(self, format: str, *args: Any) -> None:
        del format, args


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def found(*values: str) -> dict[str, Any]:
    return {"status": "success", "data": {"result": [{"metric": {}, "value": [1, value]} for value in values]}}


@pytest.mark.parametrize(("answer", "number"), [(found("3e9"), 3e9), (found(), 0.0)])
def test_the_number_that_it_finds(url: str, answer: Any, number: float) -> None:
    Answer.answer = answer
    assert ask(f"{url}/", 'sum(up{job="a"})', 5) == number
    assert Answer.asked == 'sum(up{job="a"})'


def test_what_does_not_answer_as_one_is_named(url: str) -> None:
    Answer.answer = {"page": "another"}
    with pytest.raises(PrometheusUnreadableError, match=rf"^{url} does not answer as a Prometheus: "):
        ask(url, "up", 5)
    with pytest.raises(PrometheusUnreadableError, match=r"^http://127\.0\.0\.1:1 does not answer.*refused"):
        ask("http://127.0.0.1:1", "up", 5)
    with pytest.raises(PrometheusUnreadableError, match="as a Prometheus: Not Found"):
        ask(f"{url}/elsewhere", "up", 5)
    with pytest.raises(PrometheusUnreadableError, match="does not answer as a Prometheus"):
        ask("http://h:abc", "up", 5)


@pytest.mark.parametrize(
    "url", ["http://me:secret@h:1", "http://me:secret@h", "file:///etc/passwd", "h:1", "http://[x"]
)
def test_what_is_no_address_is_told_without_it(url: str) -> None:
    with pytest.raises(PrometheusUnreadableError, match="takes an address such as http://localhost:9090") as told:
        ask(url, "up", 5)
    assert url not in str(told.value)


def test_what_is_no_number_counts_for_nothing(url: str) -> None:
    Answer.answer = found("NaN")
    assert ask(url, "0 / 0", 5) == 0.0
