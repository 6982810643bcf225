"""Every address of a cluster whose nodes run containers. None can be reached from outside its namespaces, so clusters
of several checkouts have the same ones."""

from __future__ import annotations

from typing import Final

CONTROL_PLANE: Final = "192.0.2.254"
"""Of the control plane on the nodes' network, TEST-NET-1 (RFC 5737)."""

DNS_SERVICE: Final = "10.96.0.10"
"""Of the DNS Service, in the cluster's service range; GKE gives it the tenth address too."""

NETWORK_BITS: Final = 24


def node_address(index: int) -> str:
    """Address of a node by its number, from 0 on."""
    return f"192.0.2.{index + 1}"


def pod_subnet(index: int) -> str:
    """Return the pods' part of a node, of the cluster's pod range."""
    return f"10.244.{index}.0/24"
