"""What the recovery asks of the CLI. Whether it brings a killed stack back, the engine's tests show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dragonfly import recovery
from tests.program.played.played_pulumi import PlayedPulumi
from tests.program.recorded.recorded_program import ROOT

CONFIG_MAP: dict[str, Any] = {
    "urn": "urn:c",
    "type": "kubernetes:core/v1:ConfigMap",
    "inputs": {"metadata": {"name": "c"}},
}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedPulumi:
    return PlayedPulumi(tmp_path, monkeypatch)


def exported(*creating: dict[str, Any]) -> dict[str, Any]:
    pending = [{"type": "creating", "resource": resource} for resource in creating]
    return {"version": 3, "deployment": {"resources": [], "pending_operations": pending}}


def test_lock_state_and_cluster_are_seen_to_one_after_the_other(
    cli: PlayedPulumi, capfd: pytest.CaptureFixture[str]
) -> None:
    cli.answer({"stack export": {"out": json.dumps(exported(CONFIG_MAP))}, "refresh": {"out": "refreshed\n"}})
    assert recovery.main(["--stack", "prod"]) == 0
    assert [one["arguments"] for one in cli.asked] == [
        ["cancel", "--yes", "--stack", "prod"],
        ["stack", "export", "--stack", "prod"],
        ["stack", "import", "--stack", "prod"],
        ["refresh", "--yes", "--skip-preview", "--clear-pending-creates", "--stack", "prod"],
    ]
    assert {one["folder"] for one in cli.asked} == {str(ROOT)}
    entered = {**CONFIG_MAP, "id": "c", "outputs": CONFIG_MAP["inputs"]}
    assert json.loads(cli.asked[2]["given"]) == {
        "version": 3,
        "deployment": {"resources": [entered], "pending_operations": []},
    }
    # What it does shows while it does it.
    assert capfd.readouterr().out == ("refreshed\nThe state agrees with the cluster again; `pulumi up` goes on.\n")


def test_a_state_with_nothing_pending_is_not_imported(cli: PlayedPulumi) -> None:
    cli.answer({"stack export": {"out": json.dumps(exported())}})
    assert recovery.main(["--stack", "prod"]) == 0
    assert [one["arguments"][0] for one in cli.asked] == ["cancel", "stack", "refresh"]


def test_a_step_that_fails_ends_it_and_is_named(cli: PlayedPulumi, capfd: pytest.CaptureFixture[str]) -> None:
    cli.answer({"cancel": {"errors": "no stack named 'prod'\n", "code": 1}})
    assert recovery.main(["--stack", "prod"]) == 1
    assert len(cli.asked) == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == "no stack named 'prod'\npulumi cancel --yes failed; see above\n"


def test_what_google_cloud_may_have_made_under_a_name_of_its_own_is_named(
    cli: PlayedPulumi, capfd: pytest.CaptureFixture[str]
) -> None:
    policy: dict[str, Any] = {
        "urn": "urn:a::b::c::DragonflyDown",
        "type": "gcp:monitoring/alertPolicy:AlertPolicy",
        "inputs": {},
    }
    cli.answer({"stack export": {"out": json.dumps(exported(CONFIG_MAP, policy))}})
    assert recovery.main(["--stack", "prod"]) == 0
    assert "may have made DragonflyDown before the update was killed" in capfd.readouterr().err


def test_an_id_has_the_namespace_where_the_object_has_one() -> None:
    metadata = {"name": "c", "namespace": "p2p"}
    assert recovery.object_id({**CONFIG_MAP, "inputs": {"metadata": metadata}}) == "p2p/c"
    assert recovery.object_id(CONFIG_MAP) == "c"
    nameless: list[dict[str, Any]] = [{"metadata": {"labels": {}}}, {}]
    for inputs in nameless:
        assert recovery.object_id({**CONFIG_MAP, "inputs": inputs}) is None


def test_what_is_not_being_created_or_has_no_id_stays_pending() -> None:
    updating = {"type": "updating", "resource": CONFIG_MAP}
    password: dict[str, Any] = {"urn": "urn:p", "type": "random:index/randomPassword:RandomPassword", "inputs": {}}
    resources = [CONFIG_MAP, password, {**CONFIG_MAP, "urn": "urn:d"}]
    creating = [{"type": "creating", "resource": one} for one in resources]
    deployment: dict[str, Any] = {"resources": [], "pending_operations": [updating, *creating]}
    assert recovery.enter_pending_creations(deployment) == 2
    assert deployment["pending_operations"] == [updating, creating[1]]
    assert [one["urn"] for one in deployment["resources"]] == ["urn:c", "urn:d"]
    assert recovery.enter_pending_creations({"resources": []}) == 0
