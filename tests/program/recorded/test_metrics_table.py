"""The page on metrics shows what is kept, and what somebody is told of."""

from __future__ import annotations

from tests.program.recorded.metrics_table import PAGE, with_tables


def test_page_shows_what_is_kept_and_told() -> None:
    text = PAGE.read_text()
    assert with_tables(text) == text, "run `make metrics-table`"
    assert "`DragonflyComponentDown`" in text
