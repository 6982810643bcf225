"""README.md and the pages in docs/."""

from __future__ import annotations

import re

from tests.program.recorded.recorded_program import ROOT

README = ROOT / "README.md"
DOCS = ROOT / "docs"


def with_table(page: str, mark: str, table: str) -> str:
    """Return a page's text with a generated table between its two marks.

    Args:
        page: the text.
        mark: what both are called.
        table: it.
    """
    between = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    return between.sub(lambda marks: f"{marks[1]}{table}\n{marks[2]}", page)


def section(title: str) -> str:
    """What stands under one of the README's headings."""
    return re.split(r"^## ", README.read_text().partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]
