"""Compares inputs with the types of the installed `pulumi_gcp` package: names, values, and what must be there.

The types are those of `sdk_types.py`; the SDK they come from is generated from the schema of the real plug-in, so that
what it knows of types is what that plug-in checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from local.plugins.property_values import Properties, Unknown, Value
from local.plugins.sdk_types import (
    ANY_OF,
    BOOLEAN,
    INTEGER,
    LIST,
    MAP,
    NUMBER,
    OBJECT,
    REQUIRED,
    STRING,
    Shape,
    described,
)


@dataclass(frozen=True)
class Fault:
    """What is wrong with an input.

    Attributes:
        path: the property, `nodeConfig.diskSizeGb`; empty for the resource as a whole.
        reason: what is wrong, as a sentence.
    """

    path: str
    reason: str


def input_names(token: str) -> frozenset[str]:
    """Return the names of a resource's inputs.

    Args:
        token: the resource's type token, `gcp:compute/disk:Disk`.

    Raises:
        KeyError: the SDK has no such resource.
    """
    return frozenset(described(token).inputs[OBJECT])


def output_names(token: str) -> frozenset[str]:
    """Return the names of the outputs that no input has: only the cloud knows them.

    Raises:
        KeyError: the SDK has no such resource.
    """
    return frozenset(described(token).outputs) - input_names(token)


def type_faults(token: str, inputs: Properties) -> list[Fault]:
    """Return where inputs differ from the SDK's types.

    Args:
        token: the resource's type token.
        inputs: without secrets.

    Raises:
        KeyError: the SDK has no such resource.
    """
    return _faults(inputs, described(token).inputs, "")


_WORDS: Final = {STRING: "a string", BOOLEAN: "a boolean", INTEGER: "a whole number", NUMBER: "a number"}


def _faults(value: Value, expected: Shape, path: str) -> list[Fault]:
    if value is None or isinstance(value, Unknown):
        return []
    if ANY_OF in expected:
        # Of several types the value may have, the one that fits best tells what is wrong.
        return min([_faults(value, candidate, path) for candidate in expected[ANY_OF]], key=len)
    if LIST in expected:
        if not isinstance(value, list):
            return [_mismatch(path, "a list", value)]
        element = expected[LIST]
        return [fault for index, item in enumerate(value) for fault in _faults(item, element, f"{path}[{index}]")]
    if MAP in expected:
        if not isinstance(value, dict):
            return [_mismatch(path, "a map", value)]
        element = expected[MAP]
        return [fault for name, item in value.items() for fault in _faults(item, element, f"{path}.{name}")]
    if OBJECT in expected:
        if not isinstance(value, dict):
            return [_mismatch(path, "an object", value)]
        return _object_faults(value, expected, path)
    return [_mismatch(path, word, value) for kind, word in _WORDS.items() if kind in expected and not _is(kind, value)]


def _object_faults(value: Properties, expected: Shape, path: str) -> list[Fault]:
    types: dict[str, Any] = expected[OBJECT]
    prefix = f"{path}." if path else ""
    faults: list[Fault] = []
    for name, element in value.items():
        if name in types:
            faults += _faults(element, types[name], prefix + name)
        else:
            known = f"Known are: {', '.join(sorted(types))}."
            faults.append(Fault(prefix + name, f"Invalid or unknown key. {known}"))
    return faults + [
        Fault(
            prefix + name,
            f'Missing required argument. The argument "{name}" is required, but no definition was found.',
        )
        for name in expected[REQUIRED]
        if value.get(name) is None
    ]


def _is(kind: str, value: Value) -> bool:
    if kind == STRING:
        return isinstance(value, str)
    if kind == BOOLEAN or isinstance(value, bool):
        return kind == BOOLEAN and isinstance(value, bool)
    return isinstance(value, int) or (kind == NUMBER and isinstance(value, float))


def _mismatch(path: str, expected: str, value: Value) -> Fault:
    found = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)
    return Fault(path, f"expected {expected}, found {found}.")
