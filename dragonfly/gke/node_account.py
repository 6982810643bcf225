"""The service account that the nodes run as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import projects, serviceaccount

from dragonfly.google.resource_names import SERVICE_ACCOUNT_ID_LIMIT, google_name

# What a node needs to log, to report metrics and to pull images, and nothing else: whoever takes over a node has
# exactly this (GKE documentation, "Harden your cluster's security": use least privilege IAM service accounts).
ROLES = {
    "node-role": "roles/container.defaultNodeServiceAccount",
    "image-reader-role": "roles/artifactregistry.reader",
}


@dataclass(frozen=True)
class NodeAccount:
    """The account and what it may do.

    Attributes:
        email: its address.
        roles: without them nodes do not become Ready.
    """

    email: pulumi.Output[str]
    roles: Sequence[pulumi.Resource]


def node_account(
    cluster_name: str, project: str, *, depends_on: Sequence[pulumi.Resource], parent: pulumi.Resource
) -> NodeAccount:
    """Make the account.

    Args:
        cluster_name: begins its id.
        project: the cluster's project.
        depends_on: the APIs.
        parent: the cluster's component resource.
    """
    account = serviceaccount.Account(
        "node-account",
        account_id=google_name(cluster_name, "nodes", limit=SERVICE_ACCOUNT_ID_LIMIT),
        project=project,
        display_name=f"Nodes of GKE cluster {cluster_name}",
        opts=pulumi.ResourceOptions(parent=parent, depends_on=depends_on),
    )
    roles = [
        projects.IAMMember(
            name, project=project, role=role, member=account.member, opts=pulumi.ResourceOptions(parent=parent)
        )
        for name, role in ROLES.items()
    ]
    return NodeAccount(account.email, roles)
