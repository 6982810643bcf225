"""GKE machine types: what a node of each offers, and how much of it GKE leaves to pods.

Sources:

- vCPUs and memory: Compute Engine documentation, "General-purpose machine family"
  (https://cloud.google.com/compute/docs/general-purpose-machines), and of c2 and c2d "Compute-optimized machine family"
  (https://cloud.google.com/compute/docs/compute-optimized-machines).
- Reservations: GKE documentation, "Plan GKE Standard node sizes"
  (https://cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes), called "the GKE page" below. Its example
  node (4 vCPUs, 16 GiB, 100 GiB boot disk) has 3920m CPU, 13498416Ki memory and 47060071478 bytes of disk allocatable.

What GKE's own system pods request is not taken off here: on a node they are pods like any other.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

DEFAULT_BOOT_DISK_GIB = 100
"""Boot disk of a GKE node when nothing else is asked for, GiB (GKE API reference, `NodeConfig.diskSizeGb`)."""

PODS_PER_NODE = 110
"""Default maximum of pods on a node of a Standard cluster (GKE documentation, "Configure maximum Pods per node")."""

_EVICTION_MEMORY_BYTES = 100 * MIB
"""Memory that the kubelet keeps free by evicting pods (the GKE page)."""

_MEMORY_RESERVATION_STEPS = ((4 * GIB, 0.25), (4 * GIB, 0.20), (8 * GIB, 0.10), (112 * GIB, 0.06))
"""Width in bytes and reserved share of each step of memory, from the first byte on (the GKE page)."""

_MEMORY_RESERVATION_ABOVE = 0.02
"""Reserved share of memory above the last step, that is above 128 GiB (the GKE page)."""

_KERNEL_MEMORY_SHARE = 0.0267
"""Share of a machine's memory that its kernel keeps, so that the node never reports it as capacity. Not a published
rule: it is what the GKE page's example node lacks (13498416Ki allocatable) after all the published reservations."""

_CPU_RESERVATION_STEPS = ((1000, 0.06), (1000, 0.01), (2000, 0.005))
"""Width in millicores and reserved share of each step of CPU, from the first core on (the GKE page)."""

_CPU_RESERVATION_ABOVE = 0.0025
"""Reserved share of CPU above the last step, that is above four cores (the GKE page)."""

_SHARED_CORE_RESERVED_MILLICORES = 1060
"""CPU reserved on e2-micro, e2-small and e2-medium, whose two vCPUs are only fractions of cores (the GKE page)."""

_DISK_EVICTION_SHARE = 0.10
"""Share of the node's file system that the kubelet keeps free by evicting pods (the GKE page)."""

_SYSTEM_PARTITIONS_BYTES = (100 * GIB) - (98831908 * KIB)
"""What the node image's own partitions take off the boot disk (the GKE page's example node: 98831908Ki of 100 GiB)."""


class UnknownMachineTypeError(ValueError):
    """A name from which vCPUs and memory cannot be told; the message names the nearest machine types in the table."""


@dataclass(frozen=True)
class MachineType:
    """One Compute Engine machine type.

    Attributes:
        name: as in the Compute Engine API, `e2-standard-4`.
        vcpus: vCPUs that the guest sees.
        memory_gib: memory in GiB, not always a whole number.
        shared_core: whether the vCPUs are fractions of cores, for which GKE reserves a fixed amount.
    """

    name: str
    vcpus: int
    memory_gib: float
    shared_core: bool = False


@dataclass(frozen=True)
class Allocatable:
    """What the pods of one node can request together.

    Attributes:
        cpu_millicores: CPU in thousandths of a core.
        memory_bytes: memory in bytes.
        ephemeral_storage_bytes: disk for images, logs and `emptyDir` volumes in bytes.
        pods: number of pods.
    """

    cpu_millicores: int
    memory_bytes: int
    ephemeral_storage_bytes: int
    pods: int


def _table(*machine_types: MachineType) -> Mapping[str, MachineType]:
    return MappingProxyType({machine_type.name: machine_type for machine_type in machine_types})


MACHINE_TYPES: Mapping[str, MachineType] = _table(
    MachineType("e2-micro", 2, 1, shared_core=True),
    MachineType("e2-small", 2, 2, shared_core=True),
    MachineType("e2-medium", 2, 4, shared_core=True),
    MachineType("e2-standard-2", 2, 8),
    MachineType("e2-standard-4", 4, 16),
    MachineType("e2-standard-8", 8, 32),
    MachineType("e2-standard-16", 16, 64),
    MachineType("e2-highmem-2", 2, 16),
    MachineType("e2-highmem-4", 4, 32),
    MachineType("e2-highmem-8", 8, 64),
    MachineType("n2-standard-2", 2, 8),
    MachineType("n2-standard-4", 4, 16),
    MachineType("n2-standard-8", 8, 32),
    MachineType("n2d-standard-2", 2, 8),
    MachineType("n2d-standard-4", 4, 16),
    MachineType("n2d-standard-8", 8, 32),
    MachineType("c3-standard-4", 4, 16),
    MachineType("c3-standard-8", 8, 32),
)
"""Machine types by name: those in common use for small and middle-sized GKE node pools, which messages propose."""

