"""A Prometheus that somebody names, asked by its HTTP API (Prometheus documentation, "HTTP API", instant queries)."""

from __future__ import annotations

import http.client
import json
import math
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
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        usable = False
    if not usable:
        # It may hold a password, which is repeated to nobody.
        raise PrometheusUnreadableError(
            "--prometheus takes an address such as http://localhost:9090, without user and password"
        )
    try:
        # The scheme is one of the two.
        with urllib.request.urlopen(  # noqa: S310
            f"{url.rstrip('/')}/api/v1/query?query={quote(expression)}", timeout=seconds
        ) as answer:
            found: Any = json.load(answer)["data"]["result"]
        number = float(found[0]["value"][1]) if found else 0.0
    except (OSError, ValueError, LookupError, TypeError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise PrometheusUnreadableError(f"{url} does not answer as a Prometheus: {reason}") from None
    return number if math.isfinite(number) else 0.0
