"""The snapshots of MySQL's disk: when there is one more, and that none goes before the stack does."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from dragonfly.updates.line_change import LINE_ANNOTATION
from tests.program.recorded.gke_stack import GKE_CONFIG, VERSION, all_dependencies, google, only
from tests.program.recorded.recorded_program import RecordedProgram, Resource, run_main

SNAPSHOT = "gcp:compute/snapshot:Snapshot"
DISK = "gcp:compute/disk:Disk"
MANAGER = "dragonfly:manager:Manager"
TAGS = {"2.1": "2.1.34", "2.5": "2.5.1"}
PROGRAMS = ("manager", "scheduler", "seed-peer", "dfget")
FIRST, SECOND = (f"dragonfly-cluster-dragonfly-1-mysql-upgrade-{number}" for number in (1, 2))
TAKEN = {"dragonfly-instance": "dragonfly-1", "dragonfly-upgrade-to": "2-5"}
UNDONE = {**TAKEN, "dragonfly-upgrade-undone": "true"}

Recorded = dict[str, Any]


def run(recorded: Recorded, line: str, **keys: str) -> RecordedProgram:
    """Return the program of a GKE stack whose state has some resources."""
    config = {**GKE_CONFIG, "dragonfly:tag": TAGS[line], **{f"dragonfly:{key}": value for key, value in keys.items()}}
    cloud = google(offered=VERSION, running=VERSION, nodes=VERSION, recorded=recorded)
    return run_main(config, cloud=cloud).completed()


def in_state(kind: str, name: str, **outputs: Any) -> Recorded:
    return {f"urn:pulumi:s::p::dragonfly:a:A${kind}::{name}": {"type": kind, "outputs": outputs}}


def manager(line: str) -> Recorded:
    """What the state has of the manager."""
    annotations = {} if line == "2.1" else {LINE_ANNOTATION: line}
    return in_state("kubernetes:apps/v1:Deployment", "manager", metadata={"annotations": annotations})


def taken(name: str, labels: dict[str, str]) -> Recorded:
    """What the state has of a snapshot."""
    return in_state(SNAPSHOT, name, labels=labels)


def snapshots(program: RecordedProgram) -> dict[str, Resource]:
    return {one.name: one for one in program.resources if one.type == SNAPSHOT}


@pytest.mark.parametrize("line", TAGS)
def test_there_is_none_where_no_older_manager_has_data(line: str) -> None:
    assert snapshots(run({}, line)) == {}
    assert snapshots(run(manager(line), line)) == {}
    assert "upgradeSnapshot" not in run(manager(line), line).exports


def test_the_first_move_takes_one_of_mysqls_disk_before_any_program_is_changed() -> None:
    program = run(manager("2.1"), "2.5")
    assert set(snapshots(program)) == {FIRST}
    snapshot = snapshots(program)[FIRST]
    assert snapshot.manifest == {
        "project": "my-project",
        "zone": "us-west1-a",
        "sourceDisk": "projects/my-project/zones/us-west1-a/disks/dragonfly-cluster-dragonfly-1-mysql",
        # What is in the database stays in its region.
        "storageLocations": ["us-west1"],
        "labels": TAKEN,
    }
    # A large disk takes longer than the five minutes that the plug-in waits.
    assert snapshot.timeouts[0] == "1h"
    for name in PROGRAMS:
        (config,) = [one for one in program.resources if one.name == f"{name}-config"]
        assert snapshot.urn in all_dependencies(program, config)
    assert only(program, DISK, "mysql-disk").urn in all_dependencies(program, snapshot)


def test_a_disk_that_outlived_its_cluster_tells_the_line_of_its_data() -> None:
    disk = in_state(DISK, "mysql-disk")
    assert set(snapshots(run(disk, "2.5"))) == {FIRST}
    # A first installation of 2.5 that did not get as far has no data of 2.1.
    assert snapshots(run({**disk, **in_state(MANAGER, "manager", releaseLine="2.5")}, "2.5")) == {}
    outputs = {name: run({}, line).component_outputs for name, line in (("old", "2.1"), ("new", "2.5"))}
    found = {
        name: next(each for urn, each in of.items() if urn.endswith("Manager::manager")) for name, of in outputs.items()
    }
    assert found == {"old": {}, "new": {"releaseLine": "2.5"}}


@pytest.mark.parametrize(
    ("before", "now", "labels", "expected"),
    [
        # An update that failed has taken it: another might show what was migrated already.
        ("2.1", "2.5", TAKEN, {FIRST: TAKEN}),
        ("2.5", "2.5", TAKEN, {FIRST: TAKEN}),
        ("2.5", "2.1", TAKEN, {FIRST: UNDONE}),
        # Of a move that was given up.
        ("2.1", "2.1", TAKEN, {FIRST: UNDONE}),
        ("2.1", "2.1", UNDONE, {FIRST: UNDONE}),
        ("2.5", "2.5", UNDONE, {FIRST: UNDONE}),
        # The older one stays: that the state calls the manager old does not mean that none has migrated the database.
        ("2.1", "2.5", UNDONE, {FIRST: UNDONE, SECOND: TAKEN}),
        # Of a move to a line that came before.
        ("2.1", "2.5", {"dragonfly-upgrade-to": "2-3"}, {FIRST: {"dragonfly-upgrade-to": "2-3"}, SECOND: TAKEN}),
        # Somebody has taken its labels.
        ("2.5", "2.5", {}, {FIRST: {}}),
        ("2.5", "2.1", {}, {FIRST: {}}),
        ("2.1", "2.5", {}, {FIRST: {}, SECOND: TAKEN}),
    ],
)
def test_what_was_taken_stays_and_another_move_takes_another(
    before: str, now: str, labels: dict[str, str], expected: dict[str, dict[str, str]]
) -> None:
    found = snapshots(run({**manager(before), **taken(FIRST, labels)}, now))
    assert {name: one.manifest.get("labels", {}) for name, one in found.items()} == expected


def test_the_newest_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = {**taken(SECOND.replace("-2", "-10"), TAKEN), **taken(SECOND, UNDONE), **manager("2.5")}
    program = run(recorded, "2.5")
    (newest,) = [one for name, one in snapshots(program).items() if name.endswith("-10")]
    assert program.exports["upgradeSnapshot"].value == newest.manifest.get("name")


def test_one_that_somebody_deleted_is_not_taken_of_a_database_that_was_migrated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hooks: dict[str, Any] = {}

    class Noted(pulumi.ResourceHook):
        def __init__(self, name: str, call: Any, opts: pulumi.ResourceHookOptions | None = None) -> None:
            super().__init__(name, call, opts)
            hooks[name] = call, opts is not None and opts.on_dry_run

    monkeypatch.setattr(pulumi, "ResourceHook", Noted)
    program = run({**manager("2.5"), **taken(FIRST, TAKEN)}, "2.5")
    assert snapshots(program)[FIRST].create_hooks == (f"{FIRST}-is-there",)
    refuse, in_preview = hooks[f"{FIRST}-is-there"]
    assert in_preview
    with pytest.raises(pulumi.RunError, match="Take it out of the state: pulumi refresh"):
        refuse(pulumi.ResourceHookArgs("urn", "", FIRST, SNAPSHOT))
    assert snapshots(run(manager("2.1"), "2.5"))[FIRST].create_hooks == ()


@pytest.mark.parametrize("keep", [False, True])
def test_it_goes_with_the_stack_unless_it_is_to_stay_which_is_said(keep: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def note(text: str, *_: object, **__: object) -> None:
        told.append(text)

    monkeypatch.setattr("pulumi.log.info", note)
    program = run(manager("2.1"), "2.5", keepUpgradeSnapshot=str(keep).lower())
    assert snapshots(program)[FIRST].retain_on_delete == keep
    assert any("stays, and is billed, when the stack is destroyed" in text for text in told) == keep
