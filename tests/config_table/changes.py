"""The changes of the config that the table tells of: every key once, on a stack where it means something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.api.kubeconfig import CONTEXT
from tests.program.recorded.known_stacks import SECRET_KEYS

KUBECONFIG = "<the kubeconfig of the cluster>"
"""Stands for the contents of the local cluster's kubeconfig."""

PRIORITY_CLASS = "important"
"""One that the existing cluster has."""

EXISTING_NETWORK, EXISTING_SUBNETWORK = "shared", "nodes"


@dataclass(frozen=True)
class Stacks:
    """A stack with the defaults, and others like it with other values, to see what changes one into another.

    Args:
        name: begins their names.
        gke: whether they make their cluster.
        base: what all of them have besides, by full key.
        others: what each of the others has, by full key: together what does not hide the effects of each other.
        one_way: changes of the first that none of the others has made.
    """

    name: str
    gke: bool
    base: Mapping[str, Any]
    others: Sequence[Mapping[str, Any]]
    one_way: Mapping[str, Any]


TOGETHER = (frozenset({"dragonfly:network", "dragonfly:subnetwork"}),)
"""Keys of which one without the other is a fault."""

_ANYWHERE: Mapping[str, Any] = {
    "dragonfly:appInstanceName": "other",
    "dragonfly:namespace": "other",
    "dragonfly:dbPersistentDiskSize": "12Gi",
    "dragonfly:redisPersistentDiskSize": "8Gi",
    "dragonfly:metricsExporterEnabled": True,
    "dragonfly:consoleFrom": ["team"],
    "dragonfly:metricsFrom": ["monitoring"],
    "dragonfly:registriesIn": ["registry"],
    "dragonfly:registryPorts": [8443],
    "dragonfly:tag": "2.1.35",
    "dragonfly:imageRegistry": "example.com/mirror",
    "dragonfly:imagePullSecrets": ["mirror"],
    "dragonfly:dbUserPassword": "another-Passw0rd",
    "dragonfly:dbRootPassword": "another-Passw0rd",
    "dragonfly:dbExporterPassword": "another-Passw0rd",
    "dragonfly:redisPassword": "another-Passw0rd",
    "dragonfly:peerPort": 65100,
    "dragonfly:proxyPort": 65101,
    "dragonfly:uploadPort": 65102,
    "dragonfly:peerHealthPort": 65103,
    "dragonfly:peerMetricsPort": 65104,
    "dragonfly:readyTimeoutSeconds": 120,
}
"""What means something with a cluster of the stack's and in an existing one."""

_HIDING: Mapping[str, Any] = {
    "dragonfly:images": {"manager": "example.com/manager:2.1.35"},
    "dragonfly:networkPolicies": False,
}
"""An image that is given whole hides what `tag` and `imageRegistry` do; without policies no key opens one."""

GKE = Stacks(
    name="gke",
    gke=True,
    base={},
    others=(
        {
            "gcp:project": "project-other",
            "gcp:zone": "us-west1-b",
            "dragonfly:clusterName": "other",
            "dragonfly:network": EXISTING_NETWORK,
            "dragonfly:subnetwork": EXISTING_SUBNETWORK,
            "dragonfly:authorizedNetworks": ["203.0.113.0/24"],
            "dragonfly:dnsEndpoint": True,
            "dragonfly:nodeMachineType": "e2-standard-8",
            "dragonfly:nodeCount": 4,
            "dragonfly:maintenanceWindow": {"start": "22:30", "hours": 6},
            "dragonfly:nodeDiskSize": "200Gi",
            "dragonfly:spot": True,
            "dragonfly:registryMirrors": ["docker.io"],
            "dragonfly:mirrorPrivateRegistries": True,
            "dragonfly:notificationChannels": ["on-call@example.com"],
            "dragonfly:deletionProtection": True,
            "dragonfly:defaultStorageClass": "premium-rwo",
            **_ANYWHERE,
        },
        # With bounds, `nodeCount` has no effect; in a region, `gcp:zone` is the disks' alone.
        {"dragonfly:clusterLocation": "us-west1", "dragonfly:nodeAutoscaling": {"min": 3, "max": 5}, **_HIDING},
        {"dragonfly:monitoring": "none"},
    ),
    # A class that is not in a new cluster: a stack that begins with it gets no peers.
    one_way={"dragonfly:provisionCluster": False, "dragonfly:peerPriorityClass": PRIORITY_CLASS},
)

