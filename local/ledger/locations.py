"""Regions and zones of Google Cloud, by the form of their names and the letters of their zones."""

from __future__ import annotations

import re
from typing import Final

_REGION: Final = re.compile(r"[a-z]+(?:-[a-z]+)+\d+")
_ZONE: Final = re.compile(r"(?P<region>[a-z]+(?:-[a-z]+)+\d+)-(?P<letter>[a-z])")
_LETTERS: Final = {"us-east1": "bcd", "europe-west1": "bcd", "us-central1": "abcf"}
"""Of the regions whose zones have other letters than most (Compute Engine documentation, "Regions and zones")."""

_LETTERS_OF_MOST: Final = "abc"
_ZONES_OF_A_CLUSTER: Final = 3


def is_region(location: str) -> bool:
    """Whether a location is a region, `us-west1`."""
    return _REGION.fullmatch(location) is not None


def is_zone(location: str) -> bool:
    """Whether a location is a zone that there is, `us-west1-a`."""
    match = _ZONE.fullmatch(location)
    return match is not None and match["letter"] in _letters(match["region"])


def region_of(location: str) -> str:
    """Return the region of a zone, or a region itself."""
    match = _ZONE.fullmatch(location)
    return match["region"] if match else location


def zones_of(location: str) -> list[str]:
    """Return a zone itself, or the zones of a region."""
    return [location] if is_zone(location) else [f"{location}-{letter}" for letter in _letters(location)]


def node_zones_of(location: str) -> list[str]:
    """Return where GKE puts the nodes of a cluster that does not say it: in three zones of its choice."""
    return zones_of(location)[-_ZONES_OF_A_CLUSTER:]


def _letters(region: str) -> str:
    return _LETTERS.get(region, _LETTERS_OF_MOST)
