"""The stand-in for pulumi-resource-random: `RandomPassword`, drawn once and kept in the state.

Behaviour follows pulumi-random 4.21, which bridges Terraform's `random` provider 3.
"""

from __future__ import annotations

import secrets
import string
import warnings
from typing import Any, Final, cast

from pulumi.runtime.proto import provider_pb2 as _wire

from local.standins.plugins.engine_log import EngineLog
from local.standins.plugins.object_fields import number_at
from local.standins.plugins.property_values import (
    UNKNOWN,
    Properties,
    Secret,
    has_unknown,
    mark_secrets,
    plain_object,
    read_properties,
    without_secrets,
    write_properties,
)
from local.standins.plugins.provider_errors import ProviderError

wire: Any = _wire

_KIND: Final = "random:index/randomPassword:RandomPassword"
_CLASSES: Final = {
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "numeric": string.digits,
    "special": "!@#$%&*()-_=+[]{}<>:?",
}
"""Characters by the input that takes them in (Terraform's `random_password`); all do unless the program says false."""
_PLAYED: Final = {"length", "keepers", *_CLASSES}
"""The inputs that the stand-in knows."""
_DEFAULTS: Final[Properties] = {
    **dict.fromkeys((*_CLASSES, "number"), True),
    **dict.fromkeys(("minLower", "minUpper", "minNumeric", "minSpecial"), 0),
}
"""What a password has unless the program says otherwise."""
_OUTPUTS: Final = ("result", "bcryptHash")
_BCRYPT_LIMIT: Final = 72
"""Bytes of a password that bcrypt looks at."""
_ID: Final = "none"
"""The value must not show in the id."""


def draw_text(inputs: Properties) -> str:
    """Return a random text.

    Args:
        inputs: `length`, and the classes to use (`lower`, `upper`, `numeric`, `special`).

    Raises:
        ProviderError: there is no character to draw from.
    """
    characters = "".join(found for name, found in _CLASSES.items() if inputs.get(name) is not False)
    if not characters:
        raise ProviderError("no characters to draw from; enable one of lower, upper, numeric and special")
    return "".join(secrets.choice(characters) for _ in range(number_at(inputs, "length")))


def bcrypt_hash(text: str) -> str:
    """Return the bcrypt hash of the text's first 72 bytes, at cost 10 as in the real plug-in.

    Empty where the C library has no bcrypt.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import crypt

    salt = "".join(secrets.choice(string.ascii_letters + string.digits + "./") for _ in range(21)) + "."
    hashed = crypt.crypt(text.encode()[:_BCRYPT_LIMIT].decode(errors="ignore"), f"$2b$10${salt}")
    return hashed if hashed and hashed.startswith("$2b$") else ""


class RandomProvider:
    """Draws values at creation and never again; any changed input asks for a new one."""

    def __init__(self, log: EngineLog) -> None:
        """Start; there is nothing to configure and nothing to report."""
        del log

    def check_config(self, request: Any) -> Any:
        """Accept any configuration: the package has none."""
        return wire.CheckResponse(inputs=request.news)

    def diff_config(self, request: Any) -> Any:
        """Report no change: the package has no configuration."""
        del request
        return wire.DiffResponse(changes=wire.DiffResponse.DIFF_NONE)

    def configure(self, request: Any) -> Any:
        """Tell the engine what the plug-in understands."""
        del request
        return wire.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def cancel(self) -> None:
        """Do nothing: no operation waits."""

    def check(self, request: Any) -> Any:
        """Accept the inputs, or name those that are missing, out of range or not played.

        Raises:
            ProviderError: it is not a password.
        """
        kind = cast(str, request.urn).split("::")[2].rpartition("$")[2]
        if kind != _KIND:
            raise ProviderError(f"the stand-in for pulumi-random has no {kind}; it has: {_KIND}")
        inputs = read_properties(request.news)
        length = plain_object(inputs).get("length")
        faults = dict.fromkeys(inputs.keys() - _PLAYED, "the stand-in for pulumi-random does not know it")
        faults.pop("__defaults", None)
        if not has_unknown(length) and number_at(plain_object(inputs), "length") < 1:
            faults["length"] = f"expected a whole number above 0, found {length!r}"
        failures = [wire.CheckFailure(property=name, reason=reason) for name, reason in faults.items()]
        return wire.CheckResponse(inputs=write_properties(inputs), failures=failures)

    def diff(self, request: Any) -> Any:
        """Ask for a replacement when any input changed, `keepers` included."""
        old = _settings(read_properties(request.old_inputs) or read_properties(request.olds))
        new = _settings(read_properties(request.news))
        changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
        replace = wire.PropertyDiff(kind=wire.PropertyDiff.UPDATE_REPLACE, inputDiff=True)
        return wire.DiffResponse(
            changes=wire.DiffResponse.DIFF_SOME if changed else wire.DiffResponse.DIFF_NONE,
            replaces=changed,
            diffs=changed,
            detailedDiff=dict.fromkeys(changed, replace),
            hasDetailedDiff=True,
        )

    def create(self, request: Any) -> Any:
        """Draw the value; in a preview it stays unknown.

        Raises:
            ProviderError: the inputs cannot be met.
        """
        inputs = read_properties(request.properties)
        outputs: Properties = {**_DEFAULTS, **inputs}
        outputs["number"] = outputs["numeric"]
        if request.preview:
            outputs |= {name: Secret(UNKNOWN) for name in _OUTPUTS}
            return wire.CreateResponse(id="", properties=write_properties(outputs))
        result = draw_text(plain_object(inputs))
        outputs |= {"result": Secret(result), "bcryptHash": Secret(bcrypt_hash(result)), "id": _ID}
        mark_secrets(outputs, inputs)
        return wire.CreateResponse(id=_ID, properties=write_properties(outputs))

    def read(self, request: Any) -> Any:
        """Return the state as it is.

        Raises:
            ProviderError: there is none, as on an import.
        """
        if not read_properties(request.properties):
            raise ProviderError("the stand-in for pulumi-random imports nothing")
        return wire.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def update(self, request: Any) -> Any:
        """Keep the values: only a change of nothing that matters comes here."""
        return wire.UpdateResponse(properties=request.olds)

    def delete(self, request: Any) -> None:
        """Forget the values: there is nothing outside the state."""
        del request


def _settings(properties: Properties) -> Properties:
    """Return what the program chose, without defaults, so that spelling one out is no change."""
    hidden = {*_OUTPUTS, "id", "__defaults"}
    plain = {name: without_secrets(value) for name, value in properties.items() if name not in hidden}
    return {name: value for name, value in plain.items() if value not in (None, {}) and _DEFAULTS.get(name) != value}
