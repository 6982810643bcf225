"""Grafana's dashboard: by Grafana's own schema, as its SDK has it, and the same as everywhere else."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dragonfly.monitoring.grafana import SIDECAR_LABEL
from dragonfly.monitoring.panels import panels
from dragonfly.monitoring.scope import Scope
from dragonfly.parts.names import Names
from tests.program.recorded.grafana_file import FILE, grafana_file
from tests.program.recorded.recorded_program import RecordedProgram

plugins.register_default_plugins()


def declared(program: RecordedProgram) -> dict[str, Any]:
    """The dashboard in the cluster."""
    (found,) = [one for one in program.of_kind("ConfigMap") if one.name == "dashboard"]
    return json.loads(found.manifest["data"]["p2p-images-eu-dashboard.json"])


@pytest.fixture(params=["file", "object"])
def board(request: pytest.FixtureRequest, configured_program: RecordedProgram) -> dict[str, Any]:
    return json.loads(grafana_file()) if request.param == "file" else declared(configured_program)


def test_grafana_knows_every_field(board: dict[str, Any]) -> None:
    # What it does not know it leaves out when it reads, and its own defaults are added.
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(board)))
    assert list(lost(board, read, "")) == []


def lost(given: Any, read: Any, path: str) -> list[str]:
    """Return where a value is not in what was read."""
    if isinstance(given, dict):
        there = cast("dict[str, Any]", read) if isinstance(read, dict) else {}
        items = cast("dict[str, Any]", given).items()
        return [fault for name, item in items for fault in lost(item, there.get(name), f"{path}.{name}")]
    if isinstance(given, list):
        listed, there = cast("list[Any]", given), cast("list[Any]", read or [])
        pairs = zip(listed, there, strict=True)
        return [fault for number, pair in enumerate(pairs) for fault in lost(*pair, f"{path}[{number}]")]
    return [] if given == read else [f"{path}: {given!r} was read as {read!r}"]


def test_a_field_that_grafana_does_not_know_is_found() -> None:
    wrong = {"title": "a", "panels": [{"type": "timeseries", "titel": "b", "targets": [{"expr": "up"}]}]}
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(wrong)))
    assert lost(wrong, read, "") == [".panels[0].titel: 'b' was read as None"]


def test_it_shows_every_panel_of_this_installation(configured_program: RecordedProgram) -> None:
    board = declared(configured_program)
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    expected = panels(Scope("p2p", Names("images-eu")))
    assert asked == [query.expression for panel in expected for query in panel.queries]
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]}) == len(expected)


def test_a_sidecar_of_grafana_finds_it(configured_program: RecordedProgram) -> None:
    (found,) = [one for one in configured_program.of_kind("ConfigMap") if one.name == "dashboard"]
    assert found.metadata["labels"].items() >= {**SIDECAR_LABEL, "release": "prometheus"}.items()


def test_the_file_for_importing_is_as_the_program_has_it() -> None:
    assert FILE.read_text() == grafana_file(), "make metrics-table"
