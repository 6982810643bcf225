"""All that the program declares in some stacks, as files: `make declarations` writes them, a test compares them.

A change of the program shows in them what it changes for those who have installed it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.program.recorded.gke_stack import configured_gke, run_gke
from tests.program.recorded.known_stacks import CONFIGURED_CONFIG, DEFAULT_CONFIG, LINE_2_5_CONFIG, SECRET_KEYS
from tests.program.recorded.recorded_program import RecordedProgram, run_main

FOLDER = Path(__file__).with_name("declared")

STACKS: dict[str, Callable[[], RecordedProgram]] = {
    "existing-cluster": lambda: run_main(DEFAULT_CONFIG),
    "existing-cluster-configured": lambda: run_main(CONFIGURED_CONFIG, SECRET_KEYS),
    "existing-cluster-mirrors": lambda: run_main(
        {"dragonfly:provisionCluster": "false", "dragonfly:registryMirrors": json.dumps(["docker.io", "quay.io"])}
    ),
    "existing-cluster-2.5": lambda: run_main(LINE_2_5_CONFIG),
    "gke": run_gke,
    "gke-2.5": lambda: run_gke(tag="2.5.1", seedPeerCacheSize="100Gi"),
    "gke-configured": configured_gke,
}
"""By the file's name."""


def file_of(stack: str) -> Path:
    """Return where a stack's declarations are."""
    return FOLDER / f"{stack}.yaml"


def declared(program: RecordedProgram) -> str:
    """Return resources with all options, their outputs, and those of the stack, as YAML."""
    resources = {
        f"{one.type} {one.name}": {
            **one.declaration,
            **({"outputs": outputs} if (outputs := program.component_outputs.get(one.urn)) else {}),
        }
        for one in sorted(program.resources, key=lambda one: one.urn)
    }
    exports = {name: {"value": one.value, "secret": one.secret} for name, one in program.exports.items()}
    assert len(resources) == len(program.resources)
    return yaml.dump({"resources": resources, "exports": exports}, Dumper=_Dumper, width=1000)


class _Dumper(yaml.CSafeDumper):
    """Writes texts of many lines as such."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: Any, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, run in STACKS.items():
        file_of(name).write_text(declared(run().completed()))
