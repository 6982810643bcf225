"""That `schema.json` and the installed SDK know the same fields: the file must not grow old unnoticed."""

from __future__ import annotations

import collections.abc
import typing
from importlib import import_module
from typing import Any

from local.standins.plugins.google.provider import KINDS
from local.standins.plugins.google.schema import Fields

# What the SDK reads its own types with. It has no public name.
sdk: Any = import_module("pulumi._types")

DIFFERENT = {
    # Of the releases in between.
    "bestEffortProvisioning",
    "networkConfig.additionalNodeNetworkConfigs.stackType",
    "nodePools.bestEffortProvisioning",
    "nodePools.networkConfig.additionalNodeNetworkConfigs.stackType",
    # Write-only arguments, which the file leaves out.
    "diskEncryptionKey.rawKeyWo",
    "diskEncryptionKey.rawKeyWoVersion",
    "diskEncryptionKey.rsaEncryptedKeyWo",
    "diskEncryptionKey.rsaEncryptedKeyWoVersion",
    # The file does not say what is inside.
    "clusterAutoscaling.autoProvisioningDefaults.upgradeSettings.blueGreenSettings",
}
"""Inputs of the SDK that the file does not have, or not in full."""

DEPTH = 4
"""The file says nothing of what is inside a field so deep."""

OUTER = {"List": collections.abc.Sequence, "Set": collections.abc.Sequence, "Map": collections.abc.Mapping}
SCALARS = {"String": str, "Bool": bool, "Int": int, "Float": float}


def test_file_and_sdk_know_the_same_fields() -> None:
    found: set[str] = set()
    for token, kind in KINDS.items():
        package, module, name = token.split(":")
        loaded: Any = import_module(f"pulumi_{package}.{module.partition('/')[0]}")
        found |= sdk.resource_types(getattr(loaded, name)).keys() ^ kind.fields.keys()
        found |= set(differences(getattr(loaded, f"{name}Args"), kind.fields, ""))
    assert found == DIFFERENT


def differences(arguments: Any, fields: Fields, prefix: str) -> collections.abc.Iterator[str]:
    """Paths of inputs that only one of the two has, or that are of another type."""
    types: dict[str, Any] = sdk.input_type_types(arguments)
    # Inside a block, the SDK has one type for inputs and outputs.
    given = {name: field for name, field in fields.items() if prefix or field.given}
    yield from (prefix + name for name in types.keys() ^ given.keys())
    for name in types.keys() & given.keys():
        field, path = given[name], prefix + name
        candidates = list(flattened(types[name]))
        if not field.is_block and field.type in OUTER:
            outer = [one for one in candidates if typing.get_origin(one) is OUTER[field.type]]
            candidates = [inner for one in outer for inner in flattened(typing.get_args(one)[-1])]
        blocks = [one for one in candidates if isinstance(one, type) and sdk.is_input_type(one)]
        if field.fields and blocks:
            yield from differences(blocks[0], field.fields, f"{path}.")
        elif field.given and path.count(".") < DEPTH and SCALARS.get(field.type, str) not in candidates:
            yield path


def flattened(annotation: Any) -> collections.abc.Iterator[Any]:
    """The types in an annotation `Input[T]`: a union of `T`, an awaitable and an output."""
    if typing.get_origin(annotation) is typing.Union:
        for one in typing.get_args(annotation):
            yield from flattened(one)
    else:
        yield annotation
