"""Resource properties as the engine sends them: protobuf structs to and from Python values.

Secrets and unknowns keep their own types here, so that no other module handles the wire's signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, Union, cast

from google.protobuf import struct_pb2 as _struct_pb2  # pyright: ignore[reportMissingTypeStubs]

_struct: Any = _struct_pb2

SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
"""Marks a struct that is not a plain object; the same text as `_special_sig_key` in the SDK's `runtime/rpc.py`."""
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker, the same for everybody
"""Marks a secret; `_special_secret_sig` in the SDK's `runtime/rpc.py`."""
OUTPUT_SIGNATURE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
"""Marks an output value; `_special_output_value_sig` in the SDK's `runtime/rpc.py`."""
UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Stands for a value not known before the update; `UNKNOWN` in the SDK's `runtime/rpc.py`."""
_UNKNOWN_TEXTS: Final = frozenset(
    {
        # One text for each type: constants Unknown*Value in the engine's sdk/go/common/resource/plugin/rpc.go.
        UNKNOWN_TEXT,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)


@dataclass(frozen=True)
class Unknown:
    """A value that only the update will know."""


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that the state keeps encrypted; its text form never shows the value."""

    value: Value

    def __repr__(self) -> str:
        return "Secret([secret])"


Value: TypeAlias = Union[bool, int, float, str, Unknown, Secret, "list[Value]", "dict[str, Value]", None]
"""A property's value. Plain Kubernetes objects are values without `Secret`."""
Properties: TypeAlias = dict[str, Value]
"""The properties of one resource, or one nested object."""


def read_properties(struct: object) -> Properties:
    """Return the properties in a protobuf `Struct`, without those that are null, as the real plug-ins read them.

    Whole numbers become `int`: the wire knows only doubles, the API server only integers where it wants them.
    """
    fields = cast("Mapping[str, object]", cast(Any, struct).fields)
    return {name: value for name, item in fields.items() if (value := _read(item)) is not None}


def _read(item: object) -> Value:
    wire = cast(Any, item)
    which = cast("str | None", wire.WhichOneof("kind"))
    if which == "string_value":
        text = cast(str, wire.string_value)
        return UNKNOWN if text in _UNKNOWN_TEXTS else text
    if which == "number_value":
        number = cast(float, wire.number_value)
        return int(number) if number.is_integer() else number
    if which == "bool_value":
        return cast(bool, wire.bool_value)
    if which == "list_value":
        return [_read(element) for element in cast("Iterable[object]", wire.list_value.values)]
    if which == "struct_value":
        return _from_signature(read_properties(wire.struct_value))
    return None


def _from_signature(fields: Properties) -> Value:
    signature = fields.get(SIGNATURE_KEY)
    if signature == SECRET_SIGNATURE:
        return Secret(fields.get("value"))
    if signature == OUTPUT_SIGNATURE:
        value = fields.get("value", UNKNOWN)
        return Secret(value) if fields.get("secret") is True else value
    return fields


def write_properties(properties: Mapping[str, Value]) -> Any:
    """Return a protobuf `Struct` with the given properties, secrets marked; nulls are left out."""
    struct = _struct.Struct()
    _write_fields(struct, properties)
    return struct


def _write_fields(struct: Any, properties: Mapping[str, Value]) -> None:
    fields = struct.fields
    # Protobuf makes an entry on access, so a null is skipped before it is touched.
    for name, value in properties.items():
        if value is not None:
            _write(fields[name], value)


def _write(item: Any, value: Value) -> None:
    if isinstance(value, Secret):
        _write_fields(item.struct_value, {SIGNATURE_KEY: SECRET_SIGNATURE, "value": value.value})
        if value.value is None:
            item.struct_value.fields["value"].null_value = 0
    elif isinstance(value, Unknown):
        item.string_value = UNKNOWN_TEXT
    elif value is None:
        item.null_value = 0
    elif isinstance(value, bool):
        item.bool_value = value
    elif isinstance(value, (int, float)):
        item.number_value = value
    elif isinstance(value, str):
        item.string_value = value
    elif isinstance(value, list):
        item.list_value.SetInParent()
        for element in value:
            _write(item.list_value.values.add(), element)
    else:
        item.struct_value.SetInParent()
        _write_fields(item.struct_value, value)


def without_secrets(value: Value) -> Value:
    """Return a copy in which every secret is replaced by what it holds."""
    if isinstance(value, Secret):
        return without_secrets(value.value)
    if isinstance(value, list):
        return [without_secrets(element) for element in value]
    if isinstance(value, dict):
        return {name: without_secrets(element) for name, element in value.items()}
    return value


def plain_object(properties: Properties) -> Properties:
    """Return a copy of the properties with every secret replaced by what it holds."""
    return {name: without_secrets(value) for name, value in properties.items()}


def contains(value: Value, wanted: Callable[[Value], bool]) -> bool:
    """Tell whether the value, or any value inside it, is wanted."""
    if wanted(value):
        return True
    if isinstance(value, Secret):
        return contains(value.value, wanted)
    if isinstance(value, list):
        return any(contains(element, wanted) for element in value)
    if isinstance(value, dict):
        return any(contains(element, wanted) for element in value.values())
    return False


def has_unknown(value: Value) -> bool:
    """Tell whether any part of the value is known only to the update."""
    return contains(value, lambda part: isinstance(part, Unknown))


def has_secret(value: Value) -> bool:
    """Tell whether any part of the value is secret."""
    return contains(value, lambda part: isinstance(part, Secret))


def secret_texts(value: Value) -> set[str]:
    """Return every text found inside a secret, for taking them out of messages."""
    texts: set[str] = set()

    def gather(part: Value, inside: bool) -> None:
        if isinstance(part, Secret):
            gather(part.value, True)
        elif isinstance(part, str):
            if inside:
                texts.add(part)
        elif isinstance(part, list):
            for element in part:
                gather(element, inside)
        elif isinstance(part, dict):
            for element in part.values():
                gather(element, inside)

    gather(value, False)
    return texts


def mark_secrets(outputs: Properties, inputs: Mapping[str, Value]) -> None:
    """Make secret in `outputs`, in place, what is secret in `inputs`.

    Objects are compared field by field; anything else that holds a secret makes the whole output secret, since a list
    may come back in another order. A Secret's `data` and `stringData` are always secret. The rule is
    `annotateSecrets` of pulumi-kubernetes, `provider/pkg/provider/provider.go`.
    """
    if outputs.get("kind") == "Secret":
        for name in ("data", "stringData"):
            if name in outputs and not isinstance(outputs[name], Secret):
                outputs[name] = Secret(outputs[name])
        return
    for name, value in inputs.items():
        if name not in outputs:
            continue
        output = outputs[name]
        if isinstance(output, dict) and isinstance(value, dict):
            mark_secrets(output, value)
        elif not isinstance(output, Secret) and has_secret(value):
            outputs[name] = Secret(output)
