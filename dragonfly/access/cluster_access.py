"""What must be known to reach the installation's cluster."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi


# It holds credentials, which no message may show.
@dataclass(frozen=True, repr=False)
class ClusterAccess:
    """How the installation's cluster is reached.

    Args:
        kubeconfig: contents of a kubeconfig, secret; the ambient one when None.
        context: of the kubeconfig; its current one when None.
    """

    kubeconfig: pulumi.Input[str] | None = None
    context: str | None = None
