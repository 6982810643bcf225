"""The node's kube-router: rules that enforce network policies, and nothing else that it can do.

GKE enforces them with Dataplane V2. What a policy allows or forbids is the API's to say; two things differ: here, an
`ipBlock` matches pods of the cluster too, and what is forbidden is refused at once where there it gets no answer.
"""

from __future__ import annotations

from pathlib import Path

from kubernetes.client.api_client import ApiClient

from local.nodes.containers.roles import grant_own

USER = "system:kube-router"

_READ = ["get", "list", "watch"]


def command(program: Path, kubeconfig: Path, node: str, service_range: str) -> list[str]:
    """Its command line.

    Args:
        program: the binary.
        kubeconfig: how it signs in to the API server.
        node: the node's name.
        service_range: addresses of Services.
    """
    return [
        str(program),
        "--run-firewall=true",
        "--run-router=false",
        "--run-service-proxy=false",
        "--run-loadbalancer=false",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={node}",
        f"--service-cluster-ip-range={service_range}",
        # It looks at everything anew after this time, besides at once when something changes.
        "--iptables-sync-period=1m",
        "--health-port=0",
        "--metrics-port=0",
    ]


def apply(client: ApiClient) -> None:
    """Create the role by which it sees pods, namespaces and policies; what exists is left as it is.

    Args:
        client: of an administrator.

    Raises:
        ApiException: the API server refuses.
    """
    rules = [
        {"apiGroups": [""], "resources": ["endpoints", "namespaces", "nodes", "pods", "services"], "verbs": _READ},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": _READ},
        # It starts with all that it might look at.
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
    ]
    grant_own(client, USER, rules)
