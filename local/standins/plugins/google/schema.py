"""What the real plug-in knows of every field of a resource, read from `schema.json`.

The file has the flags of the resources' fields as the provider's own schema gives them: terraform-provider-google-beta,
the branch of 8.0.0 that pulumi-gcp 10.2 bridges, through the bridge's code of 9.35. Its names are Terraform's in camel
case; here they have the form that the bridge gives them. `tests/local/standins/test_google_schema.py` compares them
with the SDK.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

from local.standins.plugins.property_values import Properties, Value

_FILE: Final = Path(__file__).with_name("schema.json")
_DEFAULT: Final = "Default="
_RENAMED: Final = {"terraformLabels": "pulumiLabels"}

Fields: TypeAlias = "dict[str, Field]"
"""Fields of a resource or of a block in it, by their names in the SDK."""


@dataclass(frozen=True)
class Field:
    """One field.

    Attributes:
        type: `String`, `Bool`, `Int`, `Float`, `Map`, `List` or `Set`.
        flags: of `Required`, `Optional`, `Computed`, `ForceNew`, `Suppress`, and `max1` for a list that is an object in
            the SDK.
        default: what the plug-in takes where the program leaves the field out, or None.
        fields: of a block, or of every element of a list of blocks.
    """

    type: str
    flags: frozenset[str]
    default: Value
    fields: Fields

    @property
    def given(self) -> bool:
        """Whether a program may set it."""
        return bool(self.flags & {"Required", "Optional"})

    @property
    def computed(self) -> bool:
        """Whether the cloud fills it in where the program leaves it out."""
        return "Computed" in self.flags

    @property
    def is_block(self) -> bool:
        """Whether it is an object in the SDK."""
        return "max1" in self.flags and bool(self.fields)

    def forces(self, *values: Value) -> bool:
        """Whether a change between values needs a new resource: the field itself does, or one that they have inside."""
        if "ForceNew" in self.flags:
            return True
        inside = (part for value in values for part in (value if isinstance(value, list) else [value]))
        return any(
            self.fields[name].forces(item)
            for part in inside
            if isinstance(part, dict)
            for name, item in part.items()
            if name in self.fields and not self.fields[name].is_empty(item)
        )

    def is_empty(self, value: Value) -> bool:
        """Whether a value is what the API's answers leave out; a block counts, whatever is in it."""
        return value is None or value in ([], "", False, 0) or (value == {} and not self.is_block)


@cache
def fields_of(resource: str) -> Fields:
    """Return the fields of a resource.

    Args:
        resource: Terraform's name of it, `google_compute_disk`.

    Raises:
        KeyError: the file does not have it.
    """
    described: dict[str, str] = json.loads(_FILE.read_text())[resource]
    return _inside(described, "")


def planned(fields: Fields, state: Value, inputs: Properties) -> Properties:
    """Return what a resource is to be: what the program leaves out has its default, or stays where it is computed.

    Args:
        fields: the resource's.
        state: the resource as it is; empty for a new one, and unknown for one whose cloud has not answered yet.
        inputs: what the program wants; may hold secrets.
    """
    result: Properties = {}
    for name, field in fields.items():
        value, old = inputs.get(name), state.get(name) if isinstance(state, dict) else state
        if value is None:
            value = field.default if field.default is not None or not field.computed else old
        elif isinstance(value, dict) and field.is_block:
            value = planned(field.fields, old, value)
        elif isinstance(value, list) and field.fields:
            olds = old if isinstance(old, list) and len(old) == len(value) else [None] * len(value)
            value = [
                planned(field.fields, before, item) if isinstance(item, dict) else item
                for before, item in zip(olds, value, strict=True)
            ]
        if value is not None:
            result[name] = value
    return result


def _inside(described: dict[str, str], prefix: str) -> Fields:
    fields: Fields = {}
    for path, text in described.items():
        name = path.removeprefix(prefix)
        if not path.startswith(prefix) or "." in name:
            continue
        words = text.split()
        default = next((word.removeprefix(_DEFAULT) for word in words if word.startswith(_DEFAULT)), None)
        (kind,) = _TYPES & set(words)
        field = Field(kind, frozenset(words), _typed(kind, default), _inside(described, f"{path}."))
        fields[_sdk_name(name, field.type, field.flags)] = field
    return fields


_TYPES: Final = frozenset({"String", "Bool", "Int", "Float", "Map", "List", "Set"})


def _sdk_name(name: str, kind: str, flags: Iterable[str]) -> str:
    # The bridge's inflection, as far as these resources need it.
    if kind not in ("List", "Set") or "max1" in flags or name.endswith("s"):
        return _RENAMED.get(name, name)
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"


def _typed(kind: str, text: str | None) -> Value:
    if text is None or kind == "String":
        return text
    return text == "true" if kind == "Bool" else float(text) if kind == "Float" else int(text)
