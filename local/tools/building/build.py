"""The building of tools, into a cache outside the repository that all checkouts share.

What is built has one folder there for each tool and everything that its content depends on.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console

from local.machine.file_lock import file_lock
from local.machine.paths import cache_folder
from local.tools.building.tool import Tool, ToolchainError
from local.tools.report import Report

_CONCURRENT_BUILDS = 2
"""Modules built at a time: more only slow each other down on a small machine."""

_LOG_TAIL_LINES = 20


def run_all(builds: list[Build]) -> None:
    """Run builds, some at a time.

    Raises:
        ToolchainError: one failed.
    """
    with ThreadPoolExecutor(_CONCURRENT_BUILDS) as executor:
        futures: list[Future[None]] = [executor.submit(build.run) for build in builds]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            # One failure or Ctrl-C ends the others too; what they compiled is kept.
            for future in futures:
                future.cancel()
            for build in builds:
                build.cancel()
            raise


class Build:
    """One tool's build, into a folder named after all that its content depends on."""

    def __init__(self, tool: Tool, report: Report | None = None) -> None:
        """Find out what the tool's content depends on; nothing is built yet.

        Args:
            tool: the tool.
            report: what a user is told; nothing is printed where it is not given.

        Raises:
            ToolchainError: as `Tool.depends_on`.
        """
        self._tool = tool
        self._report = report or Report(Console(quiet=True))
        self._cancelled = threading.Event()
        self._compiler: subprocess.Popen[bytes] | None = None
        self._cache = cache_folder()
        digest = hashlib.sha256()
        for part in tool.depends_on():
            digest.update(hashlib.sha256(part).digest())
        self._target = self._cache / f"{tool.name}-{digest.hexdigest()[:16]}"

    def done(self) -> bool:
        """Whether the cache has it: the folder appears only when complete."""
        return self._target.is_dir()

    def binaries(self) -> dict[str, Path]:
        """Return where the binaries are once it is done, by their names."""
        return {name: self._target / name for name in self._tool.binaries}

    def cancel(self) -> None:
        """End it where it runs, and keep it from running where it does not yet."""
        self._cancelled.set()
        compiler = self._compiler
        if compiler is not None and compiler.poll() is None:
            # To it and what it has started alike.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(compiler.pid, signal.SIGINT)

    def run(self) -> None:
        """Build, unless another process does so first.

        Raises:
            ToolchainError: the build failed.
        """
        tool = self._tool
        locks = self._cache / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with file_lock(locks / tool.name, on_wait=lambda: self._report.waiting(tool)):
            if self.done() or self._cancelled.is_set():
                return
            # We hold the lock: what lies here was left by a build that was interrupted.
            for leftover in self._cache.glob(f".{tool.name}-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{tool.name}-", dir=self._cache))
            try:
                with self._report.building(tool):
                    self._compile(temporary)
                    self._tool.finish(temporary)
                temporary.chmod(0o755)
                temporary.rename(self._target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def _compile(self, folder: Path) -> None:
        logs = self._cache / "logs"
        logs.mkdir(exist_ok=True)
        log = logs / f"{self._tool.name}.log"
        with log.open("wb") as output:
            self._compiler = subprocess.Popen(
                self._tool.command(folder),
                cwd=self._tool.working_folder,
                env=self._tool.environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            code = self._compiler.wait()
        if self._cancelled.is_set():
            raise ToolchainError(f"the build of {self._tool.name} was stopped")
        if code != 0:
            tail = "\n".join(f"  {line}" for line in log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])
            raise ToolchainError(
                f"building {self._tool.title} failed ({self._tool.builder} ended with {code}). "
                f"The end of its log {log}:\n{tail}\n"
                f"After mending the cause run the same command again; what was compiled is kept."
            )