_MEMORY_PER_VCPU: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "e2": {"standard": 4, "highmem": 8, "highcpu": 1},
        "n1": {"standard": 3.75, "highmem": 6.5, "highcpu": 0.9},
        "n2": {"standard": 4, "highmem": 8, "highcpu": 1},
        "n2d": {"standard": 4, "highmem": 8, "highcpu": 1},
        "n4": {"standard": 4, "highmem": 8, "highcpu": 2},
        "t2d": {"standard": 4},
        "t2a": {"standard": 4},
        "c2": {"standard": 4},
        "c2d": {"standard": 4, "highmem": 8, "highcpu": 2},
        "c3": {"standard": 4, "highmem": 8, "highcpu": 2},
        "c3d": {"standard": 4, "highmem": 8, "highcpu": 2},
    }
)
"""GiB per vCPU of the families in which every size has the same share, by class."""

_IRREGULAR = frozenset({"n2-highmem-128"})
"""Names in these families whose memory is another."""

_KNOWN_FAMILIES = frozenset({"e2", "n1", "n2", "n2d", "t2d", "c2", "c2d"})
"""Families to which Google adds no classes any more."""

_PREDEFINED = re.compile(r"(?P<family>[a-z]\d[a-z]?)-(?P<class>[a-z]+)-(?P<vcpus>[1-9]\d*)(?:-lssd)?")
_CUSTOM = re.compile(r"(?:[a-z]\d[a-z]?-)?custom-(?P<vcpus>[1-9]\d*)-(?P<mebibytes>[1-9]\d*)(?:-ext)?")
_SHARED_CUSTOM = re.compile(r"e2-custom-(?:micro|small|medium)-(?P<mebibytes>[1-9]\d*)")


def is_of_known_family(name: str) -> bool:
    """Whether a machine type would be of a family in which `machine_type_named` knows every one.

    Args:
        name: as in the Compute Engine API, `e2-standard-4`.
    """
    return name.partition("-")[0] in _KNOWN_FAMILIES and name not in _IRREGULAR


def machine_type_named(name: str) -> MachineType:
    """Tell what a machine type offers: what the table says, or what its name says.

    Args:
        name: as in the Compute Engine API, `e2-standard-4` or `n2-custom-4-8192`.

    Raises:
        UnknownMachineTypeError: the table has none of that name, and the name says too little.
    """
    found = MACHINE_TYPES.get(name) or _told_by(name)
    if found is None:
        near = difflib.get_close_matches(name, MACHINE_TYPES, n=3)
        suggestion = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(MACHINE_TYPES)}"
        raise UnknownMachineTypeError(f"machine type {name!r} is not known: {suggestion}")
    return found


def _told_by(name: str) -> MachineType | None:
    if match := _SHARED_CUSTOM.fullmatch(name):
        return MachineType(name, 2, int(match["mebibytes"]) / 1024, shared_core=True)
    if match := _CUSTOM.fullmatch(name):
        return MachineType(name, int(match["vcpus"]), int(match["mebibytes"]) / 1024)
    match = _PREDEFINED.fullmatch(name)
    share = _MEMORY_PER_VCPU.get(match["family"], {}).get(match["class"]) if match else None
    if match is None or share is None or name in _IRREGULAR:
        return None
    vcpus = int(match["vcpus"])
    if vcpus % 2 and vcpus != 1:
        # Predefined types have one vCPU or whole cores.
        return None
    return MachineType(name, vcpus, vcpus * share)


def allocatable(machine_type: MachineType, boot_disk_gib: int = DEFAULT_BOOT_DISK_GIB) -> Allocatable:
    """Compute what pods can request on a GKE Standard node, by the rules of the GKE page.

    Args:
        machine_type: the node's machine type.
        boot_disk_gib: size of the node's boot disk in GiB, at least 10 as in Compute Engine.

    Raises:
        ValueError: the boot disk is smaller than 10 GiB.
    """
    if boot_disk_gib < 10:
        raise ValueError(
            f"a boot disk of {boot_disk_gib} GiB is too small: Compute Engine's smallest for GKE is 10 GiB"
        )
    memory = int(machine_type.memory_gib * GIB)
    reserved_memory = _in_steps(memory, _MEMORY_RESERVATION_STEPS, _MEMORY_RESERVATION_ABOVE)
    return Allocatable(
        cpu_millicores=_allocatable_millicores(machine_type),
        memory_bytes=int(memory * (1 - _KERNEL_MEMORY_SHARE) - reserved_memory - _EVICTION_MEMORY_BYTES),
        ephemeral_storage_bytes=_allocatable_disk(boot_disk_gib),
        pods=PODS_PER_NODE,
    )


def _allocatable_millicores(machine_type: MachineType) -> int:
    total = machine_type.vcpus * 1000
    if machine_type.shared_core:
        return total - _SHARED_CORE_RESERVED_MILLICORES
    return int(total - _in_steps(total, _CPU_RESERVATION_STEPS, _CPU_RESERVATION_ABOVE))


def _allocatable_disk(boot_disk_gib: int) -> int:
    # The GKE page: the reservation is reckoned on the disk, the eviction threshold on the file system in it.
    disk = boot_disk_gib * GIB
    file_system = disk - _SYSTEM_PARTITIONS_BYTES
    reserved = min(0.50 * disk, 6 * GIB + 0.35 * disk, 100 * GIB)
    return max(0, int(file_system * (1 - _DISK_EVICTION_SHARE) - reserved))


def _in_steps(total: int, steps: tuple[tuple[int, float], ...], share_above: float) -> float:
    """Sum the shares of a quantity of which each step, from zero on, has a share of its own."""
    reserved = 0.0
    remaining = total
    for width, share in steps:
        within = min(remaining, width)
        reserved += within * share
        remaining -= within
    return reserved + remaining * share_above
