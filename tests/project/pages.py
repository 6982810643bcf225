"""README.md and the pages in docs/."""

from __future__ import annotations

import re

from tests.program.recorded.recorded_program import ROOT

README = ROOT / "README.md"
DOCS = ROOT / "docs"


def section(title: str) -> str:
    """What stands under one of the README's headings."""
    return re.split(r"^## ", README.read_text().partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]
