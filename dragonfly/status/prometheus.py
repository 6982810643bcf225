"""A Prometheus that somebody names, asked by its HTTP API (Prometheus documentation, "HTTP API", instant queries)."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urlsplit


class PrometheusUnreadableError(RuntimeError):
    """It cannot be asked; the message says why."""


def ask(url: str, expression: str, seconds: float) -> float:
    """Return the one number that an expression finds; 0 where it finds nothing.

    Args:
        url: of the server, `http://localhost:9090`.
        expression: PromQL that finds one number at most.
        seconds: how long the answer may take.

    Raises:
        PrometheusUnreadableError: there is no answer, or none of a Prometheus.
    """
    parts = urlsplit(url)
    # Who puts a password there means it for nobody else.
    where = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if parts.scheme not in ("http", "https"):
        raise PrometheusUnreadableError(f"{where} is no address of a Prometheus, such as http://localhost:9090")
    try:
        # The scheme is one of the two.
        with urllib.request.urlopen(  # noqa: S310
            f"{url.rstrip('/')}/api/v1/query?query={quote(expression)}", timeout=seconds
        ) as answer:
            found: Any = json.load(answer)["data"]["result"]
        return float(found[0]["value"][1]) if found else 0.0
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = getattr(error, "reason", None) or error
        raise PrometheusUnreadableError(f"{where} does not answer as a Prometheus: {reason}") from None
