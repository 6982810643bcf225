"""The cluster's DNS: CoreDNS beside the control plane, reached by a Service as on GKE.

It knows the cluster's names only.
"""

from __future__ import annotations

from pathlib import Path

from kubernetes.client.api.core_v1_api import CoreV1Api
from kubernetes.client.api.discovery_v1_api import DiscoveryV1Api
from kubernetes.client.api_client import ApiClient

from local.api.errors import create_unless_exists
from local.nodes.containers.addresses import CONTROL_PLANE, DNS_SERVICE
from local.nodes.containers.kubelet import CLUSTER_DOMAIN
from local.nodes.containers.roles import grant_own

USER = "system:coredns"

_NAMESPACE = "kube-system"
_NAME = "kube-dns"
_PORT = 53


def write_config(file: Path, kubeconfig: Path) -> None:
    """Write the Corefile.

    Args:
        file: the file.
        kubeconfig: how CoreDNS signs in to the API server.
    """
    file.write_text(f"""\
{CLUSTER_DOMAIN}:{_PORT} in-addr.arpa:{_PORT} {{
    bind {CONTROL_PLANE}
    errors
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
}}
# The nodes have no way out: a name of elsewhere does not exist, and nobody waits for it.
.:{_PORT} {{
    bind {CONTROL_PLANE}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
""")


def command(program: Path, config: Path) -> list[str]:
    """Its command line."""
    return [str(program), f"-conf={config}"]


def apply(client: ApiClient) -> None:
    """Create the Service, and the role by which CoreDNS sees Services and pods; what exists is left as it is.

    Args:
        client: of an administrator.

    Raises:
        ApiException: the API server refuses.
    """
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    grant_own(client, USER, rules)
    ports = [{"name": f"dns-{name.lower()}", "port": _PORT, "protocol": name} for name in ("UDP", "TCP")]
    core = CoreV1Api(client)
    # Asked first: to create it again is refused for its address, before its name is looked at.
    names = {service.metadata.name for service in core.list_namespaced_service(_NAMESPACE).items if service.metadata}
    if _NAME in names:
        return
    create_unless_exists(
        DiscoveryV1Api(client).create_namespaced_endpoint_slice,
        _NAMESPACE,
        {
            "metadata": {"name": f"{_NAME}-control-plane", "labels": {"kubernetes.io/service-name": _NAME}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [CONTROL_PLANE], "conditions": {"ready": True}}],
            "ports": ports,
        },
    )
    create_unless_exists(
        core.create_namespaced_service,
        _NAMESPACE,
        {
            "metadata": {"name": _NAME, "labels": {"k8s-app": _NAME}},
            "spec": {"clusterIP": DNS_SERVICE, "ports": ports},
        },
    )
