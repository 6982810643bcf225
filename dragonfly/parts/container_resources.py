"""CPU and memory of every container: one table, so that what an installation needs of a node can be computed."""

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
# what is above its request; the limit is what a burst may take.
#
# Dragonfly's own programs were measured with 2.1.34: the most memory, and the CPU time, of 1 GB pulled on three nodes.
# Ten times that is 10 GB, or thirty nodes, for which the CPU requests count ten minutes: a measured second of CPU time
# is 17m. A download in more of a hurry finds its CPU below the limit.
#
# The databases and the small ones were measured by the most in 40 s of the load of `make bench NODES=containers`, two
# nodes on two processors (memory is the working set).
RESOURCES: Final[dict[Image, ContainerResources]] = {
    # 82 MB, 0.6 s. Memory hardly grows with load: peers do not ask it, and it keeps answers for two seconds. CPU is for
    # its start and for whoever signs in, when the node is busy.
    Image.MANAGER: ContainerResources("50m", "2", "128Mi", "1Gi"),
    # 55 MB, 0.9 s. It keeps every task of every peer in memory: by the request tenfold load may take 200 MB more.
    Image.SCHEDULER: ContainerResources("50m", "2", "256Mi", "2Gi"),
    # 56 MB, 5.9 s. More peers mean more uploads at once, each with its buffers.
    Image.SEED_PEER: ContainerResources("100m", "2", "256Mi", "2Gi"),
    # 56 MB, 3.4 to 4.8 s. Pieces go to the disk: memory follows how many layers a node pulls at once, which stays the
    # same, and how many others fetch from it, which the scheduler limits.
    Image.PEER: ContainerResources("100m", "2", "128Mi", "1Gi"),
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
