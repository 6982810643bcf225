"""IDs that the provider gives to Google Cloud resources, told from what a program asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Of every type that the program makes, but those below (documentation of pulumi-gcp, each resource's "Import").
_PATTERNS = {
    "gcp:projects/service:Service": "{project}/{service}",
    "gcp:projects/iAMMember:IAMMember": "{project}/{role}/{member}",
    "gcp:serviceaccount/account:Account": (
        "projects/{project}/serviceAccounts/{accountId}@{project}.iam.gserviceaccount.com"
    ),
    "gcp:compute/network:Network": "projects/{project}/global/networks/{name}",
    "gcp:compute/subnetwork:Subnetwork": "projects/{project}/regions/{region}/subnetworks/{name}",
    "gcp:compute/router:Router": "projects/{project}/regions/{region}/routers/{name}",
    "gcp:compute/routerNat:RouterNat": "{project}/{region}/{router}/{name}",
    "gcp:compute/firewall:Firewall": "projects/{project}/global/firewalls/{name}",
    "gcp:compute/disk:Disk": "projects/{project}/zones/{zone}/disks/{name}",
    "gcp:compute/snapshot:Snapshot": "projects/{project}/global/snapshots/{name}",
    "gcp:container/cluster:Cluster": "projects/{project}/locations/{location}/clusters/{name}",
    "gcp:container/nodePool:NodePool": "projects/{project}/locations/{location}/clusters/{cluster}/nodePools/{name}",
}

NAMED_BY_GOOGLE = "gcp:monitoring/"
"""Begins the types whose IDs nobody can tell before the API has made them up."""


def google_id(type_token: str, inputs: Mapping[str, Any]) -> str | None:
    """Return the ID of a resource, or None where the type is not one of the program's or an input is missing.

    Args:
        type_token: for example `gcp:compute/disk:Disk`.
        inputs: the resource's, as the state has them.
    """
    pattern = _PATTERNS.get(type_token)
    if pattern is None:
        return None
    try:
        return pattern.format_map(inputs)
    except KeyError:
        return None
