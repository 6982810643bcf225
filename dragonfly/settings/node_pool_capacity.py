"""Whether a node pool can hold the installation: what its pods request against what the nodes have left for them.

Checked before anything is created: otherwise the first sign is a pod that stays Pending on a cluster that costs money.
"""

from __future__ import annotations

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


def requests_of(*images: Image) -> Requests:
    """Return what a pod with these containers requests."""
    total = Requests(0, 0)
    for image in images:
        total += _requests(RESOURCES[image])
    return total


def _requests(row: ContainerResources) -> Requests:
    return Requests(int(parse_quantity(row.cpu_request) * 1000), int(parse_quantity(row.memory_request)))


def pods_of_a_cluster(*, metrics_exporter_enabled: bool) -> tuple[Requests, ...]:
    """Return the pods that an installation has once, the Job's too, and a second manager while its image is changed."""
    sidecar = (Image.METRICS_EXPORTER,) if metrics_exporter_enabled else ()
    return (
        requests_of(Image.MYSQL, Image.MYSQLD_EXPORTER, *sidecar),
        requests_of(Image.REDIS, Image.REDIS_EXPORTER, *sidecar),
        requests_of(Image.MANAGER),
        requests_of(Image.MANAGER),
        _requests(ROOT_PASSWORD_RESOURCES),
        requests_of(Image.SCHEDULER),
        requests_of(Image.SEED_PEER),
    )


def room_of_a_node(machine_type: MachineType, boot_disk_gib: int) -> Requests:
    """Return what a node has left for other pods once GKE's own and its peer run; negative where they do not fit."""
    node = allocatable(machine_type, boot_disk_gib)
    return (SYSTEM_PODS_OF_A_NODE + requests_of(Image.PEER)).taken_from(
        Requests(node.cpu_millicores, node.memory_bytes)
    )


def pool_holds(machine_type: MachineType, nodes: int, boot_disk_gib: int, *, metrics_exporter_enabled: bool) -> bool:
    """Whether every pod finds a node.

    Args:
        machine_type: of each node.
        nodes: how many there are, or can become by autoscaling.
        boot_disk_gib: size of each node's boot disk.
        metrics_exporter_enabled: whether the databases have the sidecar that exports their metrics.
    """
    room = room_of_a_node(machine_type, boot_disk_gib)
    pods = sorted(
        (*pods_of_a_cluster(metrics_exporter_enabled=metrics_exporter_enabled), *SYSTEM_PODS_OF_A_CLUSTER),
        key=lambda pod: (pod.cpu_millicores, pod.memory_bytes),
        reverse=True,
    )
    # More nodes than pods are all alike to the search.
    return _placed(pods, [room] * min(nodes, len(pods)))


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


def smallest_machine_type(
    like: MachineType, nodes: int, boot_disk_gib: int, *, metrics_exporter_enabled: bool
) -> MachineType | None:
    """Return the smallest machine type that holds the installation, of the same family where two are alike.

    Args:
        like: the type that was asked for.
        nodes: as for `pool_holds`.
        boot_disk_gib: as for `pool_holds`.
        metrics_exporter_enabled: as for `pool_holds`.

    Returns:
        None where none of the known types is big enough for so few nodes.
    """
    family = like.name.partition("-")[0]

    def size(candidate: MachineType) -> tuple[int, float, bool]:
        return candidate.vcpus, candidate.memory_gib, candidate.name.partition("-")[0] != family

    for candidate in sorted(MACHINE_TYPES.values(), key=size):
        if pool_holds(candidate, nodes, boot_disk_gib, metrics_exporter_enabled=metrics_exporter_enabled):
            return candidate
    return None
