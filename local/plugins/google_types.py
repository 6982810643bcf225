"""Compares inputs with the types of the installed `pulumi_gcp` package: names, values, and what must be there.

The SDK is generated from the schema of the real plug-in, so that what it knows of types is what that plug-in checks.
"""

from __future__ import annotations

import collections.abc
import inspect
import threading
import typing
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, cast

import pulumi

from local.plugins.property_values import Properties, Unknown, Value

_sdk_types: Any = import_module("pulumi._types")
"""What the SDK itself reads types with. It has no public name for it."""

_LOADING = threading.Lock()
"""The SDK's modules are loaded when first used, in a way that two threads must not do at once."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with an input.

    Attributes:
        path: the property, `nodeConfig.diskSizeGb`; empty for the resource as a whole.
        reason: what is wrong, as a sentence.
    """

    path: str
    reason: str


@cache
def input_types(token: str) -> dict[str, Any]:
    """Return the types of a resource's inputs, by name.

    Args:
        token: the resource's type token, `gcp:compute/disk:Disk`.

    Raises:
        KeyError: the SDK has no such resource.
    """
    return cast("dict[str, Any]", _sdk_types.input_type_types(_class(token, "Args")))


@cache
def output_names(token: str) -> frozenset[str]:
    """Return the names of the outputs that no input has: only the cloud knows them.

    Raises:
        KeyError: the SDK has no such resource.
    """
    return frozenset(_sdk_types.resource_types(_class(token, ""))) - input_types(token).keys()


def type_faults(token: str, inputs: Properties) -> list[Fault]:
    """Return where inputs differ from the SDK's types.

    Args:
        token: the resource's type token.
        inputs: without secrets.

    Raises:
        KeyError: the SDK has no such resource.
    """
    return _object_faults(inputs, _class(token, "Args"), "")


@cache
def _class(token: str, suffix: str) -> type:
    package, module, name = token.split(":")
    try:
        with _LOADING:
            return cast(type, getattr(import_module(f"pulumi_{package}.{module.partition('/')[0]}"), name + suffix))
    except (ImportError, AttributeError):
        raise KeyError(f"pulumi_{package} has no {token}") from None


def _object_faults(value: Properties, expected: type, path: str) -> list[Fault]:
    types = cast("dict[str, Any]", _sdk_types.input_type_types(expected))
    faults: list[Fault] = []
    for name, element in value.items():
        inner = f"{path}.{name}" if path else name
        if name not in types:
            faults.append(Fault(inner, f"Invalid or unknown key. {_known(types)}"))
        else:
            faults += _value_faults(element, types[name], inner)
    return faults + [
        Fault(
            f"{path}.{name}" if path else name,
            f'Missing required argument. The argument "{name}" is required, but no definition was found.',
        )
        for name in _required(expected)
        if value.get(name) is None
    ]


def _known(types: dict[str, Any]) -> str:
    return f"Known are: {', '.join(sorted(types))}."


@cache
def _required(expected: type) -> tuple[str, ...]:
    names = cast("dict[str, str]", _sdk_types.input_type_py_to_pulumi_names(expected))
    parameters = inspect.signature(expected.__init__).parameters
    return tuple(
        names[name] for name in names if name in parameters and parameters[name].default is inspect.Parameter.empty
    )


def _value_faults(value: Value, expected: Any, path: str) -> list[Fault]:
    if value is None or isinstance(value, Unknown):
        return []
    candidates = _candidates(expected)
    tried = [_one_type_faults(value, candidate, path) for candidate in candidates]
    # Of several types the value may have, the one that fits best tells what is wrong.
    return min(tried, key=len) if tried else []


def _one_type_faults(value: Value, expected: Any, path: str) -> list[Fault]:
    origin = typing.get_origin(expected)
    if origin in (collections.abc.Sequence, list):
        if not isinstance(value, list):
            return [_mismatch(path, "a list", value)]
        element = typing.get_args(expected)[0]
        return [fault for index, item in enumerate(value) for fault in _value_faults(item, element, f"{path}[{index}]")]
    if origin in (collections.abc.Mapping, dict):
        if not isinstance(value, dict):
            return [_mismatch(path, "a map", value)]
        element = typing.get_args(expected)[1]
        return [fault for name, item in value.items() for fault in _value_faults(item, element, f"{path}.{name}")]
    if isinstance(expected, type) and cast(bool, _sdk_types.is_input_type(expected)):
        if not isinstance(value, dict):
            return [_mismatch(path, "an object", value)]
        return _object_faults(value, expected, path)
    is_bool = isinstance(value, bool)
    fits = {
        str: isinstance(value, str),
        bool: is_bool,
        int: isinstance(value, int) and not is_bool,
        float: isinstance(value, (int, float)) and not is_bool,
    }
    # Types beyond these are unions and enumerations of strings, which Google's own messages are about.
    return [] if fits.get(expected, True) else [_mismatch(path, _WORDS[expected], value)]


_WORDS: dict[Any, str] = {str: "a string", bool: "a boolean", int: "a whole number", float: "a number"}


def _mismatch(path: str, expected: str, value: Value) -> Fault:
    return Fault(path, f"expected {expected}, found {_short(value)}.")


def _short(value: Value) -> str:
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else repr(value)


def _candidates(expected: Any) -> list[Any]:
    """Take apart `Input[T]`, which is a union of `T`, an awaitable and an output."""
    if typing.get_origin(expected) is not typing.Union:
        return [expected]
    found: list[Any] = []
    for candidate in typing.get_args(expected):
        origin = typing.get_origin(candidate)
        if candidate is type(None) or origin in (collections.abc.Awaitable, pulumi.Output):
            continue
        found += _candidates(candidate)
    return found
