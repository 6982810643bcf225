"""The stand-in for pulumi-random: what it draws, when it draws again, and that secrets are secret."""

from __future__ import annotations

import base64
import re
import string
import uuid
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2 as _wire

from local.plugins.engine_log import GrpcEngineLog
from local.plugins.property_values import UNKNOWN, Properties, Secret, read_properties, write_properties
from local.plugins.provider_errors import ProviderError
from local.plugins.random_provider import RandomProvider, bcrypt_hash, draw_text

wire: Any = _wire


def _urn(kind: str) -> str:
    return f"urn:pulumi:dev::project::random:index/random:{kind}::name"


def _provider() -> RandomProvider:
    return RandomProvider(GrpcEngineLog(""))


def _create(kind: str, inputs: Properties, *, preview: bool = False) -> tuple[str, Any]:
    request = wire.CreateRequest(urn=_urn(kind), properties=write_properties(inputs), preview=preview)
    answer = _provider().create(request)
    return answer.id, read_properties(answer.properties)


@pytest.mark.parametrize(
    ("inputs", "pattern"),
    [
        ({"length": 32}, r".{32}"),
        ({"length": 32, "special": False}, r"[A-Za-z0-9]{32}"),
        ({"length": 32, "special": False, "upper": False, "numeric": False}, r"[a-z]{32}"),
        ({"length": 32, "special": False, "number": False}, r"[A-Za-z]{32}"),
        ({"length": 32, "lower": False, "upper": False, "numeric": False, "overrideSpecial": "+-"}, r"[+-]{32}"),
    ],
)
def test_characters(inputs: Properties, pattern: str) -> None:
    assert re.fullmatch(pattern, draw_text(inputs))


def test_required_characters_stand_anywhere() -> None:
    inputs: Properties = {"length": 8, "minLower": 4, "minNumeric": 4}
    assert len({tuple(map(str.isdigit, draw_text(inputs))) for _ in range(50)}) > 5


def test_minimums_hold() -> None:
    inputs: Properties = {"length": 8, "minLower": 2, "minUpper": 2, "minNumeric": 2, "minSpecial": 2}
    for _ in range(20):
        drawn = draw_text(inputs)
        for characters in (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation):
            assert sum(character in characters for character in drawn) == 2


@pytest.mark.parametrize(
    "inputs",
    [
        {"length": 0},
        {"length": 3, "minLower": 4},
        {"length": 3, "lower": False, "upper": False, "numeric": False, "special": False},
    ],
)
def test_what_cannot_be_drawn(inputs: Properties) -> None:
    with pytest.raises(ProviderError):
        draw_text(inputs)


def test_password_is_secret_and_not_its_id() -> None:
    resource_id, outputs = _create("RandomPassword", {"length": 24})
    assert resource_id == "none"
    assert isinstance(outputs["result"], Secret)
    assert isinstance(outputs["bcryptHash"], Secret)
    assert outputs["length"] == 24
    assert outputs["special"] is True


def test_bcrypt_hash() -> None:
    assert re.fullmatch(r"\$2b\$10\$[./A-Za-z0-9]{53}", bcrypt_hash("x" * 100))


def test_other_kinds() -> None:
    resource_id, outputs = _create("RandomString", {"length": 6})
    assert resource_id == outputs["result"]
    resource_id, outputs = _create("RandomUuid", {})
    assert str(uuid.UUID(resource_id)) == outputs["result"]
    _, outputs = _create("RandomBytes", {"length": 5})
    assert base64.b64decode(outputs["base64"].value).hex() == outputs["hex"].value
    assert len(outputs["hex"].value) == 10
    resource_id, outputs = _create("RandomId", {"byteLength": 4, "prefix": "p-"})
    assert outputs["b64Url"] == f"p-{resource_id}"
    assert int(outputs["hex"].removeprefix("p-"), 16) == int(outputs["dec"].removeprefix("p-"))


def test_a_preview_knows_no_value() -> None:
    _, outputs = _create("RandomPassword", {"length": 24}, preview=True)
    assert outputs["result"] == Secret(UNKNOWN)
    _, outputs = _create("RandomUuid", {}, preview=True)
    assert outputs["result"] == UNKNOWN


@pytest.mark.parametrize(
    ("old", "new", "replaces"),
    [
        ({"length": 24}, {"length": 24}, []),
        ({"length": 24}, {"length": 24, "special": True, "keepers": {}}, []),
        ({"length": 24}, {"length": 25}, ["length"]),
        ({"length": 24}, {"length": 24, "special": False}, ["special"]),
        ({"length": 24, "keepers": {"a": "b"}}, {"length": 24, "keepers": {"a": "c"}}, ["keepers"]),
        ({"length": 24, "keepers": {"a": "b"}}, {"length": 24, "keepers": {"a": UNKNOWN}}, ["keepers"]),
        ({"length": 24, "keepers": Secret({"a": "b"})}, {"length": 24, "keepers": {"a": "b"}}, []),
    ],
)
def test_any_changed_input_draws_again(old: Properties, new: Properties, replaces: list[str]) -> None:
    state: Properties = {**old, "result": Secret("x")}
    request = wire.DiffRequest(
        urn=_urn("RandomPassword"),
        old_inputs=write_properties(old),
        olds=write_properties(state),
        news=write_properties(new),
    )
    answer = _provider().diff(request)
    assert list(answer.replaces) == replaces
    assert (answer.changes == wire.DiffResponse.DIFF_SOME) is bool(replaces)


def test_refresh_keeps_the_state_and_import_makes_one() -> None:
    state = write_properties({"length": 3, "result": Secret("abc")})
    answer = _provider().read(wire.ReadRequest(urn=_urn("RandomPassword"), id="none", properties=state))
    assert answer.properties == state
    imported = _provider().read(wire.ReadRequest(urn=_urn("RandomPassword"), id="abcd"))
    assert imported.id == "none"
    assert read_properties(imported.inputs) == {"length": 4}
    assert read_properties(imported.properties)["result"] == Secret("abcd")


def test_a_bad_length_is_named() -> None:
    request = wire.CheckRequest(urn=_urn("RandomPassword"), news=write_properties({"length": 0}))
    assert [failure.property for failure in _provider().check(request).failures] == ["length"]


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ProviderError, match="has no RandomPet"):
        _provider().check(wire.CheckRequest(urn=_urn("RandomPet")))
