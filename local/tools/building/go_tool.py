"""Tools that are built from Go modules with `go build`.

Which release of what is built stands in the `go.mod` files under `local/go`, and nowhere else.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.machine.paths import PROJECT_FOLDER
from local.tools.building.tool import Tool, ToolchainError, version_numbers

_MODULES = PROJECT_FOLDER / "local" / "go"
# The machine may have no C compiler, and the user's own settings must not leak in.
_SETTINGS = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}


@dataclass(frozen=True, kw_only=True)
class GoTool(Tool):
    """Something that is built from one of our Go modules; `binaries` has the last element of each package's path.

    Attributes:
        folder: its module under `local/go`.
        module: the Go module whose release, in that `go.mod`, is the tool's version; empty for a program of our own,
            whose source lies beside it.
        tags: build tags.
        link_values: Go variables set when linking; `{version}` stands for the tool's version, `v1.36.3`, `{number}` for
            the same without its `v`, `{major}` and `{minor}` for parts of it.
        files: paths in the Go module of what else it needs, to lie beside the binaries, executable.
        release: what the commit in `go.mod` was released as, where the module has no versions of its own.
    """

    folder: str
    module: str
    tags: str = ""
    link_values: Sequence[str] = ()
    files: Sequence[str] = ()
    release: str = ""

    @property
    def version(self) -> str:
        """Version from `go.mod`, `v1.36.3`, or that of the release.

        Raises:
            ToolchainError: `go.mod` does not require the module.
        """
        if self.release:
            return self.release
        found = re.search(rf"^(?:require\s+|\t){re.escape(self.module)} (v\S+)", self.go_mod.read_text(), re.MULTILINE)
        if found is None:
            raise ToolchainError(f"{self.go_mod} does not require {self.module}: run `go mod tidy` there")
        return found[1]

    @property
    def title(self) -> str:
        """Name and version, for people."""
        return f"{self.name} {self.version}" if self.module else self.name

    @property
    def go_mod(self) -> Path:
        """The file that says from which releases it is built."""
        return _MODULES / self.folder / "go.mod"

    def sources(self) -> list[Path]:
        """Return the Go files that are our own."""
        return sorted(self.go_mod.parent.rglob("*.go"))

    def packages(self) -> dict[str, str]:
        """Return the Go package of each binary, from `go.mod`'s `tool` lines.

        Raises:
            ToolchainError: there is no `tool` line for a binary.
        """
        listed = re.findall(r"^(?:tool\s+|\t)([\w./-]+)$", self.go_mod.read_text(), flags=re.MULTILINE)
        by_name = {re.sub(r"/v\d+$", "", package).rpartition("/")[2]: package for package in listed}
        missing = sorted(set(self.binaries.values()) - by_name.keys())
        if missing:
            raise ToolchainError(f"{self.go_mod} has no `tool` line for {', '.join(missing)}")
        return {binary: by_name[source] for binary, source in self.binaries.items()}

    def flags(self) -> list[str]:
        """Return the flags of `go build`."""
        values: list[str] = []
        if self.link_values:
            version = self.version
            number = version.removeprefix("v")
            major, minor = number.split(".")[:2]
            named = {"version": version, "number": number, "major": major, "minor": minor}
            values = [value.format(**named) for value in self.link_values]
        linker = " ".join(["-s", "-w", *(f"-X {value}" for value in values)])
        # No debugger's tables, which `-s -w` would throw away after they were made: a twentieth of the CPU time.
        return [
            "-trimpath",
            "-gcflags=all=-dwarf=false",
            *(["-tags", self.tags] if self.tags else []),
            "-ldflags",
            linker,
        ]

    @property
    def builder(self) -> str:
        return "go build"

    @property
    def working_folder(self) -> Path:
        return self.go_mod.parent

    def depends_on(self) -> Iterable[bytes]:
        return (
            self.go_mod.read_bytes(),
            (self.working_folder / "go.sum").read_bytes(),
            json.dumps([self.flags(), dict(self.binaries), list(self.files)]).encode(),
            self._go_version().encode(),
            *(source.read_bytes() for source in self.sources()),
        )

    def command(self, folder: Path) -> list[str]:
        return [self._go_program(), "build", *self.flags(), "-o", f"{folder}/", *self.packages().values()]

    def environment(self, folder: Path) -> dict[str, str]:
        return {
            **os.environ,
            **_SETTINGS,
            # The compiler collects its garbage less often: a fifth less CPU time, a fifth more memory.
            "GOGC": "400",
            # go's temporary files go with ours, however it ends.
            "GOTMPDIR": str(folder),
        }

    def finish(self, folder: Path) -> None:
        for binary, source in self.binaries.items():
            if binary != source:
                (folder / source).rename(folder / binary)
        if not self.files:
            return
        module = self._module_folder()
        for file in self.files:
            copy = folder / Path(file).name
            shutil.copyfile(module / file, copy)
            copy.chmod(0o755)

    def _module_folder(self) -> Path:
        return Path(json.loads(self._go_output(["mod", "download", "-json", self.module]))["Dir"])

    def _go_program(self) -> str:
        program = shutil.which("go")
        if program is None:
            raise ToolchainError(
                f"{self.name} must be built, but there is no `go` on PATH. Install Go {self._least_go()} or "
                f"newer (https://go.dev/dl/ or the system's package), then run the same command again."
            )
        return program

    def _go_version(self) -> str:
        version = self._go_output(["env", "GOVERSION"])
        found, least = version_numbers(version), version_numbers(self._least_go())
        if found is not None and least is not None and found < least:
            raise ToolchainError(
                f"{self.name} must be built with Go {self._least_go()} or newer, but `go` on PATH is {version}. "
                f"Install a newer one (https://go.dev/dl/), then run the same command again."
            )
        return version

    def _least_go(self) -> str:
        found = re.search(r"^go (\S+)$", self.go_mod.read_text(), flags=re.MULTILINE)
        return found[1] if found else ""

    def _go_output(self, arguments: list[str]) -> str:
        command = [self._go_program(), *arguments]
        result = subprocess.run(
            command,
            cwd=self.working_folder,
            env={**os.environ, **_SETTINGS},
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise ToolchainError(
                f"`go {' '.join(arguments)}` failed in {self.working_folder}: {result.stderr.strip()}\n"
                f"If Go is too old, install {self._least_go()} or newer (https://go.dev/dl/)."
            )
        return result.stdout.strip()
