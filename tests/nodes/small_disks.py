"""Disks so small that they can be filled, in the place of a stack's own."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from local.cluster.control_plane import Cluster
from tests.nodes.node_images import NODES, on_node
from tests.nodes.own_stack import OwnStack
from tests.nodes.trusted_peers import wait_for_pods

DISK_MEBIBYTES = 128
LEFT_MEBIBYTES = 10


def give_small_disks(cluster: Cluster, stack: OwnStack, *workloads: str) -> None:
    """Mount a disk of its own where the volume of a workload's one pod is, while the pod is away.

    What it has written before is not there. The disks go with the volumes.

    Args:
        cluster: the stack's.
        stack: the installation.
        workloads: StatefulSets.
    """
    folders = [_folder(stack, f"{workload}-0") for workload in workloads]
    sets = [f"statefulset/{workload}" for workload in workloads]
    # Mounted under a running pod, it would go with the pod's own mount of the volume.
    stack.kubectl("scale", "--replicas=0", *sets)
    stack.kubectl("wait", "--for=delete", "--timeout=80s", *(f"pod/{workload}-0" for workload in workloads))
    for folder in folders:
        for node in NODES:
            on_node(cluster, node, "mount", "--types", "tmpfs", f"--options=size={DISK_MEBIBYTES}m", "tmpfs", folder)
    stack.kubectl("scale", "--replicas=1", *sets)
    for workload in sets:
        wait_for_pods(stack, workload)


@contextmanager
def filled(cluster: Cluster, stack: OwnStack, pod: str, node: str) -> Generator[None]:
    """Fill the small disk of a pod for a while, but for some mebibytes.

    Args:
        cluster: the stack's.
        stack: the installation.
        pod: its name.
        node: where it runs.
    """
    file = f"{_folder(stack, pod)}/filled"
    try:
        on_node(cluster, node, "fallocate", "--length", f"{DISK_MEBIBYTES - LEFT_MEBIBYTES}M", file)
        yield
    finally:
        on_node(cluster, node, "rm", "--force", file)


def _folder(stack: OwnStack, pod: str) -> str:
    claim = "jsonpath={.spec.volumes[*].persistentVolumeClaim.claimName}"
    volume = stack.kubectl(
        "get", "pvc", stack.kubectl("get", "pod", pod, f"--output={claim}"), "--output=jsonpath={.spec.volumeName}"
    )
    return stack.kubectl("get", "pv", volume, "--output=jsonpath={.spec.local.path}")
