"""Changes of the config that an installed stack cannot follow: which they are, and which are none."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from dragonfly.pods.claim import keeps_its_size, shrunk_claim
from dragonfly.settings.fault import ConfigFault
from dragonfly.settings.model import Settings
from dragonfly.updates.created_namespace import given_up_namespace
from dragonfly.updates.immutable_config import changed_config
from dragonfly.updates.refused_change import RefusedChangeError, refused_change, refuses
from tests.program.played.played_hook import Hook
from tests.program.recorded.gke_stack import run_gke
from tests.program.recorded.known_stacks import CONFIGURED_LINE_2_5_CONFIG, SECRET_KEYS
from tests.program.recorded.recorded_program import RecordedProgram, run_main

ZONAL = {"clusterLocation": "us-west1-a"}
REGIONAL = {"clusterLocation": "us-west1"}


def record(**keys: str) -> dict[str, Any]:
    """What is recorded with some config."""
    return run_gke(**keys).kept_config.manifest["config"]


def faults(old: dict[str, Any], new: dict[str, Any], **fields: Any) -> dict[str, ConfigFault]:
    return {fault.key: fault for fault in changed_config(old, new, Settings(**fields))}


def test_the_record_is_compared_before_anything_else_is_made() -> None:
    gke = run_gke()
    assert gke.kept_config.update_hooks == ("keeps-its-config",)
    top = [one for one in gke.resources if one.type in ("dragonfly:gke:GkeCluster", "dragonfly:release:Dragonfly")]
    assert [one.inputs for one in top] == [{"keptConfig": gke.kept_config.urn}] * 2


def test_an_installation_into_an_existing_cluster_records_too(default_program: RecordedProgram) -> None:
    assert default_program.kept_config.manifest["config"] == {
        "dragonfly:provisionCluster": False,
        "dragonfly:appInstanceName": "dragonfly-1",
        "dragonfly:namespace": "default",
    }


def test_what_recorded_nothing_and_what_is_the_same_are_left_alone() -> None:
    assert faults({}, record()) == {}
    assert faults(record(), record(nodeMachineType="e2-standard-8", spot="true", dbPersistentDiskSize="20Gi")) == {}
    # Written out, the default is the same.
    assert faults(record(), record(**ZONAL), clusterLocation="us-west1-a") == {}


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("clusterName", "other", "set dragonfly:clusterName dragonfly-cluster"),
        ("appInstanceName", "other", "set dragonfly:appInstanceName dragonfly-1"),
        ("namespace", "other", "set dragonfly:namespace default"),
    ],
)
def test_another_value_is_refused_with_the_one_of_before(key: str, value: str, remedy: str) -> None:
    found = faults(record(), record(**{key: value}))
    assert set(found) == {f"dragonfly:{key}"}
    fault = found[f"dragonfly:{key}"]
    assert fault.found == f'"{value}"'
    assert fault.remedy == f"pulumi config {remedy}"
    assert "would be deleted" in fault.rule


def test_every_key_is_told_at_once() -> None:
    found = faults(record(), record(network="shared", subnetwork="nodes"))
    assert {key: fault.remedy for key, fault in found.items()} == {
        "dragonfly:network": "pulumi config rm dragonfly:network",
        "dragonfly:subnetwork": "pulumi config rm dragonfly:subnetwork",
    }
    back = faults(record(network="shared", subnetwork="nodes"), record())
    assert back["dragonfly:network"].found is None


def test_of_zone_and_location_the_key_that_decides_is_named() -> None:
    elsewhere = {**record(), "dragonfly:clusterLocation": "us-west1-b", "gcp:zone": "us-west1-b"}
    assert set(faults(record(), elsewhere)) == {"gcp:zone"}
    assert "GKE cluster" in faults(record(), elsewhere)["gcp:zone"].rule
    assert set(faults(record(**ZONAL), elsewhere, clusterLocation="us-west1-b")) == {"dragonfly:clusterLocation"}
    # Of a regional cluster the zone is the disks' alone.
    disks = faults(record(**REGIONAL), {**record(**REGIONAL), "gcp:zone": "us-west1-b"})
    assert {key: fault.rule for key, fault in disks.items()} == {
        "gcp:zone": 'was "us-west1-a" before: the databases\' disks would be deleted, and new, empty ones made'
    }
    assert set(faults(record(**REGIONAL), record())) == {"dragonfly:clusterLocation"}
    assert set(faults(record(), record(**REGIONAL), clusterLocation="us-west1")) == {"dragonfly:clusterLocation"}


@pytest.mark.parametrize("provision", [True, False])
def test_a_stack_keeps_the_kind_of_its_cluster(provision: bool) -> None:
    other = {"dragonfly:provisionCluster": False, "dragonfly:namespace": "x", "dragonfly:appInstanceName": "y"}
    old, new = (record(), other) if provision else (other, record())
    assert set(faults(old, new)) == {"dragonfly:provisionCluster"}


def claim(size: str) -> dict[str, Any]:
    return {"spec": {"resources": {"requests": {"storage": size}}}}


@pytest.mark.parametrize(("old", "new"), [("8Gi", "8Gi"), ("8Gi", "20Gi"), ("1Gi", "1024Mi")])
def test_a_disk_may_grow(old: str, new: str) -> None:
    assert shrunk_claim("dragonfly:dbPersistentDiskSize", claim(old), claim(new)) == []


def test_a_disk_does_not_shrink() -> None:
    (fault,) = shrunk_claim("dragonfly:dbPersistentDiskSize", claim("8Gi"), claim("8000Mi"))
    assert fault.remedy == "pulumi config set dragonfly:dbPersistentDiskSize 8Gi"
    assert fault.rule == 'was "8Gi" before: a disk can grow, not shrink'
    hooks = {one.name: one.update_hooks for one in run_gke().of_kind("PersistentVolumeClaim")}
    assert hooks == {f"{db}-claim": (f"{db}-claim-does-not-shrink",) for db in ("mysql", "redis")}


@pytest.mark.parametrize(
    ("name", "key"),
    [("mysql", "dbPersistentDiskSize"), ("redis", "redisPersistentDiskSize"), ("seed-peer", "seedPeerCacheSize")],
)
def test_a_smaller_disk_is_refused_before_the_disk_is_looked_at(name: str, key: str) -> None:
    program = run_gke(tag="2.5.1", **{key: "20Gi"})
    (component,) = [one for one in program.resources if one.name == name and one.type.startswith("dragonfly:")]
    assert component.update_hooks == (f"{name}-keeps-its-size",)
    assert component.manifest == {"diskSize": "20Gi"}


def test_a_component_keeps_the_size_of_what_it_has_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi, "ResourceHook", Hook)
    binding: Any = keeps_its_size("mysql", "dragonfly:dbPersistentDiskSize").hooks

    def update(old: dict[str, Any], new: str) -> None:
        args = pulumi.ResourceHookArgs("urn", "", "n", "t", old_inputs=old, new_inputs={"diskSize": new})
        binding.before_update[0].call(args)

    # What recorded nothing has no size to keep.
    update({}, "1Gi")
    update({"claimedSize": "8Gi"}, "8Gi")
    with pytest.raises(RefusedChangeError, match=r'was "8Gi" before: a disk can grow, not shrink\n'):
        update({"claimedSize": "8Gi"}, "5Gi")


def test_what_is_to_shrink_is_told_its_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    compare: dict[str, Any] = {}

    class Noted(pulumi.ResourceHook):
        def __init__(self, name: str, call: Any, opts: pulumi.ResourceHookOptions) -> None:
            super().__init__(name, call, opts)
            compare[name] = call

    monkeypatch.setattr(pulumi, "ResourceHook", Noted)
    assert run_main(CONFIGURED_LINE_2_5_CONFIG, SECRET_KEYS).error is None
    sizes_of = {"mysql": "dbPersistentDiskSize", "redis": "redisPersistentDiskSize", "seed-peer": "seedPeerCacheSize"}
    for name, key in sizes_of.items():
        sizes = {"old_inputs": claim("8Gi"), "new_inputs": claim("1Gi")}
        recorded = {"old_inputs": {"claimedSize": "8Gi"}, "new_inputs": {"diskSize": "1Gi"}}
        for hook, inputs in ((f"{name}-claim-does-not-shrink", sizes), (f"{name}-keeps-its-size", recorded)):
            with pytest.raises(RefusedChangeError, match=f"\n    pulumi config set dragonfly:{key} 8Gi\n"):
                compare[hook](pulumi.ResourceHookArgs("urn", "", "n", "t", **inputs))


def test_a_namespace_that_the_stack_made_stays_and_one_that_it_could_not_make_does_not_count() -> None:
    (fault,) = given_up_namespace({"name": "p2p"}, {"name": ""})
    assert (fault.key, fault.found) == ("dragonfly:createNamespace", "false")
    assert fault.remedy == "pulumi config set dragonfly:createNamespace true"
    assert fault.rule == ("was true before: namespace p2p would be deleted with everything in it, the databases too")
    assert given_up_namespace({"name": ""}, {"name": "p2p"}) == []
    assert given_up_namespace({"name": "p2p"}, {"name": "p2p"}) == []


def test_a_refusal_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi, "ResourceHook", Hook)
    seen: list[tuple[Any, Any]] = []

    def compared(old: Any, new: Any) -> list[ConfigFault]:
        seen.append((old, new))
        return given_up_namespace(old, new)

    binding: Any = refuses("keeps", compared).hooks
    hook: Hook = binding.before_update[0]
    assert hook.in_preview

    def update(old: dict[str, Any] | None, read: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        hook.call(pulumi.ResourceHookArgs("urn", "", "n", "t", new_inputs=new, old_inputs=old, old_outputs=read))

    update({"name": ""}, None, {"name": "p2p"})
    # What was read back counts.
    with pytest.raises(RefusedChangeError) as refused:
        update({"name": ""}, {"name": "p2p"}, {"name": ""})
    assert seen[-1] == ({"name": "p2p"}, {"name": ""})
    assert (
        str(refused.value)
        == """\
