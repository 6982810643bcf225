"""The alerts for whoever declares them by hand: `make metrics-table` writes them."""

from __future__ import annotations

import json

import yaml

from tests.program.recorded.known_stacks import DEFAULT_CONFIG
from tests.program.recorded.recorded_program import Resource, run_main
from tests.project.pages import DOCS

FILE = DOCS / "alert-rules.yaml"


def declared_rules(namespace: str) -> Resource:
    """Return the object with all alerts, as a stack in an existing cluster declares it.

    Args:
        namespace: of the installation.
    """
    config = {
        "dragonfly:monitoring": "operator",
        "dragonfly:metricsFrom": json.dumps(["monitoring"]),
        "dragonfly:namespace": namespace,
        "dragonfly:tag": "2.5.1",
    }
    (found,) = run_main({**DEFAULT_CONFIG, **config}).completed().of_kind("PrometheusRule")
    return found


def alert_rules_file() -> str:
    """Return them as Prometheus' file of rules, of an installation in the namespace `dragonfly`."""
    groups = declared_rules("dragonfly").spec["groups"]
    return yaml.safe_dump({"groups": json.loads(json.dumps(groups))}, width=120)
