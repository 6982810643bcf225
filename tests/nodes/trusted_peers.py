"""Peers that trust a registry whose certificate nobody knows."""

from __future__ import annotations

import json

from tests.nodes.local_registry import LocalRegistry
from tests.nodes.own_stack import OwnStack


def trust(stack: OwnStack, registry: LocalRegistry, *workloads: str) -> None:
    """Let peers trust the registry's certificate, which is signed by nobody whom the world knows.

    Args:
        stack: their installation.
        registry: the registry.
        workloads: theirs, as kubectl writes them.
    """
    stack.kubectl("create", "configmap", "trusted", f"--from-file=registry.crt={registry.authority}")
    for workload in workloads:
        (name,) = stack.kubectl(
            "get", workload, "--output=jsonpath={.spec.template.spec.containers[0].name}"
        ).splitlines()
        container = {
            "name": name,
            # Both OpenSSL's and Go's, and what the Rust client looks for.
            "env": [{"name": "SSL_CERT_DIR", "value": "/trusted"}],
            "volumeMounts": [{"name": "trusted", "mountPath": "/trusted", "readOnly": True}],
        }
        spec = {"containers": [container], "volumes": [{"name": "trusted", "configMap": {"name": "trusted"}}]}
        change = json.dumps({"spec": {"template": {"spec": spec}}})
        stack.kubectl("patch", workload, "--patch", change)
    for workload in workloads:
        wait_for_pods(stack, workload)


def wait_for_pods(stack: OwnStack, workload: str) -> None:
    """Wait until a workload has rolled out.

    Args:
        stack: its installation.
        workload: as kubectl writes it.
    """
    stack.kubectl("rollout", "status", workload, "--timeout=80s")
