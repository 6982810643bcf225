"""The stand-in's alert policies, notification channels and dashboards: what the cloud names, refuses and gives back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from local.ledger.ledger import Entry, Ledger
from local.standins.plugins.google.kinds.monitoring import AlertPolicy, Dashboard, NotificationChannel
from local.standins.plugins.google.provider import GcpProvider
from local.standins.plugins.property_values import Properties, read_properties, write_properties
from local.standins.plugins.provider_errors import ProviderError
from tests.google_resources import PROJECT, SERVICE, create, delete, provider_of, urn, wire

CHANNEL, POLICY, BOARD = NotificationChannel.type, AlertPolicy.type, Dashboard.type
EMAIL: Properties = {"type": "email", "labels": {"email_address": "on-call@example.com"}}
PROMQL: Properties = {
    "query": "up == 0",
    "duration": "300s",
    "evaluationInterval": "60s",
    "alertRule": "Down",
    "disableMetricValidation": True,
}


def policy(channels: list[str] | None = None, strategy: str = "1800s", **condition: Any) -> Properties:
    return {
        "displayName": "down",
        "combiner": "OR",
        "alertStrategy": {"autoClose": strategy},
        "conditions": [{"displayName": "down", "conditionPrometheusQueryLanguage": {**PROMQL, **condition}}],
        "notificationChannels": list(channels or []),
    }


def board(*tiles: Properties, columns: int = 48, title: str = "board") -> Properties:
    layout = {"columns": columns, "tiles": list(tiles)}
    return {"dashboardJson": json.dumps({"displayName": title, "mosaicLayout": layout})}


def tile(x: int, y: int, width: int = 24) -> Properties:
    return {"xPos": x, "yPos": y, "width": width, "height": 16, "widget": {"title": "a"}}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.json")


@pytest.fixture
def provider(ledger: Ledger) -> GcpProvider:
    made = provider_of(ledger)
    with ledger.change() as entries:
        entries.put(Entry(SERVICE, f"{PROJECT}/monitoring.googleapis.com"))
    return made


def changes_of(provider: GcpProvider, kind: str, identifier: str, new: Properties) -> list[str]:
    """What a preview tells, of a resource as it is read."""
    read = provider.read(wire.ReadRequest(urn=urn(kind), id=identifier))
    asked = wire.DiffRequest(urn=urn(kind), olds=read.properties, news=write_properties(new))
    return list(provider.diff(asked).diffs)


@pytest.mark.parametrize(
    ("kind", "inputs", "folder"),
    [
        (CHANNEL, EMAIL, "notificationChannels"),
        (POLICY, policy(), "alertPolicies"),
        (BOARD, board(tile(24, 16)), "dashboards"),
    ],
)
def test_the_cloud_names_them(
    provider: GcpProvider, ledger: Ledger, kind: str, inputs: Properties, folder: str
) -> None:
    made, another = create(provider, kind, inputs), create(provider, kind, inputs)
    assert made != another
    assert made.startswith(f"projects/{PROJECT}/{folder}/")
    assert changes_of(provider, kind, made, inputs) == []
    delete(provider, kind, made)
    assert ledger.read().get(made) is None


def test_a_policy_in_place(provider: GcpProvider, ledger: Ledger) -> None:
    made = create(provider, POLICY, policy())
    assert changes_of(provider, POLICY, made, policy(duration="600s")) == [
        "conditions[0].conditionPrometheusQueryLanguage.duration"
    ]
    old = provider.read(wire.ReadRequest(urn=urn(POLICY), id=made)).properties
    asked = wire.UpdateRequest(urn=urn(POLICY), id=made, olds=old, news=write_properties(policy(duration="600s")))
    provider.update(asked)
    (found,) = ledger.read().of_type(POLICY)
    (condition,) = cast("list[Any]", found.properties["conditions"])
    assert condition["conditionPrometheusQueryLanguage"]["duration"] == "600s"
    assert condition["name"] == f"{made}/conditions/1"


@pytest.mark.parametrize(
    ("kind", "inputs", "reason"),
    [
        (CHANNEL, {"type": "email"}, "email_address"),
        (POLICY, policy(channels=["projects/p/notificationChannels/1"]), "Cannot find channel"),
        (POLICY, policy(channels=[f"{PROJECT}/monitoring.googleapis.com"]), "Cannot find channel"),
        (POLICY, policy(channels=["x"] * 17), "more than 16"),
        (POLICY, policy(strategy="60s"), "at least 1800s"),
        (POLICY, policy(evaluationInterval="45s"), "multiple of 30"),
        (POLICY, policy(alertRule="is down"), "label name"),
        (POLICY, policy(duration="5m"), "number of seconds"),
        (POLICY, policy(disableMetricValidation=False), "does not exist"),
        (POLICY, {**policy(), "conditions": [{"displayName": "a"}]}, "no condition"),
        (POLICY, {**policy(), "conditions": [*cast("list[Any]", policy()["conditions"])] * 7}, "more than 6"),
        (BOARD, board(title=""), "displayName is required"),
        (BOARD, board(columns=49), "1 to 48"),
        (BOARD, board(tile(30, 0)), "does not fit"),
        (BOARD, board(tile(0, 0), tile(20, 10)), "overlaps tile 0"),
    ],
)
def test_what_the_api_refuses(
    provider: GcpProvider, ledger: Ledger, kind: str, inputs: Properties, reason: str
) -> None:
    before = len(list(ledger.read().of_type(kind)))
    with pytest.raises(ProviderError, match=rf"Error creating .*: googleapi: Error 40[04]: .*{reason}"):
        create(provider, kind, inputs)
    assert len(list(ledger.read().of_type(kind))) == before


def test_what_is_no_json_is_refused_at_preview(provider: GcpProvider) -> None:
    asked = wire.CheckRequest(urn=urn(BOARD), news=write_properties({"dashboardJson": "{"}))
    (failure,) = provider.check(asked).failures
    assert "invalid JSON" in failure.reason


def test_a_channel_that_a_policy_tells_stays(provider: GcpProvider) -> None:
    channel = create(provider, CHANNEL, EMAIL)
    told = create(provider, POLICY, policy(channels=[channel]))
    with pytest.raises(ProviderError, match="because it is still being referenced by"):
        delete(provider, CHANNEL, channel)
    delete(provider, POLICY, told)
    delete(provider, CHANNEL, channel)


def test_a_read_dashboard_has_what_the_api_adds_and_no_zeros(provider: GcpProvider) -> None:
    made = create(provider, BOARD, board(tile(0, 16)))
    read = read_properties(provider.read(wire.ReadRequest(urn=urn(BOARD), id=made)).properties)
    told = json.loads(cast(str, read["dashboardJson"]))
    assert {"name", "etag"} <= told.keys()
    assert "xPos" not in told["mosaicLayout"]["tiles"][0]
    # As the plug-in has it: a zero that the program writes is a change, for ever.
    assert changes_of(provider, BOARD, made, board(tile(0, 16))) == ["dashboardJson"]
    without = tile(0, 16)
    del without["xPos"]
    assert changes_of(provider, BOARD, made, board(without)) == []
    assert changes_of(provider, BOARD, made, board(without, title="another")) == ["dashboardJson"]
    assert changes_of(provider, BOARD, made, board()) == ["dashboardJson"]
