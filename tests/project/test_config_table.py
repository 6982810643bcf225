"""The page of config changes has a row for every key, and says of a preview's steps what they do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from dragonfly.settings.fault import ConfigFault
from dragonfly.settings.model import Settings
from dragonfly.updates.immutable_config import changed_config
from dragonfly.updates.refused_change import refused_change
from local.standins.plugins.google.changes import changes
from local.standins.plugins.google.provider import KINDS
from local.standins.plugins.google.schema import planned
from tests.config_table.changes import GKE, REPLACING, REPLACING_BY_THEMSELVES
from tests.config_table.plan import Plan, Step, refusals, steps
from tests.config_table.rows import Row
from tests.config_table.table import DOCUMENT, Group, described, documented, group_of, markdown
from tests.program.recorded.gke_stack import GKE_CONFIG, VERSION, google
from tests.program.recorded.known_stacks import SECRET_KEYS
from tests.program.recorded.recorded_program import RecordedProgram, Resource, revealed, run_main
from tests.project.project_file import DECLARED

GOOGLE_KEYS = {"gcp:project", "gcp:zone"}
POOL = "gcp:container/nodePool:NodePool"


def test_every_key_has_its_row_and_no_row_is_of_another() -> None:
    found = documented(DOCUMENT.read_text())
    assert set().union(*found.values()) == {*DECLARED, *GOOGLE_KEYS}


def test_what_replaces_makes_or_deletes_is_carried_out_by_the_engine_tests() -> None:
    page = DOCUMENT.read_text()
    run_again = set(re.findall(r"^\| `(\w+)`.*runs Job", page, re.MULTILINE))
    assert "tag" in run_again
    assert documented(page)[Group.REPLACED] | run_again <= {*REPLACING, *REPLACING_BY_THEMSELVES}


def full_key(written: str) -> str:
    """Return a key of the page as the config has it."""
    return written if ":" in written else f"dragonfly:{written}"


def run_with(keys: Mapping[str, Any]) -> RecordedProgram:
    """Return the program of a GKE stack with some config, by full keys."""
    config = {key: value if isinstance(value, str) else json.dumps(value) for key, value in keys.items()}
    cloud = google(offered=VERSION, running=VERSION, nodes=VERSION)
    return run_main({**GKE_CONFIG, **config}, cloud=cloud).completed()


def declared_with(keys: Mapping[str, Any]) -> dict[str, Resource]:
    """Return Google's resources in a stack with some config, by type and name."""
    return {f"{one.type} {one.name}": one for one in run_with(keys).resources if one.type in KINDS}


def test_a_refused_row_says_what_the_program_says_now() -> None:
    values = {key: value for each in (*GKE.others, GKE.one_way) for key, value in each.items()}
    before = run_with({}).kept_config.manifest["config"]
    rows = re.findall(r"^\| (`[^|,]+`) \| [^|]+ \| refused: ([^|]+) \|", DOCUMENT.read_text(), re.MULTILINE)
    assert len(rows) > 5
    for cell, words in rows:
        keys = [full_key(key) for key in re.findall(r"`([\w:]+)`", cell)]
        changed = {key: values[key] for key in keys}
        fields: dict[str, Any] = {"clusterLocation": changed.get("dragonfly:clusterLocation")}
        faults = changed_config(before, run_with(changed).kept_config.manifest["config"], Settings(**fields))
        assert {fault.rule.partition(" before: ")[2] for fault in faults} == {words}, keys


def _never(path: str, old: object, new: object) -> bool:
    del path, old, new
    return False


def replaces(before: Mapping[str, Resource], after: Mapping[str, Resource]) -> bool:
    for old, new in ((before[one], after[one]) for one in before.keys() & after.keys()):
        fields = KINDS[old.type].fields
        found = changes(fields, planned(fields, {}, revealed(old.inputs)), revealed(new.inputs), _never)
        if any(change.replaces and path not in new.ignored for path, change in found.items()):
            return True
    return False


def test_only_one_key_replaces_something_of_google_and_is_not_refused() -> None:
    own = {key: value for other in GKE.others for key, value in other.items() if key not in SECRET_KEYS}
    refused = set(map(full_key, documented(DOCUMENT.read_text())[Group.REFUSED]))
    before = declared_with({})
    # Two of them would be a pair to try (`PAIRS`); with a key that is refused by itself, any pair is refused.
    assert replaces(before, declared_with({"dragonfly:spot": own.pop("dragonfly:spot")}))
    # Nobody is told where monitoring is off.
    alone = {"dragonfly:monitoring": own.pop("dragonfly:monitoring")}
    for keys in (alone, {key: value for key, value in own.items() if key not in refused}):
        assert not replaces(before, declared_with(keys))
    for names in (("gcp:zone",), ("dragonfly:clusterName",), ("dragonfly:network", "dragonfly:subnetwork")):
        assert replaces(before, declared_with({key: own[key] for key in names}))
        assert refused.issuperset(names)


def step(kind: str, name: str, *operations: str, paths: tuple[str, ...] = (), retained: bool = False) -> Step:
    return Step(kind, name, operations, frozenset(paths), retained)


