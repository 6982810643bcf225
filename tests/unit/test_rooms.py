"""The rooms of the program: what stands in one knows only those below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.unit.recorded_program import ROOT

PROGRAM = ROOT / "dragonfly"
# From the top, where a reader begins, to the bottom.
ROOMS = (
    "release",
    "components",
    "gke",
    "pods",
    "instance",
    "updates",
    "status",
    "access",
    "recovery",
    "settings",
    "config_files",
    "google",
    "parts",
    "scripts",
    "quantity",
)
MOST_ENTRIES = 12


def _rooms_known_to(file: Path) -> set[str]:
    """Return what of the program a file imports, also what it imports late."""
    known: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{one.name}" for one in node.names]
        elif isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        known.update(name.split(".")[1] for name in names if name.startswith("dragonfly."))
    return known


def test_every_room_has_its_place() -> None:
    found = {path.stem for path in PROGRAM.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert found - {"__init__"} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_knows_only_those_below_it(room: str) -> None:
    below = ROOMS[ROOMS.index(room) :]
    files = [PROGRAM / f"{room}.py"] if (PROGRAM / f"{room}.py").exists() else list((PROGRAM / room).rglob("*.py"))
    for file in files:
        assert _rooms_known_to(file) <= set(below), file


@pytest.mark.parametrize("room", [room for room in ROOMS if (PROGRAM / room).is_dir()])
def test_a_room_can_be_seen_at_a_glance(room: str) -> None:
    files = sorted((PROGRAM / room).iterdir())
    entries = [path.name for path in files if path.name not in ("__init__.py", "__pycache__")]
    assert 0 < len(entries) <= MOST_ENTRIES


def test_the_readme_leads_through_the_rooms_with_their_own_words() -> None:
    rows: list[str] = []
    for room in ROOMS:
        folder = PROGRAM / room
        path = f"dragonfly/{room}/" if folder.is_dir() else f"dragonfly/{room}.py"
        file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
        (says, *_) = (ast.get_docstring(ast.parse(file.read_text())) or "").splitlines()
        rows.append(f"| [`{path}`]({path}) | {says} |\n")
    assert "".join(rows) in (ROOT / "README.md").read_text()
