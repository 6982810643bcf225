"""Tools that are built from the Rust registry with `cargo install`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from local.machine.paths import cache_folder
from local.tools.building.tool import Tool, ToolchainError, version_numbers
from local.tools.download.downloads import Downloads
from local.tools.download.releases import Order, Release

# What the lock files of the crates ask for (`rust-version`); Debian 12 has 1.63.
_LEAST_RUST = (1, 89, 0)
# Several times as fast to build as cargo's own release profile, for tests.
_PROFILE = {
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "256",
    "CARGO_PROFILE_RELEASE_DEBUG": "0",
    "CARGO_PROFILE_RELEASE_STRIP": "symbols",
    "CARGO_PROFILE_RELEASE_PANIC": "unwind",
}


# Beside the program, wherever that is copied to.
_FLAGS = {"RUSTFLAGS": "-C link-arg=-Wl,-rpath,$ORIGIN"}


@dataclass(frozen=True)
class Library:
    """What one of the crates compiles, in C++, unless it is given it. Where it cannot be fetched, it is compiled.

    Attributes:
        crate: that one's name.
        version: of the library, with a `v`.
        release: where its project publishes it.
        variable: tells the crate the library's folder.
    """

    crate: str
    version: str
    release: Release
    variable: str

    def order(self) -> Order | None:
        """Return what to fetch, None where nothing is published for this machine."""
        return self.release.order(self.crate, lambda _: self.version)

    def fetched(self) -> Path | None:
        """Return the file, None where it was not fetched."""
        order = self.order()
        programs = order and Downloads(cache_folder(), Console(quiet=True)).fetched(order)
        return next(iter(programs.values())) if programs else None


@dataclass(frozen=True, kw_only=True)
class Crate(Tool):
    """A program of the Rust registry, with the versions of all that it uses as its own lock file has them.

    Attributes:
        release: of the crate that is called like the tool, without a `v`.
        needs: programs without which it cannot be compiled.
        library: what need not be compiled.
    """

    release: str
    needs: tuple[str, ...]
    library: Library

    @property
    def version(self) -> str:
        return f"v{self.release}"

    @property
    def builder(self) -> str:
        return "cargo install"

    @property
    def working_folder(self) -> Path:
        # A cargo configuration of whatever folder a person is in must not count.
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def libraries(self) -> list[Order]:
        order = self.library.order()
        return [] if order is None else [order]

    def depends_on(self) -> Iterable[bytes]:
        decided = [self.release, dict(self.binaries), _PROFILE, _FLAGS, self.library.version]
        return json.dumps(decided).encode(), self._rust_version().encode()

    def command(self, folder: Path) -> list[str]:
        missing = [name for name in self.needs if shutil.which(name) is None]
        if missing:
            raise ToolchainError(
                f"{self.title} must be built, but there is no {', '.join(missing)} on PATH: `make client-packages` "
                "installs what is missing, then run the same command again."
            )
        return [
            *("cargo", "install", self.name, f"--version={self.release}", "--locked", "--no-track", "--force"),
            *(f"--bin={name}" for name in self.binaries.values()),
            f"--root={folder}",
            f"--target-dir={self._compiled}",
        ]

    def environment(self, folder: Path) -> dict[str, str]:
        del folder
        # The user's own settings must not leak in.
        own = (
            "RUSTFLAGS",
            "CARGO_BUILD_",
            "CARGO_PROFILE_",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_",
            # Others of it say how to link the library, or to compile it all the same.
            f"{self.library.variable.partition('_')[0]}_",
        )
        kept = {key: value for key, value in os.environ.items() if not key.startswith(own)}
        file = self.library.fetched()
        given = {} if file is None else {self.library.variable: str(file.parent)}
        return {**kept, **_PROFILE, **_FLAGS, **given}

    def finish(self, folder: Path) -> None:
        for binary, source in self.binaries.items():
            (folder / "bin" / source).rename(folder / binary)
        (folder / "bin").rmdir()
        if (file := self.library.fetched()) is not None:
            self._check_library()
            shutil.copyfile(file, folder / file.name)
        # Some gigabytes, kept for a build that was interrupted.
        shutil.rmtree(self._compiled)

    def _check_library(self) -> None:
        """Look whether what the crate would have compiled is of that version, which it has behind its own."""
        number = self.library.version.removeprefix("v")
        name = self.library.crate.replace("-", "_")
        sources = "".join(listing.read_text() for listing in self._compiled.glob(f"release/deps/*{name}-*.d"))
        if f"+{number}/" not in sources:
            found = re.search(rf"{self.library.crate}-[^/+]+\+([^/]+)/", sources)
            raise ToolchainError(
                f"{self.title} is made for {self.library.crate} {found[1] if found else 'of an unknown version'}, not "
                f"{number}: set the version of its library in local/tools/catalog.py"
            )

    @property
    def _compiled(self) -> Path:
        # A release's own: what an interrupted build of another one left would pass for this one's.
        return cache_folder() / f"{self.name}-{self.release}.target"

    def _rust_version(self) -> str:
        least = ".".join(map(str, _LEAST_RUST[:2]))
        remedy = (
            f"Install Rust {least} or newer with rustup (https://rustup.rs); Debian's own is older. "
            "Then run the same command again."
        )
        compiler = shutil.which("rustc")
        if shutil.which("cargo") is None or compiler is None:
            raise ToolchainError(f"{self.title} must be built, but there is no `cargo` on PATH. {remedy}")
        asked = subprocess.run(
            [compiler, "--version"], cwd=self.working_folder, capture_output=True, text=True, check=False
        )
        found = version_numbers(asked.stdout)
        if found is None or found < _LEAST_RUST:
            # rustup without a toolchain fails, and tells how it came to that.
            (told, *_) = (asked.stdout or asked.stderr).strip().splitlines() or [""]
            raise ToolchainError(f"{self.title} cannot be built: `rustc --version` says `{told}`. {remedy}")
        return asked.stdout.strip()
