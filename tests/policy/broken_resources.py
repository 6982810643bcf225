"""Resources that the policy pack takes, and what becomes of them when one thing about them is broken."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

NAMESPACE = "guarded"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
CONTAINER = ("spec", "template", "spec", "containers", 0)
POD = ("spec", "template", "spec")

_SOUND_DEPLOYMENT: dict[str, Any] = {
    "metadata": {"name": "sound", "namespace": NAMESPACE},
    "spec": {
        "selector": {"matchLabels": {"app": "sound"}},
        "template": {
            "metadata": {"labels": {"app": "sound"}},
            "spec": {
                "containers": [
                    {
                        "name": "program",
                        "image": "registry.example/program:1.2.3",
                        "command": ["/program", "--password-file", "/run/secrets/password", "--token=$(TOKEN)"],
                        "env": [
                            {"name": "PASSWORD_FILE", "value": "/run/secrets/password"},
                            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "token"}}},
                            {"name": "SERVER", "value": "https://user@server.example/"},
                        ],
                        "resources": {
                            "requests": {"cpu": "10m", "memory": "16Mi"},
                            "limits": {"cpu": "100m", "memory": "32Mi"},
                        },
                        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    }
                ],
                "volumes": [{"name": "mirrors", "hostPath": {"path": "/etc/containerd/certs.d"}}],
            },
        },
    },
}
_SOUND_POLICY: dict[str, Any] = {
    "metadata": {"name": "all", "namespace": NAMESPACE},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
}
_SOUND_SERVICE = {"metadata": {"name": "sound", "namespace": NAMESPACE}, "spec": {"ports": [{"port": 80}]}}
_SOUND_DISK = {"name": "sound", "project": "project-pack", "zone": "us-west1-a", "size": 10}
_SOUND_CLUSTER = {"name": "sound", "project": "project-pack", "location": "us-west1-a", "removeDefaultNodePool": True}
_SOUND_POOL = {
    "name": "sound",
    "project": "project-pack",
    "location": "us-west1-a",
    "cluster": "sound",
    "nodeConfig": {"serviceAccount": "nodes@project-pack.iam.gserviceaccount.com"},
}


@dataclass(frozen=True)
class Broken:
    """A resource, and what is said of it.

    Attributes:
        rule: that refuses it; None of a sound one.
        said: words of the refusal.
        type: its token.
        properties: its inputs.
        protect: the resource option.
    """

    rule: str | None
    said: str
    type: str
    properties: dict[str, Any] = field(default_factory=dict[str, Any])
    protect: bool = False


def _changed(properties: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return a copy with a value in a place, or without the place where it is None."""
    new = copy.deepcopy(properties)
    *way, last = path
    at: Any = new
    for key in way:
        at = at[key]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return new


def _deployment(rule: str, said: str, path: tuple[Any, ...], value: Any) -> Broken:
    return Broken(rule, said, DEPLOYMENT, _changed(_SOUND_DEPLOYMENT, path, value))


SOUND = {
    "sound-deployment": Broken(None, "", DEPLOYMENT, _SOUND_DEPLOYMENT),
    "sound-digest": Broken(
        None,
        "",
        DEPLOYMENT,
        _changed(_SOUND_DEPLOYMENT, (*CONTAINER, "image"), f"registry.example:5000/program@sha256:{'0' * 64}"),
    ),
    "sound-policy": Broken(None, "", "kubernetes:networking.k8s.io/v1:NetworkPolicy", _SOUND_POLICY),
    "sound-service": Broken(None, "", "kubernetes:core/v1:Service", _SOUND_SERVICE),
    "sound-disk": Broken(None, "", "gcp:compute/disk:Disk", _SOUND_DISK, protect=True),
    "sound-cluster": Broken(None, "", "gcp:container/cluster:Cluster", _SOUND_CLUSTER, protect=True),
    "sound-pool": Broken(None, "", "gcp:container/nodePool:NodePool", _SOUND_POOL),
}

