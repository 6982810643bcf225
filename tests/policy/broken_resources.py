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
                            {"name": "CACHE_PASSWORD", "value": "$(TOKEN)"},
                            {"name": "CACHE", "value": "redis://:$(TOKEN)@cache.example"},
                            {"name": "TOKEN_TTL", "value": "3600"},
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


def _at(properties: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        properties = properties[key]
    return properties


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
    "tag-that-moves": _deployment(
        "no-floating-image", "image program:stable-alpine floats", (*CONTAINER, "image"), "program:stable-alpine"
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
    "environment-short-name": _deployment(
        "no-plain-secret", "MYSQL_PWD holds a secret", (*CONTAINER, "env"), [{"name": "MYSQL_PWD", "value": "hunter2"}]
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
    "argument-base64": _deployment(
        "no-plain-secret", "command line holds a secret", (*CONTAINER, "args"), ["--requirepass=hunter2/+=="]
    ),
    "argument-in-a-script": _deployment(
        "no-plain-secret", "command line holds a secret", (*CONTAINER, "args"), ["-c", 'mysql "--password=hunter2"']
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
    "host-ipc": _deployment("nothing-privileged", "hostIPC", (*POD, "hostIPC"), True),
    "bare-pod": Broken(
        "nothing-privileged",
        "container debug: allowPrivilegeEscalation is not false",
        "kubernetes:core/v1:Pod",
        {
            **_SOUND_DEPLOYMENT["spec"]["template"],
            "metadata": {"name": "bare", "namespace": NAMESPACE},
            "spec": _changed(
                _SOUND_DEPLOYMENT["spec"]["template"]["spec"],
                ("ephemeralContainers",),
                [
                    {
                        "name": "debug",
                        "image": "program:1",
                        "resources": _at(_SOUND_DEPLOYMENT, (*CONTAINER, "resources")),
                    }
                ],
            ),
        },
    ),
    "cron-job": Broken(
        "nothing-privileged",
        "privileged, which is root",
        "kubernetes:batch/v1:CronJob",
        {
            "metadata": {"name": "cron", "namespace": NAMESPACE},
            "spec": {
                "jobTemplate": {
                    "spec": _changed(_SOUND_DEPLOYMENT, (*CONTAINER, "securityContext", "privileged"), True)["spec"]
                }
            },
        },
    ),
    "volume": Broken(
        "known-host-paths",
        "volume root: directory / of the node",
        "kubernetes:core/v1:PersistentVolume",
        {"metadata": {"name": "root"}, "spec": {"hostPath": {"path": "/"}}},
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
    "disk": Broken("deletion-protected", "the disk holds data", "gcp:compute/disk:Disk", _SOUND_DISK),
    "regional-disk": Broken(
        "deletion-protected", "the disk holds data", "gcp:compute/regionDisk:RegionDisk", _SOUND_DISK
    ),
    "cluster": Broken("deletion-protected", "deleting the cluster", "gcp:container/cluster:Cluster", _SOUND_CLUSTER),
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
    "pool-without-a-word": Broken(
        "own-service-account",
        "nodes run as default",
        "gcp:container/nodePool:NodePool",
        _changed(_SOUND_POOL, ("nodeConfig", "serviceAccount"), ""),
    ),
    "pool-of-the-cluster": Broken(
        "own-service-account",
        "nodes run as default",
        "gcp:container/cluster:Cluster",
        {**_SOUND_CLUSTER, "nodePools": [{"name": "inline"}]},
        protect=True,
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
