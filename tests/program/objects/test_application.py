"""The Application custom resource and its definition."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.program.recorded.recorded_program import JOB, WORKLOADS, RecordedProgram, Resource

GROUPS = {
    "Service": "",
    "Secret": "",
    "PersistentVolumeClaim": "",
    "Deployment": "apps",
    "StatefulSet": "apps",
    "DaemonSet": "apps",
    "NetworkPolicy": "networking.k8s.io",
}


def _application(program: RecordedProgram) -> Resource:
    return program.object("Application", "")


def _definition(program: RecordedProgram) -> Resource:
    (definition,) = program.of_kind("CustomResourceDefinitionPatch")
    return definition


@pytest.fixture
def info(program: RecordedProgram) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in _application(program).spec["info"]}


def test_kind_and_version(program: RecordedProgram) -> None:
    application = _application(program)
    assert application.manifest["apiVersion"] == "app.k8s.io/v1beta1"
    assert application.manifest["kind"] == "Application"


def test_component_kinds_are_api_groups_and_not_versions(program: RecordedProgram) -> None:
    # The chart's `v1` and `apps/v1` match nothing.
    kinds = {one["kind"]: one["group"] for one in _application(program).spec["componentKinds"]}
    assert kinds == GROUPS


def test_component_kinds_are_all_that_the_program_declares(default_program: RecordedProgram) -> None:
    # The Job has nothing to show once it is done.
    declared = {one.kind for one in default_program.objects}
    assert declared - {"Namespace", "CustomResourceDefinitionPatch", "Application", JOB} == set(GROUPS)


def test_selector_selects_every_object_of_the_instance(program: RecordedProgram) -> None:
    wanted = _application(program).spec["selector"]["matchLabels"]
    assert wanted == {"app.kubernetes.io/name": program.app}
    for one in program.objects:
        if one.kind in GROUPS:
            assert wanted.items() <= one.metadata["labels"].items()


def test_descriptor_shows_type_and_version(program: RecordedProgram) -> None:
    descriptor = _application(program).spec["descriptor"]
    assert descriptor["type"] == "Dragonfly"
    assert descriptor["version"] == program.setting("tag", "2.1.34")
    assert descriptor["description"]
    assert all(link["url"].startswith("https://") for link in descriptor["links"])
    assert all(one["url"].startswith("https://") for one in descriptor["maintainers"])


def test_notes_and_info_tell_how_to_reach_the_console(
    program: RecordedProgram, info: dict[str, dict[str, Any]]
) -> None:
    # A context is the workstation's.
    command = re.sub(" --context [^ ]+", "", program.exports["portForwardCommand"].value)
    url = program.exports["consoleUrl"].value
    notes = _application(program).spec["descriptor"]["notes"]
    assert command in notes
    assert url in notes
    values = [one["value"] for one in info.values() if one["type"] == "Value"]
    assert sorted(values) == sorted([command, url])


def test_passwords_are_references_to_existing_keys(program: RecordedProgram, info: dict[str, dict[str, Any]]) -> None:
    references = [one["valueFrom"] for one in info.values() if one["type"] == "Reference"]
    keys = {secret.object_name: set(secret.manifest["stringData"]) for secret in program.of_kind("Secret")}
    found: set[tuple[str, str]] = set()
    for reference in references:
        assert reference["type"] == "SecretKeyRef"
        secret = reference["secretKeyRef"]
        assert secret["key"] in keys[secret["name"]]
        found.add((secret["name"].removeprefix(program.app), secret["key"]))
    assert found == {
        ("-manager-secret", "root-password"),
        ("-mysql-secret", "root-password"),
        ("-mysql-secret", "dragonfly-password"),
        ("-redis-secret", "password"),
    }


def test_definition_stays_when_the_stack_goes(default_program: RecordedProgram) -> None:
    # Deleting it would delete every object of the kind, other applications' too.
    assert _definition(default_program).retain_on_delete


def test_nothing_else_is_left_behind(program: RecordedProgram) -> None:
    for resource in program.resources:
        assert resource.retain_on_delete == (resource.kind == "CustomResourceDefinitionPatch"), resource.name


def test_definition_is_declared_unless_somebody_else_manages_it(
    default_program: RecordedProgram, configured_program: RecordedProgram
) -> None:
    assert len(default_program.of_kind("CustomResourceDefinitionPatch")) == 1
    assert configured_program.of_kind("CustomResourceDefinitionPatch", "CustomResourceDefinition") == []


def test_application_waits_for_its_definition(default_program: RecordedProgram) -> None:
    assert _definition(default_program).urn in _application(default_program).dependencies


def test_definition_is_one_that_the_api_server_takes(default_program: RecordedProgram) -> None:
    definition = _definition(default_program)
    # Kinds under *.k8s.io need the annotation.
    assert "kubernetes-sigs/application" in definition.metadata["annotations"]["api-approved.kubernetes.io"]
    spec = definition.spec
    assert definition.object_name == f"{spec['names']['plural']}.{spec['group']}"
    assert spec["scope"] == "Namespaced"
    (version,) = spec["versions"]
    assert (version["name"], version["served"], version["storage"]) == ("v1beta1", True, True)
    schema = version["schema"]["openAPIV3Schema"]
    assert schema["type"] == "object"
    for part in ("spec", "status"):
        # What other applications say in theirs is kept. Python's SDK writes underscores, the provider hyphens.
        properties = {key.replace("_", "-"): value for key, value in schema["properties"][part].items()}
        assert properties == {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def test_definition_is_applied_under_one_name_of_our_own(default_program: RecordedProgram) -> None:
    # Otherwise every installation has a random one, and the second conflicts with what the first left behind.
    assert _definition(default_program).metadata["annotations"]["pulumi.com/patchFieldManager"]


def test_definition_belongs_to_no_instance(default_program: RecordedProgram) -> None:
    assert default_program.app not in str(_definition(default_program).manifest)
    assert "namespace" not in _definition(default_program).metadata


def test_application_is_not_what_others_wait_for(program: RecordedProgram) -> None:
    application = _application(program)
    for workload in program.of_kind(*WORKLOADS):
        assert application.urn not in workload.dependencies