NEW_FIRST = ("create-replacement", "replace", "delete-replaced")
OLD_FIRST = ("delete-replaced", "replace", "create-replacement")
POD = ("spec.template.spec.containers[0].image",)


@pytest.mark.parametrize(
    ("one", "group", "words"),
    [
        (step("dragonfly:gke:GkeCluster", "gke", "update"), Group.NOTHING, "nothing"),
        (
            step(POOL, "node-pool", *NEW_FIRST, paths=("name",)),
            Group.REPLACED,
            "replaces NodePool `node-pool`: the new one comes first",
        ),
        (
            step("gcp:compute/disk:Disk", "mysql-disk", *OLD_FIRST),
            Group.REPLACED,
            "replaces Disk `mysql-disk`: the old one goes first",
        ),
        (
            step("kubernetes:x/v1:CustomResourceDefinitionPatch", "crd", "delete", retained=True),
            Group.REPLACED,
            "lets go of CustomResourceDefinitionPatch `crd`, which stays",
        ),
        (step("kubernetes:core/v1:Namespace", "p2p", "delete"), Group.REPLACED, "deletes Namespace `p2p`"),
        (step("kubernetes:apps/v1:DaemonSet", "dfget", "update", paths=POD), Group.ROLLED, "rolls `dfget`"),
        (step("kubernetes:batch/v1:Job", "job", *OLD_FIRST, paths=POD), Group.ROLLED, "runs Job `job` again"),
        (step(POOL, "node-pool", "update", paths=("nodeConfig.spot",)), Group.ROLLED, "makes the nodes anew"),
        (step(POOL, "node-pool", "update", paths=("nodeCount",)), Group.IN_PLACE, "changes the number of nodes"),
        (step("gcp:compute/firewall:Firewall", "f", "update"), Group.IN_PLACE, "updates Firewall `f`"),
    ],
)
def test_a_step_is_told_in_words_under_its_group(one: Step, group: Group, words: str) -> None:
    plan = Plan((one,))
    assert group_of(plan) is group
    assert described(plan) == words


def test_the_config_that_new_pods_read_is_not_told_of() -> None:
    secret = step("kubernetes:core/v1:Secret", "dfget-config", "update")
    rolled = step("kubernetes:apps/v1:DaemonSet", "dfget", "update", paths=POD)
    assert described(Plan((secret, rolled))) == "rolls `dfget`"
    assert described(Plan((secret,))) == "updates Secret `dfget-config`"


def test_a_pair_has_a_row_where_it_does_something_else() -> None:
    replaced, more = step(POOL, "pool", *NEW_FIRST), step(POOL, "pool", "update", paths=("nodeCount",))
    disk = step("gcp:compute/disk:Disk", "mysql-disk", *OLD_FIRST)

    def page(*together: Step) -> str:
        spot, count = "dragonfly:spot", "dragonfly:nodeCount"
        return markdown(
            [
                Row((spot,), True, (False,), (True,), Plan((replaced,)), None),
                Row((count,), True, (3,), (4,), Plan((more,)), None),
                Row((spot, count), True, (False, 3), (True, 4), Plan(together), None),
            ]
        )

    assert "`spot` and `nodeCount`" not in page(replaced)
    both = page(replaced, disk)
    assert "| `spot` and `nodeCount` | `false`, `3` → `true`, `4` |" in both
    assert "lost: mysql-disk" in both
    assert documented(both)[Group.REPLACED] == {"spot", "nodeCount"}


def test_a_refusal_is_read_as_the_program_writes_it() -> None:
    faults = [
        refused_change("dragonfly:clusterName", "a", "b", "the cluster would be deleted"),
        refused_change("gcp:zone", "", "b", "the disks would be deleted"),
        refused_change("dragonfly:network", "a", "", "the network would be another"),
    ]
    printed = "error: an installed stack keeps it\n\n" + "\n\n".join(map(str, faults)) + "\n\n  A second installation\n"
    found = refusals(printed)
    assert found == {fault.key: fault.rule.partition(" before: ")[2] for fault in faults}
    assert group_of(Plan(refused=found)) is Group.REFUSED
    taken = "Namespace p2p already exists and is not this stack's"
    told = f"error: {taken}; it stays as it is: pulumi config set dragonfly:createNamespace false\n(where an update"
    assert refusals(told) == {"dragonfly:createNamespace": taken}
    assert refusals(str(ConfigFault("dragonfly:tag", '"latest"', "must name a version", "pulumi config rm"))) == {}


def test_the_engines_events_are_read_in_their_order() -> None:
    def event(op: str, name: str, **more: Any) -> dict[str, Any]:
        return {"resourcePreEvent": {"metadata": {"op": op, "urn": f"urn:pulumi:s::p::t::{name}", "type": "t", **more}}}

    found = steps(
        [
            {"diagnosticEvent": {"message": "x", "severity": "info"}},
            event("same", "a"),
            event("create-replacement", "b", detailedDiff={"name": {"kind": "update-replace"}}),
            event("update", "c", detailedDiff=None),
            event("delete-replaced", "b", old={"retainOnDelete": True}),
        ]
    )
    assert found == [
        Step("t", "b", ("create-replacement", "delete-replaced"), frozenset({"name"}), True),
        Step("t", "c", ("update",), frozenset(), False),
    ]
