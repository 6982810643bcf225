"""Component resources: each a typed node of the tree that `pulumi up` prints, with its children under it."""

from __future__ import annotations

import re

import pytest

from dragonfly.parts.names import Names
from tests.program.recorded.recorded_program import JOB, WORKLOADS, RecordedProgram, Resource

COMPONENTS = {
    "dragonfly:release:Dragonfly",
    "dragonfly:network_policies:NetworkPolicies",
    "dragonfly:created_namespace:CreatedNamespace",
    "dragonfly:credentials:Credentials",
    "dragonfly:mysql:Mysql",
    "dragonfly:redis:Redis",
    "dragonfly:manager:Manager",
    "dragonfly:root_password:RootPassword",
    "dragonfly:scheduler:Scheduler",
    "dragonfly:seed_peer:SeedPeer",
    "dragonfly:peer:Peer",
    "dragonfly:application:Application",
    "dragonfly:prometheus:Prometheus",
    "dragonfly:immutable_config:KeptConfig",
}
BEFORE_PODS = {"Secret", "PersistentVolumeClaim", "RandomPassword", "Namespace", "NetworkPolicy"}


def _by_urn(program: RecordedProgram) -> dict[str, Resource]:
    return {resource.urn: resource for resource in program.resources}


def _components(program: RecordedProgram) -> list[Resource]:
    return [resource for resource in program.resources if not resource.custom]


def _everything_before(program: RecordedProgram, resource: Resource) -> list[Resource]:
    known = _by_urn(program)
    found: dict[str, Resource] = {}
    pending = list(resource.dependencies)
    while pending:
        urn = pending.pop()
        if urn not in found:
            found[urn] = known[urn]
            pending.extend(known[urn].dependencies)
    return list(found.values())


def test_there_is_one_component_for_each_part(program: RecordedProgram) -> None:
    without: set[str] = set()
    if program.setting("networkPolicies", "true") == "false":
        without.add("dragonfly:network_policies:NetworkPolicies")
    if program.setting("monitoring", "none") == "none":
        without.add("dragonfly:prometheus:Prometheus")
    expected = COMPONENTS - without
    assert sorted(component.type for component in _components(program)) == sorted(expected)


def test_type_tokens_name_project_module_and_class() -> None:
    for token in COMPONENTS:
        assert re.fullmatch(r"dragonfly:[a-z_]+:[A-Z][A-Za-z]+", token)


def test_every_component_registers_its_outputs(program: RecordedProgram) -> None:
    assert {component.urn for component in _components(program)} <= set(program.component_outputs)


def test_only_provider_record_and_installation_stand_directly_in_the_stack(program: RecordedProgram) -> None:
    top = [resource.type for resource in program.resources if not resource.parent]
    assert sorted(top) == [
        "dragonfly:immutable_config:KeptConfig",
        "dragonfly:release:Dragonfly",
        "pulumi:providers:kubernetes",
    ]


def test_every_object_is_a_child_of_the_component_whose_label_it_carries(program: RecordedProgram) -> None:
    for one in program.objects:
        parent = _by_urn(program)[one.parent]
        assert not parent.custom
        if one.kind in ("Namespace", "CustomResourceDefinitionPatch", "Application", "PrometheusRule", "ConfigMap"):
            continue
        label = one.metadata["labels"]["app.kubernetes.io/component"].removeprefix("dragonfly-")
        # They go together: first and last, or as somebody wants to see metrics.
        together = {"NetworkPolicy": "network-policies", "PodMonitor": "prometheus"}
        assert parent.name == together.get(one.kind, label)


def test_every_object_is_made_by_the_programs_own_provider(program: RecordedProgram) -> None:
    (provider,) = program.of_kind("kubernetes")
    for one in program.objects:
        assert one.provider.startswith(provider.urn), one.name


def test_no_workload_waits_for_a_service_or_another_workload(program: RecordedProgram) -> None:
    # All starts at once; what needs another waits inside its pod.
    for workload in program.of_kind(*WORKLOADS, JOB):
        before = {resource.kind for resource in _everything_before(program, workload)}
        assert before <= BEFORE_PODS, workload.name


def test_no_workload_waits_for_the_application(program: RecordedProgram) -> None:
    for one in program.objects:
        if one.kind != "Application":
            kinds = {resource.kind for resource in _everything_before(program, one)}
            assert not kinds & {"Application", "CustomResourceDefinitionPatch"}


def test_workload_goes_before_the_secrets_and_claims_that_it_mounts(program: RecordedProgram) -> None:
    # A claim that a pod still mounts never finishes deleting; a pod that starts before its Secret waits for minutes.
    for pod in program.pods:
        before = {
            (one.kind, one.object_name)
            for one in _everything_before(program, pod.workload)
            if one.kind in ("Secret", "PersistentVolumeClaim")
        }
        for volume in pod.spec["volumes"]:
            if "secret" in volume:
                assert ("Secret", volume["secret"]["secretName"]) in before
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in before


@pytest.mark.parametrize(("fixture", "seconds"), [("default_program", 600), ("configured_program", 120)])
def test_workloads_and_the_end_of_claims_are_awaited_as_long_as_configured(
    request: pytest.FixtureRequest, fixture: str, seconds: int
) -> None:
    recorded: RecordedProgram = request.getfixturevalue(fixture)
    for one in recorded.of_kind(*WORKLOADS, JOB, "PersistentVolumeClaim"):
        assert one.timeouts == (f"{seconds}s",) * 3


def test_preview_of_a_first_installation_declares_the_same_objects(
    previewed_program: RecordedProgram, default_program: RecordedProgram
) -> None:
    assert {resource.urn for resource in previewed_program.resources} == {
        resource.urn for resource in default_program.resources
    }
    # Names, and with them everything but the documents around a password, are known before anything exists.
    assert {one.object_name for one in previewed_program.objects} == {
        one.object_name for one in default_program.objects
    }


def test_programs_are_handed_over_after_the_databases(program: RecordedProgram) -> None:
    # Four that await their pods would otherwise take all four places that the engine has on one CPU.
    names = Names(program.app)
    objects = {resource.object_name: resource for resource in program.of_kind("Secret", "PersistentVolumeClaim")}
    before = {
        objects[name].urn
        for name in (
            names.mysql_secret,
            names.mysqld_exporter_secret,
            names.mysql_claim,
            names.redis_secret,
            names.redis_config,
            names.redis_claim,
        )
    }
    for config in (names.manager_config, names.scheduler_config, names.seed_peer_config, names.peer_config):
        assert before <= objects[config].dependencies, config
