"""Dashboards of Cloud Monitoring, as its API takes them (Cloud Monitoring API, `projects.dashboards`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dragonfly.monitoring.label_text import told
from dragonfly.monitoring.panels import Panel, Query

_COLUMNS, _WIDTH, _HEIGHT = 48, 24, 16


def dashboard(title: str, panels: Iterable[Panel]) -> dict[str, Any]:
    """Return a dashboard with two panels beside each other.

    Args:
        title: its name.
        panels: what it shows.
    """
    return {
        "displayName": title,
        "mosaicLayout": {"columns": _COLUMNS, "tiles": [_tile(index, panel) for index, panel in enumerate(panels)]},
    }


def _tile(index: int, panel: Panel) -> dict[str, Any]:
    place = {"xPos": index % 2 * _WIDTH, "yPos": index // 2 * _HEIGHT}
    return {
        # The API leaves out what is 0, and the plug-in would take that for a change.
        **{side: distance for side, distance in place.items() if distance},
        "width": _WIDTH,
        "height": _HEIGHT,
        "widget": {
            "title": panel.title,
            "xyChart": {"dataSets": [_data_set(panel, query) for query in panel.queries]},
        },
    }


def _data_set(panel: Panel, query: Query) -> dict[str, Any]:
    return {
        "plotType": "LINE",
        "targetAxis": "Y1",
        "legendTemplate": told(query.legend, lambda label: f"${{labels.{label}}}"),
        "timeSeriesQuery": {"prometheusQuery": query.expression, "unitOverride": panel.unit.value},
    }
