"""Whether a node pool can hold the installation: what its pods request against what the nodes have left for them.

Checked before anything is created: otherwise the first sign is a pod that stays Pending on a cluster that costs money.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dragonfly.google.machine_types import MACHINE_TYPES, MIB, MachineType, allocatable
from dragonfly.parts.container_resources import RESOURCES, ROOT_PASSWORD_RESOURCES, ContainerResources
from dragonfly.parts.images import Image
from dragonfly.quantity import parse_quantity


@dataclass(frozen=True)
class Requests:
    """What a pod requests.

    Attributes:
        cpu_millicores: CPU in thousandths of a core.
        memory_bytes: memory in bytes.
    """

    cpu_millicores: int
    memory_bytes: int

    def __add__(self, other: Requests) -> Requests:
        return Requests(self.cpu_millicores + other.cpu_millicores, self.memory_bytes + other.memory_bytes)

    def fits(self, room: Requests) -> bool:
        """Whether a node with that much left takes the pod."""
        return self.cpu_millicores <= room.cpu_millicores and self.memory_bytes <= room.memory_bytes

    def taken_from(self, room: Requests) -> Requests:
        """Return what is left on the node then."""
        return Requests(room.cpu_millicores - self.cpu_millicores, room.memory_bytes - self.memory_bytes)


# GKE's own pods are not taken off a node's allocatable. Google publishes no sums: these are what the system DaemonSets
# of a Standard cluster with Dataplane V2, Workload Identity and managed Prometheus come to, rounded up, ...
SYSTEM_PODS_OF_A_NODE = Requests(350, 700 * MIB)
# ... and the system Deployments: two kube-dns pods, and the metrics server with the small ones together.
SYSTEM_PODS_OF_A_CLUSTER = (
    Requests(280, 140 * MIB),
    Requests(280, 140 * MIB),
    Requests(100, 200 * MIB),
)


def _requests(row: ContainerResources) -> Requests:
    return Requests(int(parse_quantity(row.cpu_request) * 1000), int(parse_quantity(row.memory_request)))


class Pods:
    """The pods of an installation."""

    def __init__(self, dragonfly: Mapping[Image, ContainerResources], *, metrics_exporter_enabled: bool) -> None:
        """Take what differs from one installation to another.

        Args:
            dragonfly: the resources of Dragonfly's own programs.
            metrics_exporter_enabled: whether the databases have the sidecar that exports their metrics.
        """
        self._resources = {**RESOURCES, **dragonfly}
        self._sidecar = (Image.METRICS_EXPORTER,) if metrics_exporter_enabled else ()

    def requests_of(self, *images: Image) -> Requests:
        """Return what a pod with these containers requests."""
        total = Requests(0, 0)
        for image in images:
            total += _requests(self._resources[image])
        return total

    def of_a_cluster(self) -> tuple[Requests, ...]:
        """Return those that are there once, the Job's too, and a second manager while its image is changed."""
        return (
            self.requests_of(Image.MYSQL, Image.MYSQLD_EXPORTER, *self._sidecar),
            self.requests_of(Image.REDIS, Image.REDIS_EXPORTER, *self._sidecar),
            self.requests_of(Image.MANAGER),
            self.requests_of(Image.MANAGER),
            _requests(ROOT_PASSWORD_RESOURCES),
            self.requests_of(Image.SCHEDULER),
            self.requests_of(Image.SEED_PEER),
        )

    def room_of_a_node(self, machine_type: MachineType, boot_disk_gib: int) -> Requests:
        """Return what a node has left once GKE's own pods and its peer run; negative where they do not fit."""
        node = allocatable(machine_type, boot_disk_gib)
        return (SYSTEM_PODS_OF_A_NODE + self.requests_of(Image.PEER)).taken_from(
            Requests(node.cpu_millicores, node.memory_bytes)
        )

    def fit(self, machine_type: MachineType, nodes: int, boot_disk_gib: int) -> bool:
        """Whether every pod finds a node.

        Args:
            machine_type: of each node.
            nodes: how many there are, or can become by autoscaling.
            boot_disk_gib: size of each node's boot disk.
        """
        room = self.room_of_a_node(machine_type, boot_disk_gib)
        pods = sorted(
            (*self.of_a_cluster(), *SYSTEM_PODS_OF_A_CLUSTER),
            key=lambda pod: (pod.cpu_millicores, pod.memory_bytes),
            reverse=True,
        )
        # More nodes than pods are all alike to the search.
        return _placed(pods, [room] * min(nodes, len(pods)))

    def smallest_machine_type(self, like: MachineType, nodes: int, boot_disk_gib: int) -> MachineType | None:
        """Return the smallest machine type that holds them, of the same family where two are alike.

        Args:
            like: the type that was asked for.
            nodes: as for `fit`.
            boot_disk_gib: as for `fit`.

        Returns:
            None where none of the known types is big enough for so few nodes.
        """
        family = like.name.partition("-")[0]

        def size(candidate: MachineType) -> tuple[int, float, bool]:
            return candidate.vcpus, candidate.memory_gib, candidate.name.partition("-")[0] != family

        known = sorted(MACHINE_TYPES.values(), key=size)
        return next((candidate for candidate in known if self.fit(candidate, nodes, boot_disk_gib)), None)


def _placed(pods: list[Requests], rooms: list[Requests]) -> bool:
    """Whether the pods can be placed: every node is tried, so that a tight fit is not refused."""
    if not pods:
        return True
    pod, rest = pods[0], pods[1:]
    for room in sorted(set(rooms), key=lambda room: (room.cpu_millicores, room.memory_bytes)):
        if pod.fits(room):
            others = list(rooms)
            others.remove(room)
            if _placed(rest, [*others, pod.taken_from(room)]):
                return True
    return False
