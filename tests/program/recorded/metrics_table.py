"""The tables of metrics and alerts, and Grafana's dashboard, from what the program declares: `make metrics-table`."""

from __future__ import annotations

from dragonfly.monitoring.alerts import Alert, alerts
from dragonfly.monitoring.label_text import told
from dragonfly.monitoring.metrics import SCRAPED
from dragonfly.monitoring.scope import Scope
from dragonfly.parts.labels import COMPONENT_LABEL, Component
from dragonfly.parts.names import Names
from tests.nodes.alert_faults import FAULTS
from tests.program.recorded.gke_stack import run_gke
from tests.program.recorded.grafana_file import FILE, grafana_file
from tests.program.recorded.recorded_program import Resource
from tests.project.pages import DOCS, with_table

PAGE = DOCS / "metrics.md"
MARKS = ("metrics", "alerts")


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
    head = [
        "| alert | when | for | severity | exported by | what to do | a fault that made it tell |",
        "| --- " * 7 + "|",
    ]
    return "\n".join([*head, *map(_alert, alerts(Scope("<namespace>", Names("dragonfly-1")), counts_transfers=True))])


def _alert(alert: Alert) -> str:
    lasting = f"{alert.minutes} min" if alert.minutes else "at once"
    cells = (
        f"`{alert.name}`",
        told(alert.summary, "*{}*".format),
        lasting,
        alert.severity,
        alert.exporter,
        alert.remedy,
        ", or ".join(fault.text for fault in FAULTS if fault.alert == alert.name),
    )
    return f"| {' | '.join(cells)} |"


def with_tables(page: str) -> str:
    """Return the page's text with both tables."""
    return with_table(with_table(page, MARKS[0], metrics_table()), MARKS[1], alerts_table())


def main() -> None:
    """Write the tables into the page, and the dashboard beside it."""
    FILE.write_text(grafana_file())
    PAGE.write_text(with_tables(PAGE.read_text()))


if __name__ == "__main__":
    main()
