"""What the config leaves open to other pods of the cluster, in words."""

from __future__ import annotations

from dragonfly.settings.model import Settings

_SIGN_UP = "whoever reaches the manager's REST API signs up without a password and reads everything (users/signup)"


def open_doors(settings: Settings) -> list[str]:
    """Return what a config opens that the defaults keep shut.

    Args:
        settings: the stack's config.
    """
    if not settings.network_policies:
        return [
            "networkPolicies is false: unless the cluster has policies of its own, every pod reaches MySQL, Redis and "
            f"all ports of Dragonfly, and {_SIGN_UP}."
        ]
    if settings.console_from:
        namespaces = ", ".join(settings.console_from)
        return [f"consoleFrom lets every pod of {namespaces} in: {_SIGN_UP}."]
    return []
