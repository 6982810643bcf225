"""What `Pulumi.yaml` says."""

from __future__ import annotations

from typing import Any, cast

import yaml

from tests.program.recorded.recorded_program import ROOT

PROJECT_FILE = cast(dict[str, Any], yaml.safe_load((ROOT / "Pulumi.yaml").read_text()))
DECLARED = cast(dict[str, dict[str, Any]], PROJECT_FILE["config"])
"""The keys of the config, with default and description."""
