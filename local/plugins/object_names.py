"""Names that the plug-in gives: of objects the program left unnamed, and of field managers."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from local.plugins.object_fields import annotation_of, name_of
from local.plugins.property_values import Properties, Unknown

AUTONAMED: Final = "pulumi.com/autonamed"
"""The annotation that marks a given name, so that a replacement may get another one."""
_SUFFIX_DIGITS: Final = 8
"""Hexadecimal digits of a suffix, as in the engine's `resource.NewUniqueName` with its defaults."""


def unique_name(prefix: str, seed: bytes) -> str:
    """Return the prefix with a random suffix; the same seed gives the same name, so preview and update agree."""
    digits = hashlib.sha256(seed + prefix.encode()).hexdigest() if seed else secrets.token_hex(_SUFFIX_DIGITS)
    return prefix + digits[:_SUFFIX_DIGITS]


def assign_name(item: Properties, resource_name: str, seed: bytes, proposed: str, *, disabled: bool) -> None:
    """Name an unnamed object in place: as the engine proposes, or after the resource with a random suffix.

    Names that only the update knows are left alone.

    Raises:
        ValueError: the object has no name and the stack's `pulumi:autonaming` forbids to give one.
    """
    if not _wants_name(item):
        return
    if disabled:
        raise ValueError(
            f"resource {resource_name!r} has no name and automatic naming is disabled (pulumi:autonaming); "
            "set .metadata.name"
        )
    _set_name(item, proposed or unique_name(f"{resource_name}-", seed))


def adopt_name(item: Properties, old: Properties) -> None:
    """Give an unnamed object, in place, the name that its former self was given."""
    if _wants_name(item) and annotation_of(old, AUTONAMED) == "true":
        _set_name(item, name_of(old))


def is_autonamed(item: Properties) -> bool:
    """Tell whether the object's name was given by the plug-in."""
    return annotation_of(item, AUTONAMED) == "true"


def _wants_name(item: Properties) -> bool:
    metadata = item.get("metadata")
    if isinstance(metadata, Unknown):
        return False
    return not isinstance(metadata, dict) or not metadata.get("name")


def _set_name(item: Properties, name: str) -> None:
    metadata = item.get("metadata")
    if not isinstance(metadata, dict):
        metadata = {}
        item["metadata"] = metadata
    metadata["name"] = name
    annotations = metadata.get("annotations")
    if not isinstance(annotations, dict):
        annotations = {}
        metadata["annotations"] = annotations
    annotations[AUTONAMED] = "true"
