"""The snapshot of MySQL's disk: when there is one, and when it gives way to another."""

from __future__ import annotations

from typing import Any

import pytest

from dragonfly.updates.line_change import LINE_ANNOTATION
from tests.program.recorded.gke_stack import GKE_CONFIG, VERSION, all_dependencies, google, only
from tests.program.recorded.recorded_program import RecordedProgram, Resource, run_main

SNAPSHOT = "gcp:compute/snapshot:Snapshot"
TAGS = {"2.1": "2.1.34", "2.5": "2.5.1"}
PROGRAMS = ("manager", "scheduler", "seed-peer", "dfget")


def run(recorded: dict[str, Any], line: str, **keys: str) -> RecordedProgram:
    """Return the program of a GKE stack whose state has some resources."""
    config = {**GKE_CONFIG, "dragonfly:tag": TAGS[line], **{f"dragonfly:{key}": value for key, value in keys.items()}}
    cloud = google(offered=VERSION, running=VERSION, nodes=VERSION, recorded=recorded)
    return run_main(config, cloud=cloud).completed()


def manager(line: str) -> dict[str, Any]:
    """What the state has of the manager."""
    kind = "kubernetes:apps/v1:Deployment"
    annotations = {} if line == "2.1" else {LINE_ANNOTATION: line}
    outputs = {"metadata": {"annotations": annotations}}
    return {f"urn:pulumi:s::p::dragonfly:manager:Manager${kind}::manager": {"type": kind, "outputs": outputs}}


def taken(**labels: str) -> dict[str, Any]:
    """What the state has of a snapshot."""
    urn = f"urn:pulumi:s::p::dragonfly:mysql:Mysql${SNAPSHOT}::mysql-upgrade-snapshot"
    named = {f"dragonfly-{key.replace('_', '-')}": value for key, value in labels.items()}
    return {urn: {"type": SNAPSHOT, "outputs": {"labels": named}}}


FIRST = {"upgrade": "1", "upgrade_to": "2-5"}


def snapshots(program: RecordedProgram) -> list[Resource]:
    return [one for one in program.resources if one.type == SNAPSHOT]


@pytest.mark.parametrize("line", TAGS)
def test_there_is_none_where_no_older_manager_has_data(line: str) -> None:
    assert snapshots(run({}, line)) == []
    assert snapshots(run(manager(line), line)) == []
    assert "upgradeSnapshot" not in run(manager(line), line).exports


def test_the_first_move_takes_one_of_mysqls_disk_before_any_program_is_changed() -> None:
    program = run(manager("2.1"), "2.5")
    (snapshot,) = snapshots(program)
    found = dict(snapshot.manifest)
    assert found.pop("description") == "MySQL's disk before upgrade 1 of Dragonfly"
    assert found == {
        "project": "my-project",
        "zone": "us-west1-a",
        "sourceDisk": "projects/my-project/zones/us-west1-a/disks/dragonfly-cluster-dragonfly-1-mysql",
        # What is in the database stays in its region.
        "storageLocations": ["us-west1"],
        "labels": {"dragonfly-instance": "dragonfly-1", "dragonfly-upgrade": "1", "dragonfly-upgrade-to": "2-5"},
    }
    # A large disk takes longer than the five minutes that the plug-in waits.
    assert snapshot.timeouts[0] == "1h"
    for name in PROGRAMS:
        assert snapshot.urn in all_dependencies(program, only_named(program, f"{name}-config"))
    assert only(program, "gcp:compute/disk:Disk", "mysql-disk").urn in all_dependencies(program, snapshot)


def only_named(program: RecordedProgram, name: str) -> Resource:
    (found,) = [one for one in program.resources if one.name == name]
    return found


@pytest.mark.parametrize(
    ("before", "now", "labels", "kept"),
    [
        # An update that failed has taken it: another might show what was migrated already.
        ("2.1", "2.5", FIRST, {"upgrade": "1"}),
        ("2.5", "2.5", FIRST, {"upgrade": "1"}),
        ("2.5", "2.1", FIRST, {"upgrade": "1", "upgrade-undone": "true"}),
        # Of a move that was given up.
        ("2.1", "2.1", FIRST, {"upgrade": "1", "upgrade-undone": "true"}),
        ("2.1", "2.1", {**FIRST, "upgrade_undone": "true"}, {"upgrade": "1", "upgrade-undone": "true"}),
        ("2.1", "2.5", {**FIRST, "upgrade_undone": "true"}, {"upgrade": "2"}),
        # Of a move to a line that came before.
        ("2.1", "2.5", {**FIRST, "upgrade_to": "2-3"}, {"upgrade": "2"}),
    ],
)
def test_it_stays_until_another_move_begins(
    before: str, now: str, labels: dict[str, str], kept: dict[str, str]
) -> None:
    (snapshot,) = snapshots(run({**manager(before), **taken(**labels)}, now))
    number = kept["upgrade"]
    # Another description makes another snapshot, another label does not.
    assert snapshot.manifest["description"] == f"MySQL's disk before upgrade {number} of Dragonfly"
    named = {"dragonfly-instance": "dragonfly-1", "dragonfly-upgrade-to": "2-5"}
    assert snapshot.manifest["labels"] == {**named, **{f"dragonfly-{key}": value for key, value in kept.items()}}


@pytest.mark.parametrize("keep", [False, True])
def test_it_goes_with_the_stack_unless_it_is_to_stay_which_is_said(keep: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def note(text: str, *_: object, **__: object) -> None:
        told.append(text)

    monkeypatch.setattr("pulumi.log.info", note)
    (snapshot,) = snapshots(run(manager("2.1"), "2.5", keepUpgradeSnapshot=str(keep).lower()))
    assert snapshot.retain_on_delete == keep
    assert any("stays, and is billed, when the stack is destroyed" in text for text in told) == keep
