"""README.md and the pages in docs/ lead where they say, and tell of the same commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.program.recorded.recorded_program import ROOT
from tests.project.pages import DOCS, README, section

PAGES = sorted(DOCS.glob("*.md"))
_CODE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")


def _links(page: Path) -> list[str]:
    """Return where a page's links lead, without those to other sites."""
    return [target for _, target in _LINK.findall(_CODE.sub("", page.read_text())) if "://" not in target]


def _anchors(page: Path) -> set[str]:
    """Return what GitHub makes of a page's headings: `-1` follows the second of two that are the same."""
    headings: list[str] = re.findall(r"^#+ (.+)$", _CODE.sub("", page.read_text()), re.MULTILINE)
    words = [re.sub(r"[^\w -]", "", _LINK.sub(r"\1", one).lower()).replace(" ", "-") for one in headings]
    return {f"{word}-{before}" if (before := words[:at].count(word)) else word for at, word in enumerate(words)}


def _leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    to = (page.parent / path).resolve() if path else page
    return to.is_relative_to(ROOT) and to.exists() and (not anchor or anchor in _anchors(to))


def _commands(text: str) -> list[str]:
    """Return the lines of a text's shell commands, without what is said of them."""
    blocks = [block for language, block in _CODE.findall(text) if language == "sh"]
    return [re.sub(r"\s+#.*", "", line) for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [target for target in _links(page) if not _leads_somewhere(page, target)] == []


def test_the_readme_leads_to_every_page() -> None:
    assert {str(page.relative_to(ROOT)) for page in PAGES} <= set(_links(README))


@pytest.mark.parametrize(
    ("title", "page"),
    [("On Google Kubernetes Engine", "google-cloud.md"), ("Into a cluster that you have", "existing-cluster.md")],
)
def test_the_readmes_short_commands_are_the_pages_in_its_order(title: str, page: str) -> None:
    short, whole = _commands(section(title)), _commands((DOCS / page).read_text())
    assert "pulumi up" in short
    assert short == [command for command in whole if command in short]
