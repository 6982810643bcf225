"""Allocatable of GKE machine types, against the example and the rules that GKE publishes."""

import pytest

from dragonfly.google import machine_types
from dragonfly.google.machine_types import (
    GIB,
    KIB,
    MACHINE_TYPES,
    MachineType,
    UnknownMachineTypeError,
    allocatable,
    is_of_known_family,
    machine_type_named,
)

SHARES = {"standard": 4, "highmem": 8, "highcpu": 2}
"""GiB for each vCPU in the newer families (Compute Engine documentation, "General-purpose machine family")."""


def test_example_node_of_the_gke_documentation() -> None:
    node = allocatable(machine_type_named("e2-standard-4"))
    assert node.cpu_millicores == 3920
    assert node.memory_bytes == pytest.approx(13498416 * KIB, rel=0.001)
    assert node.ephemeral_storage_bytes == pytest.approx(47060071478, rel=1e-8)
    assert node.pods == 110


@pytest.mark.parametrize(
    ("name", "millicores"),
    [
        ("e2-small", 940),
        ("e2-medium", 940),
        ("e2-standard-2", 1930),
        ("n2-standard-4", 3920),
        ("c3-standard-8", 7910),
        ("e2-standard-16", 15890),
    ],
)
def test_cpu(name: str, millicores: int) -> None:
    assert allocatable(machine_type_named(name)).cpu_millicores == millicores


@pytest.mark.parametrize(
    ("name", "published_gib"),
    [
        # Memory less the reservation of each step and 100 MiB.
        ("e2-medium", 4 - 1 - 100 / 1024),
        ("e2-standard-2", 8 - 1 - 0.8 - 100 / 1024),
        ("e2-highmem-2", 16 - 1 - 0.8 - 0.8 - 100 / 1024),
        ("e2-highmem-8", 64 - 1 - 0.8 - 0.8 - 0.06 * 48 - 100 / 1024),
        ("n2-standard-64", 256 - 1 - 0.8 - 0.8 - 0.06 * 112 - 0.02 * 128 - 100 / 1024),
    ],
)
def test_memory(name: str, published_gib: float) -> None:
    machine_type = machine_type_named(name)
    memory_gib = allocatable(machine_type).memory_bytes / GIB
    # The kernel keeps a share that is not published, as on the example node.
    assert memory_gib == pytest.approx(published_gib - 0.0267 * machine_type.memory_gib, abs=0.0001)


@pytest.mark.parametrize(("disk_gib", "reserved_gib"), [(20, 10), (100, 41), (500, 100)])
def test_disk_reservation_is_the_least_of_three(disk_gib: int, reserved_gib: int) -> None:
    disk = allocatable(machine_type_named("e2-standard-4"), disk_gib).ephemeral_storage_bytes / GIB
    assert disk == pytest.approx((disk_gib - 5.7465) * 0.9 - reserved_gib, abs=0.01)


def test_smallest_boot_disk_has_nothing_left_for_pods() -> None:
    assert allocatable(machine_type_named("e2-standard-4"), 10).ephemeral_storage_bytes == 0


def test_every_machine_type_has_room_for_pods_and_grows_with_its_size() -> None:
    for name, machine_type in MACHINE_TYPES.items():
        node = allocatable(machine_type)
        assert machine_type.name == name
        assert 0 < node.cpu_millicores < machine_type.vcpus * 1000
        assert 0 < node.memory_bytes < machine_type.memory_gib * GIB


@pytest.mark.parametrize(
    ("name", "vcpus", "memory_gib"),
    [
        ("n2-standard-16", 16, 64),
        ("n2d-highmem-8", 8, 64),
        ("e2-highcpu-8", 8, 8),
        ("n1-standard-1", 1, 3.75),
        ("n1-highmem-4", 4, 26),
        ("n1-highcpu-16", 16, 14.4),
        ("c2-standard-30", 30, 120),
        ("c3-highcpu-4", 4, 8),
        ("c3-standard-8-lssd", 8, 32),
        ("t2d-standard-4", 4, 16),
        ("t2a-standard-4", 4, 16),
        *((f"{family}-{size}-4", 4, share * 4) for family in ("n4", "c2d", "c3d") for size, share in SHARES.items()),
        *((f"{family}-highmem-4", 4, 32) for family in ("n2", "n2d", "c3")),
        *((f"{family}-highcpu-4", 4, 4) for family in ("n2", "n2d")),
        ("e2-custom-4-8192", 4, 8),
        ("n2-custom-2-21504-ext", 2, 21),
        ("custom-6-20224", 6, 19.75),
        ("n1-custom-1-1024", 1, 1),
    ],
)
def test_name_tells_vcpus_and_memory(name: str, vcpus: int, memory_gib: float) -> None:
    found = machine_type_named(name)
    assert (found.name, found.vcpus, found.memory_gib, found.shared_core) == (name, vcpus, memory_gib, False)


@pytest.mark.parametrize(
    ("name", "memory_gib"),
    [
        ("e2-micro", 1),
        ("e2-small", 2),
        ("e2-medium", 4),
        ("e2-custom-micro-1024", 1),
        ("e2-custom-medium-6144", 6),
    ],
)
def test_shared_cores(name: str, memory_gib: float) -> None:
    assert machine_type_named(name) == MachineType(name, 2, memory_gib, shared_core=True)


def test_table_says_what_the_names_say() -> None:
    for name, machine_type in MACHINE_TYPES.items():
        if not machine_type.shared_core:
            assert machine_types._told_by(name) == machine_type  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    "name", ["c4-standard-2", "n2-highmem-128", "m1-ultramem-40", "g1-small", "a2-highgpu-1g", "x"]
)
def test_what_no_name_tells_is_left_to_google(name: str) -> None:
    with pytest.raises(UnknownMachineTypeError):
        machine_type_named(name)
    assert not is_of_known_family(name)


@pytest.mark.parametrize("family", ["e2", "n1", "n2", "n2d", "t2d", "c2", "c2d"])
def test_a_class_that_a_finished_family_does_not_have_is_a_mistake(family: str) -> None:
    assert is_of_known_family(f"{family}-standart-4")


def test_unknown_machine_type_names_the_nearest() -> None:
    with pytest.raises(UnknownMachineTypeError) as unknown:
        machine_type_named("e2-standart-4")
    assert str(unknown.value) == (
        "machine type 'e2-standart-4' is not known: did you mean e2-standard-4 or n2-standard-4 or e2-standard-8?"
    )


def test_machine_type_that_is_like_none_is_told_which_there_are() -> None:
    with pytest.raises(UnknownMachineTypeError) as unknown:
        machine_type_named("x")
    assert str(unknown.value) == (
        "machine type 'x' is not known: known are e2-micro, e2-small, e2-medium, e2-standard-2, e2-standard-4, "
        "e2-standard-8, e2-standard-16, e2-highmem-2, e2-highmem-4, e2-highmem-8, n2-standard-2, n2-standard-4, "
        "n2-standard-8, n2d-standard-2, n2d-standard-4, n2d-standard-8, c3-standard-4, c3-standard-8"
    )


def test_too_small_boot_disk() -> None:
    with pytest.raises(ValueError, match="9 GiB is too small"):
        allocatable(machine_type_named("e2-medium"), 9)
