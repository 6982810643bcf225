"""What the program declares is what the tracked files say, line by line."""

from __future__ import annotations

import difflib

import pytest

from tests.program.recorded.declarations import FOLDER, STACKS, declared, file_of

SHOWN_LINES = 60


@pytest.mark.parametrize("stack", STACKS)
def test_a_change_of_what_is_declared_is_wanted(stack: str) -> None:
    before, after = file_of(stack).read_text().splitlines(), declared(STACKS[stack]()).splitlines()
    if before != after:
        changes = list(difflib.unified_diff(before, after, file_of(stack).name, "the program", n=2, lineterm=""))
        pytest.fail("\n".join([*changes[:SHOWN_LINES], "Wanted? Then run `make declarations`."]), pytrace=False)


def test_no_file_is_left_of_a_stack_that_is_looked_at_no_more() -> None:
    assert sorted(file.stem for file in FOLDER.iterdir()) == sorted(STACKS)
