"""The dashboard as Grafana takes it: for whoever has a Prometheus and a Grafana."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from dragonfly.monitoring.label_text import told
from dragonfly.monitoring.panels import Panel, Unit

SIDECAR_LABEL: Final = {"grafana_dashboard": "1"}
"""By which kube-prometheus-stack's Grafana finds dashboards in ConfigMaps (its chart, `sidecar.dashboards.label`)."""

# Grafana's names of units (grafana-data, `valueFormats/categories.ts`).
_UNITS = {
    Unit.BYTES: "bytes",
    Unit.BYTES_PER_SECOND: "Bps",
    Unit.MILLISECONDS: "ms",
    Unit.PER_SECOND: "cps",
    Unit.NUMBER: "short",
    Unit.SHARE: "percentunit",
}
# Of Grafana 11.6; later ones bring it to their own.
_SCHEMA_VERSION = 41
_WIDTH, _HEIGHT = 12, 8
_SOURCE: dict[str, Any] = {"type": "prometheus", "uid": "${source}"}


def grafana_dashboard(title: str, panels: Iterable[Panel], asked: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """Return the dashboard, in which whoever looks at it chooses the Prometheus.

    Args:
        title: its name.
        panels: what it shows.
        asked: names of further variables in the queries, with what they are at first.
    """
    variables = [
        {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
        *({"name": name, "type": "textbox", "query": first} for name, first in asked),
    ]
    return {
        "title": title,
        "tags": ["dragonfly"],
        "schemaVersion": _SCHEMA_VERSION,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": variables},
        "panels": [_panel(index, panel) for index, panel in enumerate(panels)],
    }


def _panel(index: int, panel: Panel) -> dict[str, Any]:
    return {
        "id": index + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": {"x": index % 2 * _WIDTH, "y": index // 2 * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": _UNITS[panel.unit], "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": _SOURCE,
                "expr": query.expression,
                "legendFormat": told(query.legend, lambda label: f"{{{{{label}}}}}"),
            }
            for number, query in enumerate(panel.queries)
        ],
    }
