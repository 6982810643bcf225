"""Daemons of our own: started, watched and ended, and never anybody else's process.

A process is ours when its pid and its start time are those recorded for it, or when it carries in its environment the
mark that every daemon of this folder is started with. The first is the rule; the second finds a daemon whose starter
was killed before it could write the record. Nothing else is ever signalled: a pid alone can have gone to another
process.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import psutil

from local.machine.certificates import write_private

_MARK = "DRAGONFLY_LOCAL_DAEMON_OF"
"""Environment variable that every daemon is started with; its value is the folder it belongs to. Never exported to a
user's shell: what carries it is ended with the cluster."""

LESS_GARBAGE_COLLECTION = {"GOGC": "400"}
"""Environment of Go programs that give memory for time: an eighth of what the start of an API server takes, and a tenth
of a preview."""

_LOG_TAIL_LINES = 15
_POLL_SECONDS = 0.02
_ROUNDS = 5


class ProcessError(RuntimeError):
    """A daemon did not start, or ended although it should run; the message has the end of its log."""


@dataclass(frozen=True)
class Daemon:
    """A process to keep running.

    Attributes:
        name: names its record and its log, unique in the folder.
        command: program (absolute path) and arguments.
        environment: variables besides the few every daemon gets (`PATH`, `HOME`, the mark).
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class _Record:
    pid: int
    create_time: float
    command: tuple[str, ...]


class Processes:
    """The daemons of one folder."""

    def __init__(self, folder: Path) -> None:
        """Look after the daemons of a folder.

        Args:
            folder: where records (`processes/`) and logs (`logs/`) are kept; created at the first start.
        """
        self._folder = folder.resolve()
        self._records = self._folder / "processes"
        self._logs = self._folder / "logs"
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def log(self, name: str) -> Path:
        """Return the file to which a daemon's output goes; the run before it is in `<name>.previous.log`."""
        return self._logs / f"{name}.log"

    def start(self, daemon: Daemon) -> None:
        """Start a daemon in a session of its own, so that Ctrl-C in our terminal does not reach it.

        Args:
            daemon: what to start. None of its name may run.

        Raises:
            ProcessError: the system refuses to run the program, or the daemon runs already.
        """
        if self.alive(daemon.name):
            raise ProcessError(f"{daemon.name} runs already; its record: {self._record_file(daemon.name)}")
        self._records.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self.log(daemon.name)
        if log.exists():
            log.replace(log.with_name(f"{daemon.name}.previous.log"))
        # The caller's proxy settings, Kubernetes and Go variables would change what the daemons do.
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._folder),
            **LESS_GARBAGE_COLLECTION,
            **daemon.environment,
            _MARK: str(self._folder),
        }
        try:
            with log.open("wb") as output:
                child = subprocess.Popen(
                    list(daemon.command),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self._folder,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            raise ProcessError(f"{daemon.name} cannot be started from {daemon.command[0]}: {error.strerror}") from error
        self._children[daemon.name] = child
        try:
            record = {"pid": child.pid, "create_time": psutil.Process(child.pid).create_time()}
        except psutil.NoSuchProcess:
            raise self._ended(daemon.name) from None
        document = json.dumps({**record, "command": list(daemon.command)})
        write_private(self._record_file(daemon.name), document.encode())

    def alive(self, name: str) -> bool:
        """Whether the recorded process of that name runs: same pid, same start time, and not a zombie."""
        return self._process(name) is not None

    def pid(self, name: str) -> int | None:
        """Return the pid of a daemon that runs, or None."""
        process = self._process(name)
        return None if process is None else process.pid

    def recorded(self) -> set[str]:
        """Return the names of all daemons that were started and not ended by us."""
        return {file.stem for file in self._records.glob("*.json")}

    def command(self, name: str) -> tuple[str, ...] | None:
        """Return the command that a daemon was last started with, or None without a record."""
        record = self._load(name)
        return None if record is None else record.command

    def wait(self, ready: Callable[[], bool], what: str, needs: Iterable[str], timeout_seconds: float) -> None:
        """Wait until something is so, as long as the daemons it needs are running.

        Args:
            ready: asked every 20 ms.
            what: what is waited for, for the message: "the API server to be ready".
            needs: names of the daemons without which it can never come.
            timeout_seconds: how long at most.

        Raises:
            ProcessError: one of the daemons ended, or the time is over.
        """
        needed = list(needs)
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            for name in needed:
                if not self.alive(name):
                    raise self._ended(name)
            if time.monotonic() > deadline:
                logs = ", ".join(str(self.log(name)) for name in needed)
                raise ProcessError(f"waited {timeout_seconds:.0f} s in vain for {what}; the logs: {logs}")
            time.sleep(_POLL_SECONDS)

    def stop(self, names: Iterable[str], grace_seconds: float = 5.0) -> None:
        """End some daemons together: a request, and for those which do not follow in time, force.

        Args:
            names: names of daemons; those which do not run are passed over.
            grace_seconds: how long they may take to end by themselves.
        """
        wanted = list(names)
        found = [process for process in map(self._process, wanted) if process is not None]
        end(found, grace_seconds)
        for name in wanted:
            self._forget(name)

    def stop_all(self, grace_seconds: float = 5.0) -> None:
        """End all daemons of this folder, also those without a record.

        Args:
            grace_seconds: how long they may take to end by themselves before they are killed.
        """
        # What a daemon starts while it is being ended is found the next time round.
        for _ in range(_ROUNDS):
            marked = self._marked()
            if not marked:
                break
            end(marked, grace_seconds)
        self.stop(self.recorded(), grace_seconds)

    def survivors(self) -> list[str]:
        """Return the command lines of processes of this folder that still run, recorded or not."""
        lines: list[str] = []
        for process in self._marked():
            with contextlib.suppress(psutil.Error):
                lines.append(f"{process.pid} {' '.join(process.cmdline())}")
        return lines

    def log_tail(self, name: str) -> str:
        """Return the last lines of a daemon's log, or a remark that it is empty."""
        try:
            lines = self.log(name).read_text(errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        return "\n".join(f"  {line}" for line in lines[-_LOG_TAIL_LINES:]) or "  (it wrote nothing)"

    def _ended(self, name: str) -> ProcessError:
        child = self._children.get(name)
        code = None if child is None else child.poll()
        how = "" if code is None else f" with exit code {code}"
        return ProcessError(f"{name} ended{how}; the end of its log {self.log(name)}:\n{self.log_tail(name)}")

    def _record_file(self, name: str) -> Path:
        return self._records / f"{name}.json"

    def _load(self, name: str) -> _Record | None:
        try:
            document = cast("dict[str, object]", json.loads(self._record_file(name).read_text()))
            command = tuple(str(word) for word in cast("list[object]", document["command"]))
            return _Record(int(str(document["pid"])), float(str(document["create_time"])), command)
        except (OSError, ValueError, KeyError, TypeError):
            # A record that cannot be read proves nothing about any process.
            return None

    def _process(self, name: str) -> psutil.Process | None:
        record = self._load(name)
        if record is None:
            return None
        try:
            process = psutil.Process(record.pid)
            if process.create_time() != record.create_time or not _runs(process):
                return None
        except psutil.Error:
            return None
        return process

    def _forget(self, name: str) -> None:
        child = self._children.pop(name, None)
        if child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=1)
        self._record_file(name).unlink(missing_ok=True)

    def _marked(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(_MARK) == str(self._folder) and _runs(process):
                    found.append(process)
            except (psutil.Error, OSError):
                # Not ours: its environment cannot be read, or it has ended meanwhile.
                continue
        return found


def end(processes: list[psutil.Process], grace_seconds: float) -> None:
    """End some processes: a request, and for those which do not follow in time, force.

    Args:
        processes: what to end, whoever started it.
        grace_seconds: how long they may take to end by themselves.
    """
    # psutil compares the start time again before each signal, so a pid that was recycled meanwhile is safe.
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in _await_end(processes, grace_seconds):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _await_end(processes, grace_seconds)


def _await_end(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Return those that still run when the time is over.

    Whoever adopted one when its starter was gone may take its time to bury it.
    """
    deadline = time.monotonic() + seconds
    while (left := [process for process in processes if _runs(process)]) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return left


def _runs(process: psutil.Process) -> bool:
    """Whether a process may still do something or hold something, such as a port.

    One whose first thread has ended is called a zombie while others have not, and they share all its files.
    """
    try:
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False
