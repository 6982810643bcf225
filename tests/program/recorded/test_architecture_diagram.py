"""The README's picture shows what the program declares."""

from __future__ import annotations

from tests.program.recorded.architecture_diagram import mermaid, with_diagram
from tests.program.recorded.recorded_program import RecordedProgram
from tests.project.pages import README


def test_readme_shows_the_program_as_it_is(default_program: RecordedProgram) -> None:
    text = README.read_text()
    assert with_diagram(text, mermaid(default_program)) == text, "run `make diagram`"


def test_every_workload_and_dependency_is_drawn(default_program: RecordedProgram) -> None:
    drawn = mermaid(default_program)
    for name in ("manager", "scheduler", "seed-peer", "dfget", "mysql", "redis"):
        assert f"dragonfly-1-{name}<br/>" in drawn
    assert "dragonfly_1_manager -. waits for .-> dragonfly_1_mysql_svc" in drawn
    assert "dragonfly_1_dfget -. waits for .-> dragonfly_1_scheduler_service" in drawn
