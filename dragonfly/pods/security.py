"""Security settings of every pod and container, each with the threat that it answers."""

from __future__ import annotations

from collections.abc import Sequence

from pulumi_kubernetes.core import v1 as core

# The account of the packages in the MySQL and Redis images (useradd --system on Debian).
DATABASE_UID = 999
# Any account that owns nothing on the node: the Dragonfly images define none.
DRAGONFLY_UID = 10001
# nobody, for programs that write nothing.
EXPORTER_UID = 65534

POD_SECURITY = {
    # The peers are on their nodes' own network, and may write mirrors there: less would refuse them.
    "pod-security.kubernetes.io/enforce": "privileged",
    # Whatever else asks for more than it needs would come in unnoticed.
    "pod-security.kubernetes.io/audit": "restricted",
    "pod-security.kubernetes.io/warn": "restricted",
}
"""Labels of the namespace (Kubernetes documentation, "Pod Security Admission")."""


def secured(spec: core.PodSpecArgs, uid: int, pull_secrets: Sequence[str]) -> core.PodSpecArgs:
    """Return the given pod spec, with the settings that every pod has.

    Args:
        spec: what differs from pod to pod; it is changed.
        uid: user and group that every container runs as unless it says otherwise, and owner of mounted volumes.
        pull_secrets: names of Secrets of the namespace by which nodes sign in to registries.
    """
    spec.image_pull_secrets = [core.LocalObjectReferenceArgs(name=name) for name in pull_secrets] or None
    # Nothing here talks to the API server; a token in the pod would serve only an attacker.
    spec.automount_service_account_token = False
    # Every Service of the namespace would stand in the environment: a map for an attacker, and variables such as
    # REDIS_PORT that some programs take for their own settings.
    spec.enable_service_links = False
    spec.security_context = _pod_security_context(uid)
    return spec


def _pod_security_context(uid: int) -> core.PodSecurityContextArgs:
    return core.PodSecurityContextArgs(
        # A process that breaks out of its container must not find itself root on the node.
        run_as_non_root=True,
        run_as_user=uid,
        run_as_group=uid,
        # Config files with passwords can then be closed to everybody but the pod's own group.
        fs_group=uid,
        # A volume with a million files is not walked at every start of the pod.
        fs_group_change_policy="OnRootMismatch",
        # System calls that container programs never need are how kernels are attacked.
        seccomp_profile=core.SeccompProfileArgs(type="RuntimeDefault"),
    )


def container_security_context(uid: int | None = None) -> core.SecurityContextArgs:
    """Return the container's security context.

    Args:
        uid: user to run as, when another than the pod's.
    """
    return core.SecurityContextArgs(
        # A setuid binary in an image would give back what run_as_non_root took.
        allow_privilege_escalation=False,
        # Raw sockets and the like let a compromised container spoof its neighbours.
        capabilities=core.CapabilitiesArgs(drop=["ALL"]),
        # An attacker who can write a program into the image can run it.
        read_only_root_filesystem=True,
        run_as_user=uid,
        run_as_group=uid,
    )
