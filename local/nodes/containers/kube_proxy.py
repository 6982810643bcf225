"""The node's kube-proxy: rules that lead from Services to pods, in the node's own network."""

from __future__ import annotations

import json
from pathlib import Path


def write_config(config: Path, kubeconfig: Path, node: str, pod_range: str) -> None:
    """Write its configuration.

    Args:
        config: the file.
        kubeconfig: how it signs in to the API server.
        node: the node's name.
        pod_range: addresses of all pods.
    """
    document = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "hostnameOverride": node,
        "mode": "iptables",
        "clusterCIDR": pod_range,
        # The table of connections is the machine's: its size is not the node's to set.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "iptables": {"minSyncPeriod": "100ms"},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    }
    config.write_text(json.dumps(document, indent=2))


def command(program: Path, config: Path) -> list[str]:
    """Its command line."""
    return [str(program), f"--config={config}"]
