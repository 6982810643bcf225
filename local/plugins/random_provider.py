"""The stand-in for pulumi-resource-random: values drawn once and kept in the state.

Behaviour follows pulumi-random 4.21, which bridges Terraform's `random` provider 3.
"""

from __future__ import annotations

import base64
import secrets
import string
import uuid
import warnings
from collections.abc import Callable
from typing import Any, Final, cast

from pulumi.runtime.proto import provider_pb2 as _wire

from local.plugins.engine_log import EngineLog
from local.plugins.object_fields import number_at, text_at
from local.plugins.property_values import (
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
from local.plugins.provider_errors import ProviderError

wire: Any = _wire

_DEFAULTS: Final[Properties] = {
    "lower": True,
    "upper": True,
    "numeric": True,
    "number": True,
    "special": True,
    "minLower": 0,
    "minUpper": 0,
    "minNumeric": 0,
    "minSpecial": 0,
}
"""What a password or string has unless the program says otherwise (Terraform's `random_password`)."""
_SPECIAL: Final = "!@#$%&*()-_=+[]{}<>:?"
"""The default special characters (Terraform's `random_password`, `override_special`)."""
_BCRYPT_LIMIT: Final = 72
"""Bytes of a password that bcrypt looks at."""
_NO_ID: Final = "none"
"""The id of a resource whose value must not show in its id."""


def draw_text(inputs: Properties) -> str:
    """Return a random text as `RandomPassword` and `RandomString` describe it.

    Args:
        inputs: `length`, the classes to use (`lower`, `upper`, `numeric` or `number`, `special`), how many of each at
            least (`minLower`, ...) and the special characters (`overrideSpecial`).

    Raises:
        ProviderError: the length is below 1 or too short for the minimums, or there is no character to draw from.
    """
    settings = {**_DEFAULTS, **inputs}
    numeric = inputs.get("numeric", inputs.get("number", True))
    classes = (
        ("lower", string.ascii_lowercase, settings["lower"]),
        ("upper", string.ascii_uppercase, settings["upper"]),
        ("numeric", string.digits, numeric),
        ("special", text_at(inputs, "overrideSpecial") or _SPECIAL, settings["special"]),
    )
    length = number_at(inputs, "length")
    minimums = {name: number_at(settings, f"min{name.capitalize()}") for name, _, _ in classes}
    if length < 1 or length < sum(minimums.values()):
        raise ProviderError(
            f"length is {length}; expected at least 1 and at least the sum of minLower, minUpper, minNumeric and "
            f"minSpecial, {sum(minimums.values())}"
        )
    everything = "".join(characters for _, characters, used in classes if used is not False)
    if not everything and length > sum(minimums.values()):
        raise ProviderError("no characters to draw from; enable one of lower, upper, numeric and special")
    drawn = [secrets.choice(characters) for name, characters, _ in classes for _ in range(minimums[name])]
    drawn += [secrets.choice(everything) for _ in range(length - len(drawn))]
    secrets.SystemRandom().shuffle(drawn)
    return "".join(drawn)


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


def _password(inputs: Properties, text: str = "") -> tuple[str, Properties]:
    result = text or draw_text(inputs)
    return _NO_ID, {"result": Secret(result), "bcryptHash": Secret(bcrypt_hash(result))}


def _string(inputs: Properties, text: str = "") -> tuple[str, Properties]:
    result = text or draw_text(inputs)
    return result, {"result": result}


def _uuid(_inputs: Properties, text: str = "") -> tuple[str, Properties]:
    result = text or str(uuid.uuid4())
    return result, {"result": result}


def _bytes(inputs: Properties, text: str = "") -> tuple[str, Properties]:
    drawn = base64.b64decode(text) if text else secrets.token_bytes(number_at(inputs, "length"))
    return _NO_ID, {"base64": Secret(base64.b64encode(drawn).decode()), "hex": Secret(drawn.hex())}


def _identifier(inputs: Properties, text: str = "") -> tuple[str, Properties]:
    drawn = base64.urlsafe_b64decode(f"{text}==") if text else secrets.token_bytes(number_at(inputs, "byteLength"))
    prefix, url = text_at(inputs, "prefix"), base64.urlsafe_b64encode(drawn).decode().rstrip("=")
    return url, {
        "b64Url": prefix + url,
        "b64Std": prefix + base64.b64encode(drawn).decode(),
        "hex": prefix + drawn.hex(),
        "dec": prefix + str(int.from_bytes(drawn, "big")),
    }


_DRAWS: Final[dict[str, Callable[..., tuple[str, Properties]]]] = {
    "RandomPassword": _password,
    "RandomString": _string,
    "RandomUuid": _uuid,
    "RandomBytes": _bytes,
    "RandomId": _identifier,
}
_OUTPUTS: Final[dict[str, tuple[str, ...]]] = {
    "RandomPassword": ("result", "bcryptHash"),
    "RandomString": ("result",),
    "RandomUuid": ("result",),
    "RandomBytes": ("base64", "hex"),
    "RandomId": ("b64Url", "b64Std", "hex", "dec"),
}
_SECRET_KINDS: Final = frozenset({"RandomPassword", "RandomBytes"})
_LENGTHS: Final[dict[str, str]] = {
    "RandomPassword": "length",
    "RandomString": "length",
    "RandomBytes": "length",
    "RandomId": "byteLength",
}


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
        """Accept the inputs, or name the one that is missing or out of range.

        Raises:
            ProviderError: the kind is one that the stand-in does not have.
        """
        kind, inputs = _kind(request), read_properties(request.news)
        plain, failures = plain_object(inputs), []
        field = _LENGTHS.get(kind, "")
        if field and not has_unknown(plain.get(field)) and number_at(plain, field) < 1:
            found = plain.get(field)
            failures = [wire.CheckFailure(property=field, reason=f"expected a whole number above 0, found {found!r}")]
        return wire.CheckResponse(inputs=write_properties(inputs), failures=failures)

    def diff(self, request: Any) -> Any:
        """Ask for a replacement when any input changed, `keepers` included."""
        kind = _kind(request)
        outputs = set(_OUTPUTS[kind])
        old = _settings(read_properties(request.old_inputs) or read_properties(request.olds), outputs)
        new = _settings(read_properties(request.news), outputs)
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
        """Draw the values; in a preview they stay unknown.

        Raises:
            ProviderError: the inputs cannot be met.
        """
        kind, inputs = _kind(request), read_properties(request.properties)
        if request.preview:
            unknown: Properties = {
                name: Secret(UNKNOWN) if kind in _SECRET_KINDS else UNKNOWN for name in _OUTPUTS[kind]
            }
            return wire.CreateResponse(id="", properties=write_properties({**_with_defaults(kind, inputs), **unknown}))
        resource_id, drawn = _DRAWS[kind](plain_object(inputs))
        outputs: Properties = {**_with_defaults(kind, inputs), **drawn}
        mark_secrets(outputs, inputs)
        outputs["id"] = resource_id
        return wire.CreateResponse(id=resource_id, properties=write_properties(outputs))

    def read(self, request: Any) -> Any:
        """Return the state as it is; on an import, make one of the id, which is the value."""
        state = read_properties(request.properties)
        if state:
            return wire.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)
        kind, text = _kind(request), cast(str, request.id)
        inputs: Properties = {}
        if kind in ("RandomPassword", "RandomString"):
            inputs = {"length": len(text)}
        elif kind == "RandomBytes":
            inputs = {"length": len(base64.b64decode(text))}
        elif kind == "RandomId":
            inputs = {"byteLength": len(base64.urlsafe_b64decode(f"{text}=="))}
        resource_id, values = _DRAWS[kind](inputs, text)
        outputs: Properties = {**_with_defaults(kind, inputs), **values, "id": resource_id}
        return wire.ReadResponse(id=resource_id, properties=write_properties(outputs), inputs=write_properties(inputs))

    def update(self, request: Any) -> Any:
        """Keep the values: only a change of nothing that matters comes here."""
        return wire.UpdateResponse(properties=request.olds)

    def delete(self, request: Any) -> None:
        """Forget the values: there is nothing outside the state."""
        del request


def _kind(request: Any) -> str:
    kind = cast(str, request.urn).split("::")[2].rpartition(":")[2]
    if kind not in _DRAWS:
        raise ProviderError(f"the stand-in for pulumi-random has no {kind}; it has: {', '.join(sorted(_DRAWS))}")
    return kind


def _with_defaults(kind: str, inputs: Properties) -> Properties:
    if kind not in ("RandomPassword", "RandomString"):
        return dict(inputs)
    numeric = inputs.get("numeric", inputs.get("number", True))
    return {**_DEFAULTS, **inputs, "numeric": numeric, "number": numeric}


def _settings(properties: Properties, outputs: set[str]) -> Properties:
    """Return what the program chose, without defaults, so that spelling one out is no change."""
    hidden = {*outputs, "id", "__defaults"}
    plain = {name: without_secrets(value) for name, value in properties.items() if name not in hidden}
    return {name: value for name, value in plain.items() if value not in (None, {}) and _DEFAULTS.get(name) != value}
