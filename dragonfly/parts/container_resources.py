"""CPU and memory of the containers, so that what an installation needs of a node can be computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pulumi_kubernetes.core import v1 as core

from dragonfly.parts.images import Image


@dataclass(frozen=True)
class ContainerResources:
    """Requests and limits of one container as Kubernetes quantities (CPU in cores, memory in bytes)."""

    cpu_request: str
    cpu_limit: str
    memory_request: str
    memory_limit: str

    def requirements(self) -> core.ResourceRequirementsArgs:
        """Return the table's row as a container takes it."""
        return core.ResourceRequirementsArgs(
            requests={"cpu": self.cpu_request, "memory": self.memory_request},
            limits={"cpu": self.cpu_limit, "memory": self.memory_limit},
        )


# The chart requests 2Gi for each of manager, scheduler and seed peer, which its own default cluster cannot hold. A
# request is what the process keeps under a load ten times the measured one, since a node short of memory first ends
# what is above its request; the limit is what a burst may take. Those of Dragonfly's own programs stand with their
# release line.
#
# The databases and the small ones were measured by the most in 40 s of the load of `make bench NODES=containers`, two
# nodes on two processors (memory is the working set).
RESOURCES: Final[dict[Image, ContainerResources]] = {
    # 131Mi and 0.45 cores, sixteen connections, MariaDB 10.11. MySQL 8 keeps some 400Mi when idle, by its performance
    # schema; the request has as much again, for what the same load took here and the buffer pool as it fills.
    Image.MYSQL: ContainerResources("200m", "2", "768Mi", "1536Mi"),
    # 7Mi and 0.02 cores, 10 scrapes a second.
    Image.MYSQLD_EXPORTER: ContainerResources("10m", "200m", "32Mi", "128Mi"),
    Image.REDIS: ContainerResources("100m", "1", "128Mi", "512Mi"),  # 44Mi and 0.26 cores, 32,768 keys of 1 kB
    Image.REDIS_EXPORTER: ContainerResources("10m", "200m", "32Mi", "128Mi"),  # 7Mi, less than 0.01 cores
    Image.METRICS_EXPORTER: ContainerResources("10m", "200m", "32Mi", "128Mi"),  # estimated: only Google has its image
}

# 11Mi and 0.17 cores, a shell with its programs that asked fourteen times a second; the Job asks three times.
ROOT_PASSWORD_RESOURCES: Final = ContainerResources("10m", "200m", "16Mi", "64Mi")

# A shell that sleeps: 1Mi, less than 0.01 cores.
MIRROR_WRITER_RESOURCES: Final = ContainerResources("5m", "100m", "8Mi", "32Mi")
