"""The stand-in for pulumi-random: what it draws, when it draws again, and that secrets are secret."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2 as _wire

from local.standins.plugins.engine_log import GrpcEngineLog
from local.standins.plugins.property_values import UNKNOWN, Properties, Secret, read_properties, write_properties
from local.standins.plugins.provider_errors import ProviderError
from local.standins.plugins.random_provider import RandomProvider, bcrypt_hash, draw_text

wire: Any = _wire


URN = "urn:pulumi:dev::project::random:index/randomPassword:RandomPassword::name"


def _provider() -> RandomProvider:
    return RandomProvider(GrpcEngineLog(""))


def _create(inputs: Properties, *, preview: bool = False) -> tuple[str, Any]:
    request = wire.CreateRequest(urn=URN, properties=write_properties(inputs), preview=preview)
    answer = _provider().create(request)
    return answer.id, read_properties(answer.properties)


@pytest.mark.parametrize(
    ("inputs", "pattern"),
    [
        ({"length": 32}, r".{32}"),
        ({"length": 32, "special": False}, r"[A-Za-z0-9]{32}"),
        ({"length": 32, "special": False, "upper": False, "numeric": False}, r"[a-z]{32}"),
        ({"length": 32, "lower": False, "upper": False, "numeric": False}, r"[!@#$%&*()\-_=+\[\]{}<>:?]{32}"),
    ],
)
def test_characters(inputs: Properties, pattern: str) -> None:
    assert re.fullmatch(pattern, draw_text(inputs))


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(ProviderError, match="no characters"):
        draw_text({"length": 3, "lower": False, "upper": False, "numeric": False, "special": False})


def test_password_is_secret_and_not_its_id() -> None:
    resource_id, outputs = _create({"length": 24})
    assert resource_id == "none"
    assert isinstance(outputs["result"], Secret)
    assert isinstance(outputs["bcryptHash"], Secret)
    assert outputs["length"] == 24
    assert outputs["special"] is True


def test_bcrypt_hash() -> None:
    assert re.fullmatch(r"\$2b\$10\$[./A-Za-z0-9]{53}", bcrypt_hash("x" * 100))


def test_a_preview_knows_no_value() -> None:
    _, outputs = _create({"length": 24}, preview=True)
    assert outputs["result"] == Secret(UNKNOWN)


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
        urn=URN,
        old_inputs=write_properties(old),
        olds=write_properties(state),
        news=write_properties(new),
    )
    answer = _provider().diff(request)
    assert list(answer.replaces) == replaces
    assert (answer.changes == wire.DiffResponse.DIFF_SOME) is bool(replaces)


def test_refresh_keeps_the_state() -> None:
    state = write_properties({"length": 3, "result": Secret("abc")})
    assert _provider().read(wire.ReadRequest(urn=URN, id="none", properties=state)).properties == state
    with pytest.raises(ProviderError, match="imports nothing"):
        _provider().read(wire.ReadRequest(urn=URN, id="abcd"))


@pytest.mark.parametrize(
    ("inputs", "wrong"), [({"length": 0}, ["length"]), ({}, ["length"]), ({"length": 3, "minLower": 1}, ["minLower"])]
)
def test_bad_inputs_are_named(inputs: Properties, wrong: list[str]) -> None:
    answer = _provider().check(wire.CheckRequest(urn=URN, news=write_properties(inputs)))
    assert [failure.property for failure in answer.failures] == wrong


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ProviderError, match="has no random:index/randomPet:RandomPet"):
        _provider().check(wire.CheckRequest(urn=URN.replace("assword", "et")))
