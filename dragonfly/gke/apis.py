"""The Google APIs that a cluster needs, switched on in the project."""

from __future__ import annotations

import sys

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

# What the plug-in itself calls to switch an API on and to read it back.
NEEDED_FIRST = ("serviceusage", "cloudresourcemanager")

# Reasons that Google gives for a call of an API that is off: that of google.api.ErrorReason, and an older one.
_IS_OFF = ("SERVICE_DISABLED", "accessNotConfigured")


def enabled_apis(project: str, parent: pulumi.Resource) -> dict[str, projects.Service]:
    """Switches the APIs on.

    Args:
        project: the project's id.
        parent: the cluster's component resource.

    Returns:
        One resource for each API, by its first name, for others to wait for.
    """
    hooks = pulumi.ResourceHookBinding(on_error=[_remedy(project)])
    return {
        api: projects.Service(
            f"{api}-api",
            project=project,
            service=_full_name(api),
            # They belong to the whole project: switching one off at destroy would stop everything else that uses it.
            disable_on_destroy=False,
            opts=pulumi.ResourceOptions(parent=parent, hooks=hooks),
        )
        for api in APIS
    }


def enable_command(project: str) -> str:
    """Return the command that switches on what the plug-in needs first.

    Args:
        project: the project's id.
    """
    return f"gcloud services enable {' '.join(map(_full_name, NEEDED_FIRST))} --project {project}"


def _full_name(api: str) -> str:
    return f"{api}.googleapis.com"


def _remedy(project: str) -> pulumi.ErrorHook:
    """Says once what to do about an error of the plug-in's that all the resources have alike."""
    said: list[str] = []

    def say(args: pulumi.ErrorHookArgs) -> bool:
        # The newest is the first.
        if any(reason in args.errors[0] for reason in _IS_OFF) and not said:
            said.append(args.urn)
            # Not by Pulumi's log: what it has not sent yet is lost when the engine ends the program for this error.
            sys.stderr.write(
                f"project {project} lacks an API that must be on before this program can switch on the others:\n\n"
                f"  {enable_command(project)}\n\n"
                "One that was switched on a moment ago, by this update too, takes some minutes until it answers.\n"
                "Then run `pulumi up` again, which goes on where this one ended.\n"
            )
            sys.stderr.flush()
        # Not tried again: nobody knows when it answers, and a person may have to switch it on.
        return False

    return pulumi.ErrorHook("api-is-off", say)
