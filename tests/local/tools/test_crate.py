"""What somebody reads who cannot build a tool from the Rust registry."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Generator
from pathlib import Path

import pytest
from rich.console import Console

from local.tools.building.build import Build
from local.tools.building.crate import Crate, Library
from local.tools.building.tool import ToolchainError
from local.tools.download.downloads import Downloads
from local.tools.download.releases import Release
from tests.local.tools.release_server import ReleaseServer, release_server

LIBRARY = "liblibrary.so"


def tool(url: str = "https://127.0.0.1:1") -> Crate:
    release = Release(url, f"{url}/{{number}}.jar", "{url}.sha256", "alone", {LIBRARY: "lib/library-{arch}.so"})
    return Crate(
        name="some-tool",
        release="1.0.0",
        binaries={"some": "some"},
        minutes=1,
        needs=("a-compiler",),
        library=Library("some-sys", "v7.8.9", release, "SOME_LIB_DIR"),
    )


TOOL = tool()


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


CARGO = """
printf '%s\n' "$RUSTFLAGS" "SOME_STATIC=$SOME_STATIC" "SOME_LIB_DIR=$SOME_LIB_DIR" >&2
for argument; do
  case "$argument" in
  --root=*) root="${argument#*=}" ;;
  --target-dir=*) target="${argument#*=}" ;;
  esac
done
mkdir -p "$root/bin" "$target/release/deps"
echo program > "$root/bin/some"
echo "x: /registry/some-sys-1.2.3+7.8.9/src/lib.rs" > "$target/release/deps/libsome_sys-0a1b.d"
"""


@pytest.fixture
def site(machine: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[ReleaseServer]:
    """Where the library is published, for a machine that has a compiler and a `cargo` that compiles nothing."""
    monkeypatch.setenv("PATH", f"{machine}:/usr/bin:/bin")
    for name in ("SOME_LIB_DIR", "SOME_STATIC"):
        monkeypatch.setenv(name, "the user's own")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    _program(machine, "a-compiler")
    _program(machine, "rustc", "echo 'rustc 1.89.0'")
    _program(machine, "cargo", CARGO)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as jar:
        (order,) = tool().libraries()
        jar.writestr(order.files[0].members[LIBRARY], b"shared")
    with release_server() as server:
        server.has("/7.8.9.jar", content.getvalue())
        server.has("/7.8.9.jar.sha256", hashlib.sha256(content.getvalue()).hexdigest().encode())
        yield server


def _built(one: Crate, cache: Path) -> tuple[Path, str]:
    """Return the folder of what was built, and what `cargo` was told."""
    Downloads(cache, Console(quiet=True)).fetch(one.libraries())
    build = Build(one)
    build.run()
    return build.binaries()["some"].parent, (cache / "logs" / "some-tool.log").read_text()


def test_a_library_that_is_published_is_not_compiled_and_lies_beside_the_program(
    site: ReleaseServer, tmp_path: Path
) -> None:
    folder, told = _built(tool(site.url), tmp_path / "cache")
    assert "-rpath,$ORIGIN\nSOME_STATIC=\n" in told
    given = Path(told.partition("SOME_LIB_DIR=")[2].strip())
    assert (given / LIBRARY).read_bytes() == (folder / LIBRARY).read_bytes() == b"shared"


@pytest.mark.parametrize("path", ["/7.8.9.jar", "/7.8.9.jar.sha256"])
def test_one_that_cannot_be_had_is_compiled(site: ReleaseServer, tmp_path: Path, path: str) -> None:
    site.answers.pop(path)
    folder, told = _built(tool(site.url), tmp_path / "cache")
    assert told.endswith("SOME_LIB_DIR=\n")
    assert not (folder / LIBRARY).exists()


def test_one_of_another_version_than_the_crate_has_is_not_taken(
    site: ReleaseServer, machine: Path, tmp_path: Path
) -> None:
    _program(machine, "cargo", CARGO.replace("+7.8.9", "+7.9.0"))
    told = r"^some-tool v1\.0\.0 is made for some-sys 7\.9\.0, not 7\.8\.9: set the version of its library in local/"
    with pytest.raises(ToolchainError, match=told):
        _built(tool(site.url), tmp_path / "cache")
