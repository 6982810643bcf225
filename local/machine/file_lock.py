"""A lock between processes, held on a file."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.1


class LockTimeoutError(RuntimeError):
    """Another process held the lock for longer than the caller was ready to wait."""


@contextmanager
def file_lock(
    path: Path, timeout_seconds: float | None = None, on_wait: Callable[[], None] | None = None
) -> Generator[None]:
    """Hold an exclusive lock on a file, which is created when missing and left in place.

    The kernel releases the lock when its holder ends, however it ends, so there is never a stale one to remove.

    Args:
        path: the lock file; its folder must exist.
        timeout_seconds: how long to wait for another holder; without it, for ever.
        on_wait: called once when somebody else holds the lock, to tell the user.

    Raises:
        LockTimeoutError: somebody else still holds the lock after `timeout_seconds`.
    """
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    with path.open("a") as file:
        waited = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waited and on_wait is not None:
                    on_wait()
                waited = True
                if deadline is not None and time.monotonic() > deadline:
                    raise LockTimeoutError(
                        f"{path} is still held by another process after {timeout_seconds:.0f} s"
                    ) from None
                time.sleep(_POLL_SECONDS)
        yield
