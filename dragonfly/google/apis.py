"""The Google APIs that a cluster needs, switched on in the project."""

from __future__ import annotations

import pulumi
from pulumi_gcp import projects

APIS = (
    "container",
    "compute",
    "iam",
    "cloudresourcemanager",
    "artifactregistry",
    "logging",
    "monitoring",
)


def enabled_apis(project: str, parent: pulumi.Resource) -> dict[str, projects.Service]:
    """Switches the APIs on.

    Args:
        project: the project's id.
        parent: the cluster's component resource.

    Returns:
        One resource for each API, by its first name, for others to wait for.
    """
    return {
        api: projects.Service(
            f"{api}-api",
            project=project,
            service=f"{api}.googleapis.com",
            # They belong to the whole project: switching one off at destroy would stop everything else that uses it.
            disable_on_destroy=False,
            opts=pulumi.ResourceOptions(parent=parent),
        )
        for api in APIS
    }
