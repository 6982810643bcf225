"""What a project needs before the program can switch its APIs on."""

from __future__ import annotations

from dragonfly.google.apis import enable_command
from tests.unit.gke_stack import run_gke
from tests.unit.recorded_program import ROOT


def test_readme_has_the_command_that_the_error_tells() -> None:
    assert enable_command("my-project") in (ROOT / "README.md").read_text()


def test_every_api_explains_its_error() -> None:
    services = [one for one in run_gke().resources if one.type == "gcp:projects/service:Service"]
    assert len(services) == 7
    assert {one.error_hooks for one in services} == {("api-is-off",)}
