"""Google's own container registries, whose images are mostly private (Artifact Registry documentation, "Locations")."""

from __future__ import annotations

_CONTAINER_REGISTRY = "gcr.io"
_MULTI_REGIONS = ("us", "europe", "asia")


def google_registries(region: str) -> list[str]:
    """Return the hosts of a region, of the multi-region around it, and of the older Container Registry.

    Args:
        region: for example `us-west1`.
    """
    around = [multi for multi in _MULTI_REGIONS if region.startswith(f"{multi}-")]
    return [*(f"{place}-docker.pkg.dev" for place in (region, *around)), _CONTAINER_REGISTRY]
