"""Whether a node pool can hold the installation, judged before it is made."""

from __future__ import annotations

import pytest

from dragonfly.google.machine_types import MACHINE_TYPES, MIB, machine_type_named
from dragonfly.lines.known_lines import line_of
from dragonfly.parts.images import Image
from dragonfly.settings import node_pool_capacity
from dragonfly.settings.node_pool_capacity import SYSTEM_PODS_OF_A_CLUSTER, SYSTEM_PODS_OF_A_NODE, Pods, Requests
from tests.program.recorded.gke_stack import configured_gke, run_gke

RESOURCES = line_of("2.1.34").resources
PODS = Pods(RESOURCES, metrics_exporter_enabled=False)


def holds(name: str, nodes: int, *, metrics: bool = False) -> bool:
    return Pods(RESOURCES, metrics_exporter_enabled=metrics).fit(machine_type_named(name), nodes, 100)


def test_default_pool_holds_the_installation_with_one_node_away() -> None:
    assert holds("e2-standard-4", 2, metrics=True)


@pytest.mark.parametrize(
    ("name", "nodes", "expected"),
    [("e2-small", 1000, False), ("e2-medium", 2, False), ("e2-medium", 3, True), ("e2-standard-2", 1, True)],
)
def test_pool(name: str, nodes: int, expected: bool) -> None:
    assert holds(name, nodes) is expected


def test_smallest_machine_type_holds_and_every_smaller_one_does_not() -> None:
    for nodes in (1, 2, 3, 10):
        found = PODS.smallest_machine_type(machine_type_named("e2-small"), nodes, 100)
        assert found is not None
        assert holds(found.name, nodes)
        for other in MACHINE_TYPES.values():
            if other.vcpus <= found.vcpus and other.memory_gib < found.memory_gib:
                assert not holds(other.name, nodes)


def test_smallest_machine_type_is_of_the_same_family_where_one_is() -> None:
    for family in ("e2", "n2", "n2d"):
        found = PODS.smallest_machine_type(machine_type_named(f"{family}-standard-2"), 2, 100)
        assert found is not None
        assert found.name == f"{family}-standard-2"


def test_peer_is_taken_off_every_node() -> None:
    machine_type = machine_type_named("e2-standard-4")
    room, peer = PODS.room_of_a_node(machine_type, 100), PODS.requests_of(Image.PEER)
    assert room.cpu_millicores < 3920 - peer.cpu_millicores


def test_pods_of_gke_itself_are_counted() -> None:
    # On every node; and of the cluster two kube-dns pods, and the others together.
    assert vars(SYSTEM_PODS_OF_A_NODE) == {"cpu_millicores": 350, "memory_bytes": 700 * MIB}
    assert list(SYSTEM_PODS_OF_A_CLUSTER) == [*[Requests(280, 140 * MIB)] * 2, Requests(100, 200 * MIB)]


def test_tight_fit_is_not_refused() -> None:
    # On each node, 12 are 6 and 3 and 3, or 5 and 4 and 3: whoever puts 6 and 5 together finds no such way.
    pods = [Requests(size, 0) for size in (6, 5, 4, 3, 3, 3)]
    assert node_pool_capacity._placed(pods, [Requests(12, 0)] * 2)  # pyright: ignore[reportPrivateUsage]
    assert not node_pool_capacity._placed(pods, [Requests(11, 0)] * 2)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("metrics", [False, True])
def test_table_counts_what_the_program_declares(metrics: bool) -> None:
    recorded = configured_gke() if metrics else run_gke()
    declared: list[Requests] = []
    for pod in recorded.pods:
        total = Requests(0, 0)
        for container in pod.containers:
            requests = container["resources"]["requests"]
            total += Requests(int(requests["cpu"].removesuffix("m")), int(requests["memory"].removesuffix("Mi")) * MIB)
        if pod.workload.kind == "Deployment":
            # The second one of a rolling update.
            declared.append(total)
        if pod.workload.kind != "DaemonSet":
            declared.append(total)

    def size(pod: Requests) -> tuple[int, int]:
        return pod.cpu_millicores, pod.memory_bytes

    assert sorted(declared, key=size) == sorted(
        Pods(RESOURCES, metrics_exporter_enabled=metrics).of_a_cluster(), key=size
    )
