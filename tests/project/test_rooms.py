"""The rooms of the program and of what stands in for a cloud: what stands in one knows only those below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.program.recorded.recorded_program import ROOT
from tests.project.pages import DOCS, README

# From the top, where a reader begins, to the bottom.
ROOMS = {
    "dragonfly": (
        "release",
        "components",
        "gke",
        "pods",
        "instance",
        "updates",
        "console",
        "status",
        "access",
        "recovery",
        "settings",
        "lines",
        "config_files",
        "google",
        "monitoring",
        "parts",
        "scripts",
        "quantity",
    ),
    "local": (
        "__main__",
        "command_line",
        "standins",
        "cluster",
        "engine",
        "nodes",
        "images",
        "tools",
        "ledger",
        "api",
        "machine",
    ),
}
EACH_ROOM = [(house, room) for house, rooms in ROOMS.items() for room in rooms]
MOST_ENTRIES = 12
# Read one by one, each for itself.
MANY_ALIKE = {"containers"}


def _face(house: str, room: str) -> Path:
    """Return the file that says what a room answers: of a folder the first, or the one that is the room."""
    folder = ROOT / house / room
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


def _known_to(file: Path, house: str) -> set[str]:
    """Return what of a house a file imports, also what it imports late."""
    known: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{one.name}" for one in node.names]
        elif isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        known.update(name.split(".")[1] for name in names if name.startswith(f"{house}."))
    return known


@pytest.mark.parametrize("house", ROOMS)
def test_every_room_has_its_place(house: str) -> None:
    found = {path.stem for path in (ROOT / house).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert found - {"__init__"} == set(ROOMS[house])


@pytest.mark.parametrize(("house", "room"), EACH_ROOM)
def test_a_room_knows_only_those_below_it(house: str, room: str) -> None:
    below = ROOMS[house][ROOMS[house].index(room) :]
    face = _face(house, room)
    for file in face.parent.rglob("*.py") if face.name == "__init__.py" else [face]:
        assert _known_to(file, house) <= set(below), file


@pytest.mark.parametrize(
    ("house", "above"),
    [("dragonfly", ("local", "bench", "tests")), ("local", ("bench", "tests")), ("bench", ("tests",))],
)
def test_a_house_knows_nothing_of_those_that_build_on_it(house: str, above: tuple[str, ...]) -> None:
    for file in (ROOT / house).rglob("*.py"):
        assert not any(_known_to(file, other) for other in above), file


@pytest.mark.parametrize(("house", "room"), EACH_ROOM)
def test_a_room_can_be_seen_at_a_glance(house: str, room: str) -> None:
    for init in (ROOT / house / room).rglob("__init__.py"):
        entries = {path.name for path in init.parent.iterdir()} - {"__init__.py", "__pycache__"}
        assert len(entries) <= MOST_ENTRIES or init.parent.name in MANY_ALIKE, sorted(entries)
        assert ast.get_docstring(ast.parse(init.read_text()))


@pytest.mark.parametrize(("house", "page"), [("dragonfly", README), ("local", DOCS / "local-cluster.md")], ids=ROOMS)
def test_a_page_leads_through_the_rooms_with_their_own_words(house: str, page: Path) -> None:
    up = "../" * len(page.parent.relative_to(ROOT).parts)
    rows: list[str] = []
    for room in ROOMS[house]:
        face = _face(house, room)
        path = f"{house}/{room}/" if face.name == "__init__.py" else f"{house}/{room}.py"
        (says, *_) = (ast.get_docstring(ast.parse(face.read_text())) or "").splitlines()
        rows.append(f"| [`{path}`]({up}{path}) | {says} |\n")
    assert "".join(rows) in page.read_text()
