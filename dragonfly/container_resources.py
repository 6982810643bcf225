"""CPU and memory of every container: one table, so that what an installation needs of a node can be computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pulumi_kubernetes.core import v1 as core

from dragonfly.images import Image


@dataclass(frozen=True)
class ContainerResources:
    """Requests and limits of one container as Kubernetes quantities (CPU in cores, memory in bytes)."""

    cpu_request: str
    cpu_limit: str
    memory_request: str
    memory_limit: str

    def requirements(self) -> core.ResourceRequirementsArgs:
        """The table's row as a container takes it."""
        return core.ResourceRequirementsArgs(
            requests={"cpu": self.cpu_request, "memory": self.memory_request},
            limits={"cpu": self.cpu_limit, "memory": self.memory_limit},
        )


# The chart requests 2Gi for each of manager, scheduler and seed peer, which its own default cluster cannot hold. A
# request is what the process keeps when idle plus room for a first download; the limit is what a burst may take.
RESOURCES: Final[dict[Image, ContainerResources]] = {
    Image.MANAGER: ContainerResources("100m", "2", "256Mi", "1Gi"),
    Image.SCHEDULER: ContainerResources("100m", "2", "256Mi", "2Gi"),
    Image.SEED_PEER: ContainerResources("200m", "2", "512Mi", "2Gi"),
    Image.PEER: ContainerResources("100m", "2", "256Mi", "1Gi"),
    Image.MYSQL: ContainerResources("200m", "2", "768Mi", "1536Mi"),
    Image.MYSQLD_EXPORTER: ContainerResources("10m", "200m", "32Mi", "128Mi"),
    Image.REDIS: ContainerResources("100m", "1", "128Mi", "512Mi"),
    Image.REDIS_EXPORTER: ContainerResources("10m", "200m", "32Mi", "128Mi"),
    Image.METRICS_EXPORTER: ContainerResources("10m", "200m", "32Mi", "128Mi"),
}

# A shell that asks the manager five times a second.
ROOT_PASSWORD_RESOURCES: Final = ContainerResources("10m", "200m", "16Mi", "64Mi")

# A shell that sleeps.
MIRROR_WRITER_RESOURCES: Final = ContainerResources("5m", "100m", "8Mi", "32Mi")
