"""Who reaches the peers' ports: they lie on the nodes' own addresses, where no NetworkPolicy applies."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi_gcp import compute

from dragonfly.gke.network import ClusterNetwork
from dragonfly.google.resource_names import google_name

# Before the rules that GKE makes and those that networks usually have, which stand at 1000 and let whole ranges in.
_ALLOW_PRIORITY = 900
_DENY_PRIORITY = _ALLOW_PRIORITY + 1

ANYWHERE = "0.0.0.0/0"


def peer_firewall(
    cluster_name: str,
    network: ClusterNetwork,
    *,
    ports: Sequence[int],
    denied_udp_ports: Sequence[int],
    node_account: pulumi.Input[str],
    pod_range: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Lets the cluster's own nodes and pods reach the peers, and nobody else.

    Args:
        cluster_name: begins the rules' names.
        network: the nodes' network.
        ports: TCP ports of each node that its peer listens on for others.
        denied_udp_ports: UDP ports that it cannot be kept from listening on, and that nobody uses.
        node_account: e-mail address of the service account that only this cluster's nodes run as.
        pod_range: the pods' addresses in CIDR notation.
        opts: parent of the rules and what they wait for.
    """
    numbers = [str(port) for port in sorted(ports)]
    compute.Firewall(
        "peers-allow",
        name=google_name(cluster_name, "peers-allow"),
        project=network.firewall_project,
        network=network.network,
        description="Dragonfly peers: the cluster's own nodes and pods.",
        direction="INGRESS",
        priority=_ALLOW_PRIORITY,
        allows=[compute.FirewallAllowArgs(protocol="tcp", ports=numbers)],
        # By account and not by address: a machine in the same subnetwork that is no node of ours stays out.
        source_service_accounts=[node_account],
        # Probes, Prometheus and the seed peer come from pods.
        source_ranges=[pod_range],
        target_service_accounts=[node_account],
        opts=opts,
    )
    compute.Firewall(
        "peers-deny",
        name=google_name(cluster_name, "peers-deny"),
        project=network.firewall_project,
        network=network.network,
        description="Dragonfly peers: everyone else.",
        direction="INGRESS",
        priority=_DENY_PRIORITY,
        # A peer hands out pieces of every image that its node has pulled, private ones included, and asks nobody for a
        # password; GKE's own rule and a usual "allow internal" would let the whole network ask.
        denies=[
            compute.FirewallDenyArgs(protocol="tcp", ports=numbers),
            *(compute.FirewallDenyArgs(protocol="udp", ports=[str(port)]) for port in denied_udp_ports),
        ],
        source_ranges=[ANYWHERE],
        target_service_accounts=[node_account],
        opts=opts,
    )
