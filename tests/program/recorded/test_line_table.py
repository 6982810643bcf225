"""The page on the release lines shows how they differ."""

from __future__ import annotations

from tests.program.recorded.line_table import MARK, PAGE, line_programs, line_table
from tests.project.pages import with_table


def test_page_shows_the_lines_as_they_are() -> None:
    text, table = PAGE.read_text(), line_table(line_programs())
    assert with_table(text, MARK, table) == text, "run `make line-table`"
    assert "`ghcr.io/dragonflyoss/client:v1.4.3`" in table
    assert "`quic 65006/UDP`" in table
    # What is the same in both has no row.
    assert "manager: command" not in table
