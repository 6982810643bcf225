"""What somebody reads who cannot build a tool from the Rust registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.tools.building.build import Build
from local.tools.building.crate import Crate
from local.tools.building.tool import ToolchainError

TOOL = Crate(name="some-tool", release="1.0.0", binaries={"some": "some"}, minutes=1, needs=("a-compiler",))


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that alone is on PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("DRAGONFLY_LOCAL_CACHE", str(tmp_path / "cache"))
    return programs


def _program(folder: Path, name: str, *lines: str) -> None:
    script = folder / name
    script.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    script.chmod(0o755)


def _refusal() -> str:
    with pytest.raises(ToolchainError) as refusal:
        Build(TOOL).done()
    return str(refusal.value)


def test_no_rust_at_all() -> None:
    assert "there is no `cargo` on PATH. Install Rust 1.89 or newer with rustup" in _refusal()


def test_a_rust_that_is_too_old(machine: Path) -> None:
    _program(machine, "cargo")
    _program(machine, "rustc", "echo 'rustc 1.63.0 (Debian)'")
    assert "`rustc --version` says `rustc 1.63.0 (Debian)`. Install Rust 1.89 or newer" in _refusal()


def test_rustup_without_a_toolchain_tells_its_reason_in_one_line(machine: Path) -> None:
    _program(machine, "cargo")
    _program(machine, "rustc", "echo 'error: no default is configured' >&2", "echo 'Stack backtrace:' >&2", "exit 1")
    assert "says `error: no default is configured`. Install" in _refusal()


def test_a_compiler_that_is_missing(machine: Path) -> None:
    _program(machine, "cargo")
    _program(machine, "rustc", "echo 'rustc 1.89.0'")
    assert not Build(TOOL).done()
    with pytest.raises(ToolchainError, match=r"no a-compiler on PATH: `make client-packages` installs"):
        TOOL.command(machine)
