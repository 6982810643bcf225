"""The versions of GKE that the stand-in cloud offers: the local control plane's, in GKE's form."""

from __future__ import annotations

from typing import Final

from local.tools.catalog import TOOLS

CHANNELS: Final = ("RAPID", "REGULAR", "STABLE", "EXTENDED")
"""The release channels (GKE documentation, "About release channels")."""

_BUILD: Final = "gke.1000000"


def newest_version() -> str:
    """Return the one version that there is, `1.36.3-gke.1000000`."""
    return f"{TOOLS['kubernetes'].version.removeprefix('v')}-{_BUILD}"
