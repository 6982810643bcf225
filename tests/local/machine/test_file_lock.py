"""A lock on a file: who waits is told, and nothing of a holder that was killed stays."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.machine.file_lock import LockError, file_lock
from tests.waiting import wait_until

HOLD = """
import sys, time
from pathlib import Path
from local.machine.file_lock import file_lock
with file_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def held(lock: Path) -> Generator[subprocess.Popen[str]]:
    """Another process holds it."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def test_who_waits_in_vain_is_told_once_and_then_how_long(tmp_path: Path) -> None:
    lock, told = tmp_path / "lock", list[str]()
    with (
        held(lock),
        pytest.raises(LockError, match=rf"^{lock} is still held by another process after 0.3 s$"),
        file_lock(lock, 0.3, lambda: told.append("waiting")),
    ):
        pass
    assert told == ["waiting"]


def test_a_holder_that_is_killed_leaves_nothing_to_remove(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with held(lock) as holder:
        threading.Timer(0.2, holder.kill).start()
        with file_lock(lock, 30):
            assert holder.poll() is not None


def test_two_threads_keep_each_other_out(tmp_path: Path) -> None:
    lock, waiting = tmp_path / "lock", threading.Event()
    entered: list[str] = []

    def second() -> None:
        with file_lock(lock, on_wait=waiting.set):
            entered.append("second")

    thread = threading.Thread(target=second)
    with file_lock(lock):
        thread.start()
        assert waiting.wait(30)
        entered.append("first")
    thread.join(30)
    assert entered == ["first", "second"]


def test_who_waits_for_what_is_removed_is_told(tmp_path: Path) -> None:
    folder, found = tmp_path / "cluster", list[str]()
    folder.mkdir()
    waiting = threading.Event()

    def wait() -> None:
        with pytest.raises(LockError) as error, file_lock(folder / "lock", 30, waiting.set):
            pass
        found.append(str(error.value))

    thread = threading.Thread(target=wait)
    with held(folder / "lock") as holder:
        thread.start()
        assert waiting.wait(30)
        # By then it asks again and again; before, it would make the folder anew.
        time.sleep(1)
        shutil.rmtree(folder)
        holder.kill()
        wait_until(lambda: bool(found), "the waiting one gives up")
    assert found == [f"{folder} was removed by another process; run the same command again"]
