"""Regions and zones of Google Cloud, by the form of their names."""

from __future__ import annotations

import re
from typing import Final

_REGION: Final = re.compile(r"[a-z]+(?:-[a-z]+)+\d+")
_ZONE: Final = re.compile(r"(?P<region>[a-z]+(?:-[a-z]+)+\d+)-[a-f]")
_ZONES_OF_A_REGION: Final = "abc"


def is_region(location: str) -> bool:
    """Whether a location is a region, `us-west1`."""
    return _REGION.fullmatch(location) is not None


def is_zone(location: str) -> bool:
    """Whether a location is a zone, `us-west1-a`."""
    return _ZONE.fullmatch(location) is not None


def region_of(location: str) -> str:
    """Return the region of a zone, or a region itself."""
    match = _ZONE.fullmatch(location)
    return match["region"] if match else location


def zones_of(location: str) -> list[str]:
    """Return a zone itself, or three zones of a region."""
    return [location] if is_zone(location) else [f"{location}-{letter}" for letter in _ZONES_OF_A_REGION]
