"""A registry with a certificate that nobody knows, trusted by the nodes' containerd and by an installation's peers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from local.cluster.control_plane import Cluster
from tests.nodes.local_registry import LocalRegistry, local_registry
from tests.nodes.node_images import NODES, on_node
from tests.nodes.own_stack import OwnStack

_TRUSTED = "/etc/ssl/certs"


@contextmanager
def trusted_registry(cluster: Cluster, folder: Path) -> Generator[LocalRegistry]:
    """Run a registry that the nodes' containerd trusts, as those on the Internet.

    Args:
        cluster: the cluster.
        folder: for its files.
    """
    trusted = folder / "trusted"
    trusted.mkdir()
    with local_registry(cluster, folder) as running:
        shutil.copy(running.authority, trusted / "registry.crt")
        for node in NODES:
            on_node(cluster, node, "mount", "--bind", str(trusted), _TRUSTED)
        try:
            yield running
        finally:
            for node in NODES:
                on_node(cluster, node, "umount", _TRUSTED)


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
