"""The building of tools with `go build`, into a cache outside the repository that all checkouts share.

What is built has one folder there for each tool and everything that its content depends on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from local.machine.file_lock import file_lock
from local.machine.paths import cache_folder
from local.tools.catalog import Tool, ToolchainError, version_numbers
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
            # One failure or Ctrl-C ends the others too; what they compiled stays in Go's own cache.
            for future in futures:
                future.cancel()
            for build in builds:
                build.cancel()
            raise


class Build:
    """One tool's build, into a folder named after all that its content depends on."""

    def __init__(self, tool: Tool, report: Report) -> None:
        """Find out what the tool's content depends on; nothing is built yet.

        Raises:
            ToolchainError: Go is missing or too old, or `go.mod` does not have what is to be built.
        """
        self._tool = tool
        self._report = report
        self._cancelled = threading.Event()
        self._go: subprocess.Popen[bytes] | None = None
        self._module = tool.go_mod.parent
        self._environment = {
            **os.environ,
            # The machine may have no C compiler, and the user's own settings must not leak in.
            "CGO_ENABLED": "0",
            "GOFLAGS": "",
            "GOWORK": "off",
        }
        self._cache = cache_folder()
        digest = hashlib.sha256()
        for part in (
            (self._module / "go.mod").read_bytes(),
            (self._module / "go.sum").read_bytes(),
            json.dumps([tool.flags(), dict(tool.binaries), list(tool.scripts)]).encode(),
            self._go_version().encode(),
            *(source.read_bytes() for source in tool.sources()),
        ):
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
        go = self._go
        if go is not None and go.poll() is None:
            # To go and its compilers alike.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(go.pid, signal.SIGINT)

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
                    self._copy_scripts(temporary)
                temporary.chmod(0o755)
                temporary.rename(self._target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def _compile(self, folder: Path) -> None:
        packages = self._tool.packages()
        logs = self._cache / "logs"
        logs.mkdir(exist_ok=True)
        log = logs / f"{self._tool.name}.log"
        command = [self._go_program(), "build", *self._tool.flags(), "-o", f"{folder}/", *packages.values()]
        with log.open("wb") as output:
            self._go = subprocess.Popen(
                command,
                cwd=self._module,
                # go's temporary files go with ours, however it ends.
                env={**self._environment, "GOTMPDIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            code = self._go.wait()
        if self._cancelled.is_set():
            raise ToolchainError(f"the build of {self._tool.name} was stopped")
        if code != 0:
            tail = "\n".join(f"  {line}" for line in log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])
            raise ToolchainError(
                f"building {self._tool.title} failed (go build ended with {code}). "
                f"The end of its log {log}:\n{tail}\n"
                f"After mending the cause run the same command again; what was compiled is kept."
            )
        for binary, source in self._tool.binaries.items():
            if binary != source:
                (folder / source).rename(folder / binary)

    def _copy_scripts(self, folder: Path) -> None:
        if not self._tool.scripts:
            return
        source = self._go_output(["list", "-m", "-f", "{{.Dir}}", self._tool.module])
        for script in self._tool.scripts:
            copy = folder / Path(script).name
            shutil.copyfile(Path(source) / script, copy)
            copy.chmod(0o755)

    def _go_program(self) -> str:
        program = shutil.which("go")
        if program is None:
            raise ToolchainError(
                f"{self._tool.name} must be built, but there is no `go` on PATH. Install Go {self._least_go()} or "
                f"newer (https://go.dev/dl/ or the system's package), then run the same command again."
            )
        return program

    def _go_version(self) -> str:
        version = self._go_output(["env", "GOVERSION"])
        found, least = version_numbers(version), version_numbers(self._least_go())
        if found is not None and least is not None and found < least:
            raise ToolchainError(
                f"{self._tool.name} must be built with Go {self._least_go()} or newer, but `go` on PATH is {version}. "
                f"Install a newer one (https://go.dev/dl/), then run the same command again."
            )
        return version

    def _least_go(self) -> str:
        found = re.search(r"^go (\S+)$", (self._module / "go.mod").read_text(), flags=re.MULTILINE)
        return found[1] if found else ""

    def _go_output(self, arguments: list[str]) -> str:
        command = [self._go_program(), *arguments]
        result = subprocess.run(
            command, cwd=self._module, env=self._environment, capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            raise ToolchainError(
                f"`go {' '.join(arguments)}` failed in {self._module}: {result.stderr.strip()}\n"
                f"If Go is too old, install {self._least_go()} or newer (https://go.dev/dl/)."
            )
        return result.stdout.strip()