an installed stack keeps what the config changes here; set it back

  dragonfly:createNamespace: false
    was true before: namespace p2p would be deleted with everything in it, the databases too
    pulumi config set dragonfly:createNamespace true

  A second installation beside this one is another stack: pulumi stack init <name>
  To give this one up with all its data, set back what is listed here, then run one after the other
    pulumi config set dragonfly:deletionProtection false
    pulumi up
    pulumi destroy
  after which the stack takes any config.
"""
    )


def test_several_keys_stand_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {"old_inputs": {"config": record()}, "new_inputs": {"config": record(network="v", subnetwork="s")}}
    monkeypatch.setattr(pulumi, "ResourceHook", Hook)

    def compared(old: Any, new: Any) -> list[ConfigFault]:
        return changed_config(old["config"], new["config"], Settings.model_validate({}))

    binding: Any = refuses("keeps", compared).hooks
    with pytest.raises(RefusedChangeError) as refused:
        binding.before_update[0].call(pulumi.ResourceHookArgs("urn", "", "n", "t", **changed))
    assert "rm dragonfly:network\n\n  dragonfly:subnetwork: " in str(refused.value)


def test_a_secret_of_before_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def secret(key: str) -> bool:
        return bool(key)

    monkeypatch.setattr("dragonfly.updates.refused_change.is_config_secret", secret)
    fault = refused_change("dragonfly:namespace", "before", "now", "gone")
    assert (fault.found, fault.rule) == (None, "was another before: gone")
    assert fault.remedy == "pulumi config set --secret dragonfly:namespace"
    unset = refused_change("dragonfly:namespace", "", "now", "gone")
    assert (unset.rule, unset.remedy) == ("was not set before: gone", "pulumi config rm dragonfly:namespace")
