"""Roles of the whole cluster for the users that our own certificates name."""

from __future__ import annotations

from typing import Any

from kubernetes.client.api.rbac_authorization_v1_api import RbacAuthorizationV1Api
from kubernetes.client.api_client import ApiClient

from local.api.errors import create_unless_exists

_GROUP = "rbac.authorization.k8s.io"


def grant_own(client: ApiClient, user: str, rules: list[dict[str, Any]]) -> None:
    """Give a user a role of the whole cluster that is theirs alone; one that exists is left as it is.

    Raises:
        ApiException: the API server refuses.
    """
    create_unless_exists(
        RbacAuthorizationV1Api(client).create_cluster_role, {"metadata": {"name": user}, "rules": rules}
    )
    grant(client, user, user)


def grant(client: ApiClient, user: str, role: str) -> None:
    """Give a user a role of the whole cluster; one who has it keeps it.

    Raises:
        ApiException: the API server refuses.
    """
    manifest = {
        "metadata": {"name": f"local:{user}"},
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": _GROUP, "kind": "User", "name": user}],
    }
    create_unless_exists(RbacAuthorizationV1Api(client).create_cluster_role_binding, manifest)