BROKEN = {
    "tag-latest": _deployment(
        "no-floating-image", "image program:latest floats", (*CONTAINER, "image"), "program:latest"
    ),
    # The colon is the registry's.
    "tag-missing": _deployment(
        "no-floating-image",
        "image registry.example:5000/program floats",
        (*CONTAINER, "image"),
        "registry.example:5000/program",
    ),
    "environment-password": _deployment(
        "no-plain-secret",
        "DB_PASSWORD holds a secret",
        (*CONTAINER, "env"),
        [{"name": "DB_PASSWORD", "value": "hunter2"}],
    ),
    "environment-url": _deployment(
        "no-plain-secret",
        "DATABASE holds a secret",
        (*CONTAINER, "env"),
        [{"name": "DATABASE", "value": "mysql://user:hunter2@db"}],
    ),
    "argument-password": _deployment(
        "no-plain-secret", "command line holds a secret", (*CONTAINER, "args"), ["--password=hunter2"]
    ),
    "argument-token": _deployment(
        "no-plain-secret", "command line holds a secret", (*CONTAINER, "args"), ["--token", "hunter2"]
    ),
    "no-limits": _deployment(
        "requests-and-limits", "no limits of cpu and memory", (*CONTAINER, "resources", "limits"), None
    ),
    "no-memory-request": _deployment(
        "requests-and-limits", "no requests of memory", (*CONTAINER, "resources", "requests", "memory"), None
    ),
    "init-container": _deployment(
        "requests-and-limits",
        "container first: no requests of cpu and memory",
        (*POD, "initContainers"),
        [{"name": "first", "image": "program:1", "securityContext": {"allowPrivilegeEscalation": False}}],
    ),
    "privileged": _deployment(
        "nothing-privileged",
        "privileged, which is root",
        (*CONTAINER, "securityContext"),
        {"privileged": True, "allowPrivilegeEscalation": False},
    ),
    "escalation": _deployment(
        "nothing-privileged", "allowPrivilegeEscalation is not false", (*CONTAINER, "securityContext"), None
    ),
    "capability": _deployment(
        "nothing-privileged",
        "adds capabilities NET_ADMIN",
        (*CONTAINER, "securityContext", "capabilities"),
        {"add": ["NET_ADMIN"]},
    ),
    "host-processes": _deployment("nothing-privileged", "hostPID", (*POD, "hostPID"), True),
    "host-path": _deployment(
        "known-host-paths", "directory /var/lib of the node", (*POD, "volumes", 0, "hostPath", "path"), "/var/lib"
    ),
    "load-balancer": Broken(
        "no-open-service",
        "type LoadBalancer is reached",
        "kubernetes:core/v1:Service",
        _changed(_SOUND_SERVICE, ("spec", "type"), "LoadBalancer"),
    ),
    "node-port": Broken(
        "no-open-service",
        "type NodePort is reached",
        "kubernetes:core/v1:Service",
        _changed(_SOUND_SERVICE, ("spec", "type"), "NodePort"),
    ),
    "disk": Broken("disks-protected", "the disk holds data", "gcp:compute/disk:Disk", _SOUND_DISK),
    "cluster": Broken("disks-protected", "deleting the cluster", "gcp:container/cluster:Cluster", _SOUND_CLUSTER),
    "pool-of-nobody": Broken(
        "own-service-account",
        "nodes run as default",
        "gcp:container/nodePool:NodePool",
        _changed(_SOUND_POOL, ("nodeConfig",), None),
    ),
    "pool-of-the-project": Broken(
        "own-service-account",
        "nodes run as 1-compute@developer.gserviceaccount.com",
        "gcp:container/nodePool:NodePool",
        _changed(_SOUND_POOL, ("nodeConfig", "serviceAccount"), "1-compute@developer.gserviceaccount.com"),
    ),
    "first-pool": Broken(
        "own-service-account",
        "nodes run as default",
        "gcp:container/cluster:Cluster",
        _changed(_SOUND_CLUSTER, ("removeDefaultNodePool",), None),
        protect=True,
    ),
    "unguarded": _deployment(
        "network-policies",
        "no NetworkPolicy selects its pods for Egress and Ingress",
        ("metadata", "namespace"),
        "open",
    ),
}
"""Of each rule, and of each way to break it."""
