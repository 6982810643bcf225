"""The page on network policies shows who reaches what."""

from __future__ import annotations

from tests.program.recorded.reach_table import CONFIG, MARK, PAGE, declared_reach, reach_table
from tests.program.recorded.recorded_program import run_main
from tests.project.pages import with_table


def test_page_shows_the_policies_as_they_are() -> None:
    text, table = PAGE.read_text(), reach_table(declared_reach(run_main(CONFIG).completed()))
    assert with_table(text, MARK, table) == text, "run `make reach-table`"
    assert "| manager: REST and console | `8080` | - | - |" in table
