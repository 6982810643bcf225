"""The node's kubelet: its configuration and its command."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from dragonfly.google.machine_types import Allocatable
from local.machine.certificates import Certificate
from local.nodes.containers.addresses import DNS_SERVICE, node_address
from local.nodes.containers.containerd import SOCKET
from local.nodes.objects import POOL_LABEL, ZONE

CLUSTER_DOMAIN = "cluster.local"


@dataclass(frozen=True)
class KubeletFiles:
    """What a kubelet is told by files.

    Attributes:
        config: its configuration.
        kubeconfig: how it signs in to the API server.
        server: its own certificate.
        authority: PEM file of the authority whose clients it lets in.
        resolv_conf: name resolution of pods that ask for the node's.
    """

    config: Path
    kubeconfig: Path
    server: Certificate
    authority: Path
    resolv_conf: Path


def write_config(files: KubeletFiles, index: int, cgroup: str) -> None:
    """Write a kubelet's configuration.

    Args:
        files: where it and all that it names is.
        index: the node's number.
        cgroup: the node's control group.
    """
    document: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node_address(index),
        # Who reaches this port could run anything in any pod.
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(files.authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(files.server.certificate),
        "tlsPrivateKeyFile": str(files.server.key),
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        # The settings of the kernel are the machine's: kubelet must not change them (`node_init.py`).
        "protectKernelDefaults": True,
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(files.resolv_conf),
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        # The disk is the machine's, filled by others too, and no image could be pulled again.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
        # A disk that fills is in the metrics soon.
        "volumeStatsAggPeriod": "10s",
        "serializeImagePulls": False,
        # Its first sign of life fails, as the node is not known yet; the next follows after a quarter of this.
        "nodeLeaseDurationSeconds": 4,
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
    }
    files.config.write_text(json.dumps(document, indent=2))


def command(program: Path, files: KubeletFiles, name: str, index: int, reserved: str, machine_type: str) -> list[str]:
    """Return the kubelet's command line.

    Args:
        program: the binary.
        files: what it is told by files.
        name: the node's name.
        index: the node's number.
        reserved: what is not for pods, `memory=1024`.
        machine_type: GKE machine type that the node claims to be of.
    """
    labels = {
        "node.kubernetes.io/instance-type": machine_type,
        "topology.kubernetes.io/region": ZONE.rpartition("-")[0],
        "topology.kubernetes.io/zone": ZONE,
        "topology.gke.io/zone": ZONE,
        POOL_LABEL: "default-pool",
    }
    return [
        str(program),
        f"--config={files.config}",
        f"--kubeconfig={files.kubeconfig}",
        f"--hostname-override={name}",
        f"--node-ip={node_address(index)}",
        f"--node-labels={','.join(f'{key}={value}' for key, value in labels.items())}",
        f"--system-reserved={reserved}",
    ]


def reserved_for_system(room: Allocatable) -> str:
    """Return what pods may not have of this machine, so that they get no more than on one of the machine type.

    The machine's processors and memory count for each of its nodes: there is one machine behind them all.
    """
    memory = max(0, psutil.virtual_memory().total - room.memory_bytes)
    processors = max(0, 1000 * (psutil.cpu_count() or 1) - room.cpu_millicores)
    return f"cpu={processors}m,memory={memory}"
