"""How a person reaches the manager's console."""

from __future__ import annotations

import shlex

from dragonfly.parts import ports
from dragonfly.parts.names import Names

CONSOLE_URL = f"http://localhost:{ports.MANAGER_REST}"
"""Where it answers while the port forwarding runs."""


CONSOLE_USER = "root"
"""Who can do everything there."""


def password_command(stack: str) -> str:
    """Return the command that shows that user's password.

    Args:
        stack: the stack's name.
    """
    return f"pulumi stack output consoleRootPassword --show-secrets --stack {stack}"


def port_forward_command(namespace: str, names: Names, context: str | None) -> str:
    """Return the command that makes the console reachable from a workstation.

    Args:
        namespace: the instance's.
        names: of its objects.
        context: of the reader's kubeconfig; its current one when None.
    """
    chosen = f" --context {shlex.quote(context)}" if context else ""
    return (
        f"kubectl{chosen} port-forward --namespace {namespace} svc/{names.manager_service} "
        f"{ports.MANAGER_REST}:{ports.MANAGER_REST}"
    )
