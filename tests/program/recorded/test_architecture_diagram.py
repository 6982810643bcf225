"""The README's picture shows what the program declares."""

from __future__ import annotations

import re

from tests.program.recorded.architecture_diagram import mermaid, with_diagram
from tests.program.recorded.recorded_program import RecordedProgram
from tests.project.pages import README


def test_readme_shows_the_program_as_it_is(default_program: RecordedProgram) -> None:
    text = README.read_text()
    assert with_diagram(text, mermaid(default_program)) == text, "run `make diagram`"


def test_every_workload_and_who_it_talks_to_is_drawn(default_program: RecordedProgram) -> None:
    drawn = mermaid(default_program)
    for name in ("manager", "scheduler", "seed-peer", "dfget", "mysql", "redis"):
        assert f"dragonfly-1-{name}<br/>" in drawn
    assert '  dragonfly_1_manager -- "MySQL 3306" --> dragonfly_1_mysql\n' in drawn
    assert '  dragonfly_1_dfget -- "gRPC 65006, pieces 65008" --> dragonfly_1_seed_peer\n' in drawn
    assert '  dragonfly_1_seed_peer -- "443, 80" --> registries(["registries"])\n' in drawn
    assert ".-> dragonfly_1_redis" in drawn
    # What no policy lets through is not drawn.
    assert not re.search(r"dragonfly_1_(scheduler|dfget|seed_peer) -- .* --> dragonfly_1_mysql", drawn)