EXISTING = Stacks(
    name="existing",
    gke=False,
    base={},
    others=(
        {
            "dragonfly:kubeconfig": KUBECONFIG,
            "dragonfly:kubeContext": CONTEXT,
            "dragonfly:registryMirrors": ["docker.io"],
            "dragonfly:registryConfigPath": "/var/lib/rancher/k3s/agent/etc/containerd/certs.d",
            **_ANYWHERE,
            "dragonfly:peerPriorityClass": PRIORITY_CLASS,
            # The definition is there: it outlives the first stack.
            "dragonfly:installApplicationCrd": False,
        },
        # With another namespace it would tell of two.
        {"dragonfly:createNamespace": False, **_HIDING},
    ),
    # A class that is not there: no claim of a stack would find its volume.
    one_way={"dragonfly:provisionCluster": True, "dragonfly:defaultStorageClass": "another"},
)

OPERATOR = Stacks(
    name="operator",
    gke=False,
    base={"dragonfly:monitoring": "operator", "dragonfly:metricsFrom": ["monitoring"]},
    others=({"dragonfly:monitoringLabels": {"release": "prometheus"}},),
    one_way={},
)
"""A key that means nothing without a Prometheus Operator."""

LINE_2_5 = Stacks(
    name="line",
    gke=True,
    base={"dragonfly:tag": "2.5.1"},
    others=(
        {
            "dragonfly:clientTag": "1.4.4",
            "dragonfly:allowDowngrade": True,
            "dragonfly:keepUpgradeSnapshot": True,
            "dragonfly:peerStatsPort": 65105,
            "dragonfly:peerQuicPort": 65106,
        },
        # What rolls the seed peer by itself.
        {"dragonfly:seedPeerCacheSize": "100Gi"},
    ),
    one_way={},
)
"""Keys that mean nothing to Dragonfly 2.1."""

PAIRS: Sequence[tuple[str, str]] = (
    ("dragonfly:clusterName", "dragonfly:spot"),
    ("dragonfly:clusterName", "dragonfly:appInstanceName"),
    ("dragonfly:appInstanceName", "dragonfly:namespace"),
    ("dragonfly:namespace", "dragonfly:metricsExporterEnabled"),
    ("gcp:zone", "dragonfly:clusterLocation"),
    ("dragonfly:spot", "dragonfly:nodeAutoscaling"),
    ("dragonfly:spot", "dragonfly:nodeCount"),
)
"""Keys that share a name, or that fields come from of which Google's schema says that they force a replacement."""


REPLACING: Mapping[str, tuple[str, str]] = {
    "spot": ("false", "true"),
    "networkPolicies": ("true", "false"),
    "metricsExporterEnabled": ("false", "true"),
    "monitoring": ("", "none"),
    "tag": ("2.1.34", "2.1.35"),
    "imageRegistry": ("", "example.com/mirror"),
    "images": ("{}", '{"manager": "example.com/manager:2.1.35"}'),
    "imagePullSecrets": ("[]", '["mirror"]'),
    "peerPriorityClass": ("", PRIORITY_CLASS),
    "installApplicationCrd": ("true", "false"),
}
"""What the engine tests carry out, and back: every key that replaces, makes or deletes something."""

REPLACING_BY_THEMSELVES = ("seedPeerCacheSize", "notificationChannels")
"""The same of keys that do not go with the others: one is of Dragonfly 2.5 (`test_gke_line_change.py`), one means
nothing where monitoring is off (`test_gke_stack.py`)."""


def is_secret(key: str) -> bool:
    """Whether the value of a full key is a secret."""
    return key in SECRET_KEYS
