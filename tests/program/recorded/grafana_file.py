"""The dashboard for whoever imports it into a Grafana: `make metrics-table` writes it."""

from __future__ import annotations

import json

from dragonfly.monitoring.grafana import grafana_dashboard
from dragonfly.monitoring.panels import panels
from dragonfly.monitoring.scope import Scope
from dragonfly.parts.names import Names
from dragonfly.settings.model import Settings
from tests.project.pages import DOCS

FILE = DOCS / "grafana-dashboard.json"


def grafana_file() -> str:
    """Return it as JSON; who looks at it names the installation."""
    defaults = Settings.model_fields
    asked = [
        ("namespace", str(defaults["namespace"].default)),
        ("instance", str(defaults["app_instance_name"].default)),
    ]
    board = grafana_dashboard("Dragonfly", panels(Scope("$namespace", Names("$instance"))), asked)
    return f"{json.dumps(board, indent=2)}\n"
