"""A lock between processes, held on a file."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class LockError(RuntimeError):
    """The lock cannot be had; the message says why."""


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
        LockError: somebody else still holds the lock after that time, or has removed its folder.
    """
    seconds = -1 if timeout_seconds is None else timeout_seconds
    # Where the file system has no such lock it fails, instead of taking a file's existence for one.
    lock = FileLock(path, fallback_to_soft=False)
    try:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            if on_wait is not None:
                on_wait()
            lock.acquire(seconds)
    except Timeout:
        raise LockError(f"{path} is still held by another process after {seconds:g} s") from None
    except FileNotFoundError:
        raise LockError(f"{path.parent} was removed by another process; run the same command again") from None
    try:
        yield
    finally:
        lock.release()
