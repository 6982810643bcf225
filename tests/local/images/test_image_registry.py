"""Images are pulled where that can be, and what an earlier attempt left is neither taken for an image nor kept."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from local.images.registry import pulled_archives

WANTED = ["registry.test/one:1", "registry.test/two:2"]

SKOPEO = """\
#!/bin/sh
echo "$1" >> {calls}
[ "$1" = copy ] || exit 0
case "$2" in *{refused}*) exit 1 ;; esac
archive="${{3#docker-archive:}}"
: > "${{archive%%:*}}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "images"


def _play_skopeo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str) -> Path:
    """A skopeo that has every image but one; the file that has a line for each call of it."""
    programs, calls = tmp_path / "bin", tmp_path / "calls"
    programs.mkdir()
    skopeo = programs / "skopeo"
    skopeo.write_text(SKOPEO.format(calls=calls, refused=refused))
    skopeo.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    return calls


def test_a_refusal_is_remembered_although_some_were_pulled(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = _play_skopeo(tmp_path, monkeypatch, refused="two")
    for _ in range(2):
        assert pulled_archives(WANTED, folder, Console(file=io.StringIO())) is None
        assert calls.read_text().split() == ["inspect", "copy", "copy"]
    assert len(list(folder.glob("*.tar"))) == 1


def test_a_copy_that_was_cut_off_is_swept(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _play_skopeo(tmp_path, monkeypatch, refused="none")
    folder.mkdir()
    left = folder / "0123456789abcdef.unfinished"
    left.touch()
    archives = pulled_archives(WANTED, folder, Console(file=io.StringIO()))
    assert archives is not None
    assert all(archive.exists() for archive in archives)
    assert not left.exists()


def test_without_skopeo_nothing_is_remembered_and_the_line_says_what_is_missing(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = io.StringIO()
    assert pulled_archives(WANTED, folder, Console(file=said)) is None
    assert "skopeo is missing" in said.getvalue()
    calls = _play_skopeo(tmp_path, monkeypatch, refused="none")
    assert pulled_archives(WANTED, folder, Console(file=io.StringIO())) is not None
    assert calls.read_text().split() == ["inspect", "copy", "copy"]
