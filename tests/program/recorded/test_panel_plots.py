"""A panel's picture has what its query has found."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from dragonfly.monitoring.panels import Panel, Query, Unit, panels
from dragonfly.monitoring.scope import Scope
from dragonfly.parts.names import Names
from tests.program.recorded.panel_plots import PICTURE, Line, lines_of, picture

QUERY = Query("max by (pod) (a)", "{pod}, its largest")
FOUND = [{"metric": {"pod": "p-0"}, "values": [[100, "1e9"], [105, "3e9"]]}]


def test_a_line_has_its_labels_and_starts_where_the_picture_does() -> None:
    assert lines_of(QUERY, FOUND, 100) == [Line("p-0, its largest", [(0, 1e9), (5, 3e9)])]


def test_a_picture_has_titles_units_and_lines_and_says_where_there_is_none() -> None:
    full, empty = Panel("Bytes of all", Unit.BYTES, (QUERY,)), Panel("Of nobody", Unit.SHARE, ())
    svg = picture([(full, lines_of(QUERY, FOUND, 100)), (empty, [])])
    root = ElementTree.fromstring(svg)
    texts = {text.strip() for text in root.itertext() if text.strip()}
    assert {"Bytes of all", "p-0, its largest", "Of nobody", "nothing found"} <= texts
    assert any(text.endswith("GB") for text in texts)
    assert svg == picture([(full, lines_of(QUERY, FOUND, 100)), (empty, [])])
    flat = picture([(full, [Line("p-0, its largest", [(0, 1.0), (5, 1.0)])]), (empty, [])])
    assert flat != svg


def test_the_picture_in_the_docs_has_every_panel_and_something_in_each() -> None:
    texts = {text.strip() for text in ElementTree.fromstring(PICTURE.read_text()).itertext()}
    assert {panel.title for panel in panels(Scope("a", Names("b")))} <= texts, "run `make pictures`"
    assert "nothing found" not in texts
