"""What each container asks for and may take; test_node_mirrors has the one that only some stacks have."""

from __future__ import annotations

from tests.program.recorded.recorded_program import RecordedProgram

# CPU and memory, requested and at most. Whoever changes a figure changes what fits on a node, and says so here too.
FIGURES = {
    "manager": ("50m", "128Mi", "2", "1Gi"),
    "scheduler": ("50m", "256Mi", "2", "2Gi"),
    "seed-peer": ("100m", "256Mi", "2", "2Gi"),
    "dfget": ("100m", "128Mi", "2", "1Gi"),
    "mysql": ("200m", "768Mi", "2", "1536Mi"),
    "redis": ("100m", "128Mi", "1", "512Mi"),
    "mysqld-exporter": ("10m", "32Mi", "200m", "128Mi"),
    "redis-exporter": ("10m", "32Mi", "200m", "128Mi"),
    "prometheus-to-sd": ("10m", "32Mi", "200m", "128Mi"),
    "root-password": ("10m", "16Mi", "200m", "64Mi"),
}


def test_figures_of_every_container(default_program: RecordedProgram, configured_program: RecordedProgram) -> None:
    found = {
        container["name"]: tuple(
            container["resources"][part][resource] for part in ("requests", "limits") for resource in ("cpu", "memory")
        )
        for program in (default_program, configured_program)
        for pod in program.pods
        for container in pod.containers
    }
    assert found == FIGURES
