"""The types of resources as Pulumi's Python packages have them, read from their input classes.

Reading them takes seconds, since a package is loaded as a whole, and what was read of one version stays true: so it is
kept in the cache.
"""

from __future__ import annotations

import collections.abc
import inspect
import json
import threading
import typing
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from local.certificates import write_private
from local.toolchain import cache_folder

Shape: TypeAlias = dict[str, Any]
"""A type as JSON has it: an object with one of the keys below, or an empty one for a type that is not looked into."""

OBJECT: Final = "object"
"""Key of an object's properties: their types by name. `REQUIRED` stands beside it."""
REQUIRED: Final = "required"
"""Key of the names of those that must be there."""
LIST: Final = "list"
"""Key of the type of a list's elements."""
MAP: Final = "map"
"""Key of the type of a map's values."""
ANY_OF: Final = "any of"
"""Key of the types that a value may have."""
STRING: Final = "string"
"""Key of a text."""
BOOLEAN: Final = "boolean"
"""Key of a truth value."""
INTEGER: Final = "integer"
"""Key of a whole number."""
NUMBER: Final = "number"
"""Key of any number."""

_SCALARS: Final[dict[Any, str]] = {str: STRING, bool: BOOLEAN, int: INTEGER, float: NUMBER}
_FORM: Final = 1
"""Changes with the form of what is kept."""

_READING: Final = threading.Lock()
"""A package loads its modules when they are first used, in a way that two threads must not do at once."""


@dataclass(frozen=True)
class Description:
    """The types of one resource.

    Attributes:
        inputs: the type of all inputs together, an object.
        outputs: names of everything that a resource has.
    """

    inputs: Shape
    outputs: list[str]


def described(token: str) -> Description:
    """Return the types of a resource.

    Args:
        token: its type token, `gcp:compute/disk:Disk`.

    Raises:
        KeyError: the package has no such resource.
    """
    with _READING:
        return _described(token)


@cache
def _described(token: str) -> Description:
    file = _cache_file(token.partition(":")[0])
    kept = _kept(file)
    if token not in kept:
        description = Description(_object(_class(token, "Args")), sorted(_sdk().resource_types(_class(token, ""))))
        file.parent.mkdir(parents=True, exist_ok=True)
        write_private(file, json.dumps({**_kept(file), token: asdict(description)}).encode())
        return description
    return Description(**kept[token])


def _cache_file(package: str) -> Path:
    return cache_folder() / "sdk-types" / f"{package}-{metadata.version(f'pulumi_{package}')}-{_FORM}.json"


def _kept(file: Path) -> dict[str, dict[str, Any]]:
    try:
        return cast("dict[str, dict[str, Any]]", json.loads(file.read_text()))
    except (OSError, ValueError):
        return {}


def _sdk() -> Any:
    # What the SDK itself reads types with. It has no public name.
    return import_module("pulumi._types")


def _class(token: str, suffix: str) -> type:
    package, module, name = token.split(":")
    try:
        return cast(type, getattr(import_module(f"pulumi_{package}.{module.partition('/')[0]}"), name + suffix))
    except (ImportError, AttributeError):
        raise KeyError(f"pulumi_{package} has no {token}") from None


def _object(input_type: type) -> Shape:
    types = cast("dict[str, Any]", _sdk().input_type_types(input_type))
    names = cast("dict[str, str]", _sdk().input_type_py_to_pulumi_names(input_type))
    parameters = inspect.signature(input_type.__init__).parameters
    required = [
        names[name] for name in names if name in parameters and parameters[name].default is inspect.Parameter.empty
    ]
    return {OBJECT: {name: _shape(expected) for name, expected in types.items()}, REQUIRED: required}


def _shape(expected: Any) -> Shape:
    candidates = _candidates(expected)
    if len(candidates) != 1:
        return {ANY_OF: [_one_shape(candidate) for candidate in candidates]}
    return _one_shape(candidates[0])


def _one_shape(expected: Any) -> Shape:
    origin = typing.get_origin(expected)
    if origin in (collections.abc.Sequence, list):
        return {LIST: _shape(typing.get_args(expected)[0])}
    if origin in (collections.abc.Mapping, dict):
        return {MAP: _shape(typing.get_args(expected)[1])}
    if isinstance(expected, type) and cast(bool, _sdk().is_input_type(expected)):
        return _object(expected)
    # Types beyond these are enumerations of strings, which Google's own messages are about.
    return {_SCALARS[expected]: True} if expected in _SCALARS else {}


def _candidates(expected: Any) -> list[Any]:
    """Take apart `Input[T]`, which is a union of `T`, an awaitable and an output."""
    if typing.get_origin(expected) is not typing.Union:
        return [expected]
    import pulumi

    found: list[Any] = []
    for candidate in typing.get_args(expected):
        if candidate is type(None) or typing.get_origin(candidate) in (collections.abc.Awaitable, pulumi.Output):
            continue
        found += _candidates(candidate)
    return found
