"""The tables of metrics and alerts, and the files beside their page, by the program: `make metrics-table`."""

from __future__ import annotations

from collections.abc import Iterable

from dragonfly.monitoring.alerts import alerts
from dragonfly.monitoring.label_text import told
from dragonfly.monitoring.metrics import SCRAPED
from dragonfly.monitoring.scope import Scope
from dragonfly.parts.labels import COMPONENT_LABEL, Component
from dragonfly.parts.names import Names
from tests.nodes.alert_faults import FAULTS
from tests.program.recorded import alert_rules_file
from tests.program.recorded.gke_stack import run_gke
from tests.program.recorded.grafana_file import FILE, grafana_file
from tests.program.recorded.recorded_program import Resource
from tests.project.pages import DOCS, with_table

PAGE = DOCS / "metrics.md"
MARKS = ("metrics", "alerts", "remedies")
_ALERTS = alerts(Scope("<namespace>", Names("dragonfly-1")), counts_transfers=True)


def metrics_table() -> str:
    """Return what is read of each program, as Markdown."""
    order = [component.value for component in SCRAPED]
    # They are registered in whatever order their inputs are known.
    found = sorted(
        run_gke().of_kind("PodMonitoring"), key=lambda one: order.index(one.metadata["labels"][COMPONENT_LABEL])
    )
    rows = [_row(one) for one in found]
    return "\n".join(
        ["| program | `job` | every | names, as regular expressions |", "| --- | --- | --- | --- |", *rows]
    )


def _row(one: Resource) -> str:
    component = Component(one.metadata["labels"][COMPONENT_LABEL])
    (endpoint,) = one.spec["endpoints"]
    # A bar would end the cell.
    scraped = SCRAPED[component]
    kept = [*scraped.keep, *(f'{name}{{url="{url}"}}' for name, url in scraped.keep_at)]
    names = ", ".join(f"`{name}`" for name in kept).replace("|", "\\|")
    return f"| {component.short_name} | `{one.object_name}` | {endpoint['interval']} | {names} |"


def alerts_table() -> str:
    """Return of what somebody is told, as Markdown."""
    rows = [
        (
            f"`{alert.name}`",
            told(alert.summary, "*{}*".format),
            alert.beyond,
            f"{alert.minutes} min" if alert.minutes else "at once",
            alert.severity,
            alert.exporter,
        )
        for alert in _ALERTS
    ]
    return _table(("alert", "when", "more than", "for", "severity", "exported by"), rows)


def remedies_table() -> str:
    """Return what to do, and what was done to real nodes so that an alert would tell, as Markdown."""
    rows = [
        (
            f"`{alert.name}`",
            alert.remedy,
            ", or ".join(fault.text for fault in FAULTS if fault.alert == alert.name),
        )
        for alert in _ALERTS
    ]
    return _table(("alert", "what to do", "a fault that met its condition"), rows)


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (titles, ("---",) * len(titles), *rows))


def with_tables(page: str) -> str:
    """Return the page's text with its tables."""
    for mark, table in zip(MARKS, (metrics_table(), alerts_table(), remedies_table()), strict=True):
        page = with_table(page, mark, table)
    return page


def main() -> None:
    """Write the tables into the page, and dashboard and rules beside it."""
    FILE.write_text(grafana_file())
    alert_rules_file.FILE.write_text(alert_rules_file.alert_rules_file())
    PAGE.write_text(with_tables(PAGE.read_text()))


if __name__ == "__main__":
    main()
