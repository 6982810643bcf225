"""Where the packages of the images' Debian come from, on machines of other releases too."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.images.debian_root import DebianRootError, apt_sources

OLDER = "deb http://mirror.test/debian bookworm main\n"
NEWER = "Types: deb\nURIs: http://mirror.test/debian\nSuites: trixie\nComponents: main\n"


@pytest.fixture
def apt(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(NEWER)
    (tmp_path / "sources.list.d" / "debian.sources.save").write_text(OLDER)
    return tmp_path


def test_the_machines_own_source_of_the_release_is_taken(apt: Path) -> None:
    (apt / "sources.list").write_text(f"# deb-src\n{OLDER}")
    assert apt_sources(apt, apt / "keyring") == [str(apt / "sources.list")]


def test_another_release_takes_debians_own_source_verified(apt: Path) -> None:
    keyring = apt / "keyring"
    keyring.touch()
    (apt / "sources.list").write_text(f"# {OLDER}")
    assert apt_sources(apt, keyring) == [f"deb [signed-by={keyring}] http://deb.debian.org/debian bookworm main"]


def test_what_cannot_be_verified_is_not_fetched(apt: Path) -> None:
    with pytest.raises(DebianRootError, match=r"(?s)bookworm.*keyring.*make node-packages"):
        apt_sources(apt, apt / "keyring")
