"""Waiting for what a test expects to become so."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

SECONDS_TO_WAIT = 60.0
"""For something that takes a second or two when the machine is idle."""

# A question to an API server takes its processor and ours: asked more often it delays what is waited for.
_POLL_SECONDS = 0.2


def while_busy(seconds: float) -> float:
    """Return what becomes of a time that the product keeps to on an idle machine while others use the processors too.

    Args:
        seconds: on an idle machine.
    """
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def wait_until(
    true: Callable[[], object],
    what: str,
    seconds: float = SECONDS_TO_WAIT,
    evidence: Callable[[], str] | None = None,
    every: float = _POLL_SECONDS,
) -> None:
    """Ask again and again, at least once.

    Args:
        true: whether it is so.
        what: what it is that must become so.
        seconds: how long it may take.
        evidence: what to show of the thing that did not become so, such as its log.
        every: seconds between two questions; fewer where it is so for a moment only.

    Raises:
        AssertionError: it was not so in time.
    """
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() >= deadline:
            shown = f": {evidence()}" if evidence else ""
            raise AssertionError(f"{what}: not within {seconds:.0f} s{shown}")
        time.sleep(every)
