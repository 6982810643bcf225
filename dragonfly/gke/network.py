"""The network that the nodes are in: one made for the cluster, or an existing one that the stack names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import compute

from dragonfly.google.location import GoogleLocation

# No two overlap, and none overlaps 172.17.0.0/16, which GKE's nodes keep to themselves (GKE documentation, "VPC-native
# clusters"). Every node takes a /24 of the pods' range: it is enough for a thousand nodes.
NODE_RANGE = "10.0.0.0/20"
POD_RANGE = "10.4.0.0/14"
SERVICE_RANGE = "10.8.0.0/20"

POD_RANGE_NAME = "pods"
SERVICE_RANGE_NAME = "services"

_NETWORK_PATH = re.compile(r"(?:https://[^/]+/compute/[^/]+/)?projects/(?P<project>[^/]+)/global/networks/[^/]+")


@dataclass(frozen=True)
class ClusterNetwork:
    """The network as the cluster takes it.

    Attributes:
        network, subnetwork: name or path.
        pod_range, service_range: names of the subnetwork's secondary ranges; None lets GKE add its own to it.
        firewall_project: project that the network, and with it its firewall rules, belongs to.
        way_out: what must be there before a node without a public address can pull an image.
    """

    network: pulumi.Input[str]
    subnetwork: pulumi.Input[str]
    pod_range: str | None
    service_range: str | None
    firewall_project: str
    way_out: Sequence[pulumi.Resource]


def existing_network(network: str, subnetwork: str, project: str) -> ClusterNetwork:
    """Return a network that somebody else looks after, with its own way out to the registries.

    Args:
        network: name, or `projects/HOST/global/networks/NAME` of a shared one.
        subnetwork: name, or the path of a shared one.
        project: the cluster's project.
    """
    match = _NETWORK_PATH.fullmatch(network)
    return ClusterNetwork(
        network=network,
        subnetwork=subnetwork,
        pod_range=None,
        service_range=None,
        firewall_project=match["project"] if match else project,
        way_out=(),
    )


def own_network(
    cluster_name: str, location: GoogleLocation, *, depends_on: Sequence[pulumi.Resource], parent: pulumi.Resource
) -> ClusterNetwork:
    """Make a network for the cluster alone, with a way out by NAT.

    Args:
        cluster_name: its resources are called the same.
        location: project and region.
        depends_on: the APIs.
        parent: the cluster's component resource.
    """
    network = compute.Network(
        "network",
        name=cluster_name,
        project=location.project,
        # The automatic mode makes a subnetwork in every region of the world, and leaves a door to each.
        auto_create_subnetworks=False,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=depends_on),
    )
    child = pulumi.ResourceOptions(parent=parent)
    subnetwork = compute.Subnetwork(
        "subnetwork",
        name=cluster_name,
        project=location.project,
        region=location.region,
        network=network.self_link,
        ip_cidr_range=NODE_RANGE,
        secondary_ip_ranges=[
            compute.SubnetworkSecondaryIpRangeArgs(range_name=POD_RANGE_NAME, ip_cidr_range=POD_RANGE),
            compute.SubnetworkSecondaryIpRangeArgs(range_name=SERVICE_RANGE_NAME, ip_cidr_range=SERVICE_RANGE),
        ],
        # Nodes without public addresses reach Google's APIs and registries without leaving Google's network.
        private_ip_google_access=True,
        opts=child,
    )
    router = compute.Router(
        "router",
        name=cluster_name,
        project=location.project,
        region=location.region,
        network=network.self_link,
        opts=child,
    )
    nat = compute.RouterNat(
        "nat",
        name=cluster_name,
        project=location.project,
        region=location.region,
        router=router.name,
        nat_ip_allocate_option="AUTO_ONLY",
        source_subnetwork_ip_ranges_to_nat="LIST_OF_SUBNETWORKS",
        subnetworks=[
            compute.RouterNatSubnetworkArgs(name=subnetwork.self_link, source_ip_ranges_to_nats=["ALL_IP_RANGES"])
        ],
        # A seed peer opens hundreds of connections to one registry; the fixed 64 ports of a node would run out. The
        # two settings exclude each other.
        enable_dynamic_port_allocation=True,
        enable_endpoint_independent_mapping=False,
        opts=child,
    )
    return ClusterNetwork(
        network=network.self_link,
        subnetwork=subnetwork.self_link,
        pod_range=POD_RANGE_NAME,
        service_range=SERVICE_RANGE_NAME,
        firewall_project=location.project,
        way_out=(nat,),
    )
