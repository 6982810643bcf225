"""The alerts for whoever declares them by hand: `make metrics-table` writes them."""

from __future__ import annotations

import json

import yaml

from tests.program.recorded.known_stacks import DEFAULT_CONFIG
from tests.program.recorded.recorded_program import run_main
from tests.project.pages import DOCS

FILE = DOCS / "alert-rules.yaml"

_CONFIG = {
    "dragonfly:monitoring": "operator",
    "dragonfly:metricsFrom": json.dumps(["monitoring"]),
    "dragonfly:namespace": "dragonfly",
    "dragonfly:tag": "2.5.1",
}


def alert_rules_file() -> str:
    """Return them as Prometheus' file of rules, of an installation in the namespace `dragonfly`."""
    (found,) = run_main({**DEFAULT_CONFIG, **_CONFIG}).completed().of_kind("PrometheusRule")
    return yaml.safe_dump({"groups": json.loads(json.dumps(found.spec["groups"]))}, width=120)
