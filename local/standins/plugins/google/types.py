"""Compares inputs with the types of a resource's fields: names, values, and what must be there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from local.standins.plugins.google.schema import Field, Fields
from local.standins.plugins.property_values import Properties, Unknown, Value

_WORDS: Final = {
    "String": "a string",
    "Bool": "a boolean",
    "Int": "a whole number",
    "Float": "a number",
    "Map": "a map",
    "List": "a list",
    "Set": "a list",
    "Block": "an object",
}
_TYPES: Final = {
    "String": (str,),
    "Int": (int,),
    "Float": (int, float),
    "Map": (dict,),
    "List": (list,),
    "Set": (list,),
    "Block": (dict,),
}


@dataclass(frozen=True)
class Fault:
    """What is wrong with an input.

    Attributes:
        path: the property, `nodeConfig.diskSizeGb`; empty for the resource as a whole.
        reason: what is wrong, as a sentence.
    """

    path: str
    reason: str


def type_faults(fields: Fields, inputs: Properties, path: str = "") -> list[Fault]:
    """Return where inputs differ from their fields.

    Args:
        fields: of the resource, or of a block in it.
        inputs: without secrets.
        path: of the block.
    """
    prefix = f"{path}." if path else ""
    faults: list[Fault] = []
    for name, value in inputs.items():
        if name in fields and fields[name].given:
            faults += _faults(fields[name], value, prefix + name)
        else:
            known = ", ".join(sorted(name for name, field in fields.items() if field.given))
            faults.append(Fault(prefix + name, f"Invalid or unknown key. Known are: {known}."))
    return faults + [
        Fault(
            prefix + name,
            f'Missing required argument. The argument "{name}" is required, but no definition was found.',
        )
        for name, field in fields.items()
        if "Required" in field.flags and inputs.get(name) is None
    ]


def _faults(field: Field, value: Value, path: str) -> list[Fault]:
    kind = "Block" if field.is_block else field.type
    found = _mismatch(kind, value, path)
    if found or value is None or isinstance(value, Unknown):
        return found
    if isinstance(value, dict):
        if field.is_block:
            return type_faults(field.fields, value, path)
        return [fault for name, item in value.items() for fault in _mismatch("String", item, f"{path}.{name}")]
    faults: list[Fault] = []
    for index, item in enumerate(value if isinstance(value, list) else []):
        at = f"{path}[{index}]"
        faults += _mismatch("Block" if field.fields else "String", item, at)
        if isinstance(item, dict):
            faults += type_faults(field.fields, item, at)
    return faults


def _mismatch(kind: str, value: Value, path: str) -> list[Fault]:
    if value is None or isinstance(value, Unknown):
        return []
    if isinstance(value, bool) if kind == "Bool" else isinstance(value, _TYPES[kind]) and not isinstance(value, bool):
        return []
    found = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)
    return [Fault(path, f"expected {_WORDS[kind]}, found {found}.")]
