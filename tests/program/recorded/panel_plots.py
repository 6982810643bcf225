"""A dashboard's panels as a picture, of what their queries have found."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, PercentFormatter, StrMethodFormatter

from dragonfly.monitoring.label_text import told
from dragonfly.monitoring.panels import Panel, Query, Unit
from tests.project.pages import DOCS

PICTURE = DOCS / "dashboard.svg"
"""Of a real installation; `make pictures` draws it."""

_COLUMNS = 2
_WIDTH_INCHES, _HEIGHT_INCHES = 12.0, 2.4
_FORMATS = {
    Unit.BYTES: lambda: EngFormatter("B"),
    Unit.BYTES_PER_SECOND: lambda: EngFormatter("B/s"),
    Unit.MILLISECONDS: lambda: StrMethodFormatter("{x:g} ms"),
    Unit.PER_SECOND: lambda: StrMethodFormatter("{x:g} a second"),
    Unit.NUMBER: lambda: StrMethodFormatter("{x:g}"),
    Unit.SHARE: lambda: PercentFormatter(1.0),
}


@dataclass(frozen=True)
class Line:
    """What a query has found under one set of labels.

    Attributes:
        label: what the panel calls it.
        points: seconds since the picture begins, and values.
    """

    label: str
    points: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])


def lines_of(query: Query, found: Sequence[Mapping[str, Any]], start: float) -> list[Line]:
    """Return what is drawn of a query.

    Args:
        query: the query.
        found: the matrix of a Prometheus' answer (its HTTP API, "Range queries").
        start: when the picture begins, in seconds of the clock.
    """
    return [
        Line(
            told(query.legend, lambda label, labels=one["metric"]: str(labels.get(label, ""))),
            [(at - start, float(value)) for at, value in one["values"]],
        )
        for one in found
    ]


def picture(drawn: Sequence[tuple[Panel, Sequence[Line]]]) -> str:
    """Return the panels as SVG, two beside each other; a panel without a line says so.

    Args:
        drawn: each panel with its lines.
    """
    # The same picture of the same numbers.
    with cast("Any", mpl).rc_context({"svg.hashsalt": "dragonfly", "font.size": 8, "svg.fonttype": "none"}):
        rows = -(-len(drawn) // _COLUMNS)
        figure: Any = Figure(figsize=(_WIDTH_INCHES, _HEIGHT_INCHES * rows), layout="constrained")
        axes: Any = figure.subplots(rows, _COLUMNS, squeeze=False).flatten()
        for place, (panel, lines) in zip(axes, drawn, strict=False):
            place.set_title(panel.title, loc="left", fontweight="bold")
            place.yaxis.set_major_formatter(_FORMATS[panel.unit]())
            place.xaxis.set_major_formatter(EngFormatter("s"))
            for line in lines:
                place.plot(*zip(*line.points, strict=True), label=line.label, linewidth=1.2)
            if lines:
                # Beside the lines, of which some are flat.
                place.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
                place.set_ylim(bottom=0)
            else:
                place.text(0.5, 0.5, "nothing found", ha="center", va="center", transform=place.transAxes)
            place.spines[["top", "right"]].set_visible(False)
        for place in axes[len(drawn) :]:
            place.set_axis_off()
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
        return text.getvalue()
