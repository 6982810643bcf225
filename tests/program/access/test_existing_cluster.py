"""The provider for a cluster that the program did not make."""

from __future__ import annotations

import json
from typing import Any

from tests.program.recorded.recorded_program import RecordedProgram, is_secret, run_main


def _provider(program: RecordedProgram) -> dict[str, Any]:
    (provider,) = program.of_kind("kubernetes")
    return provider.inputs


def _flag(value: Any) -> Any:
    # Providers take every input as text, what is not text as JSON.
    return json.loads(value) if isinstance(value, str) else value


def test_ambient_kubeconfig_is_left_to_the_provider(default_program: RecordedProgram) -> None:
    assert "kubeconfig" not in _provider(default_program)
    assert "context" not in _provider(default_program)


def test_configured_kubeconfig_is_passed_as_a_secret(configured_program: RecordedProgram) -> None:
    provider = _provider(configured_program)
    assert is_secret(provider["kubeconfig"])
    assert provider["kubeconfig"]["value"] == configured_program.config["dragonfly:kubeconfig"]
    assert provider["context"] == "chosen-context"


def test_renewed_kubeconfig_does_not_replace_the_provider(configured_program: RecordedProgram) -> None:
    # The identifier is what the provider compares; with a new one it replaces every object, data included.
    renewed = run_main(
        {**configured_program.config, "dragonfly:kubeconfig": '{"apiVersion": "v1", "kind": "Config"}'},
        frozenset({"dragonfly:kubeconfig", *(key for key in configured_program.config if key.endswith("Password"))}),
    )
    assert renewed.error is None
    assert _provider(renewed)["clusterIdentifier"] == _provider(configured_program)["clusterIdentifier"] != ""


def test_a_context_that_is_set_later_replaces_nothing(
    default_program: RecordedProgram, configured_program: RecordedProgram
) -> None:
    assert _provider(default_program)["clusterIdentifier"] == _provider(configured_program)["clusterIdentifier"]


def test_secrets_and_config_maps_are_updated_in_place(program: RecordedProgram) -> None:
    # Otherwise they are deleted first, and a pod that starts in between fails.
    assert _flag(_provider(program)["enableSecretMutable"]) is True
    assert _flag(_provider(program)["enableConfigMapMutable"]) is True


def test_requests_to_an_unreachable_cluster_are_bounded(program: RecordedProgram) -> None:
    assert 5 <= _flag(_provider(program)["kubeClientSettings"])["timeout"] <= 32


def test_unreachable_objects_are_never_forgotten_by_default(program: RecordedProgram) -> None:
    assert "deleteUnreachable" not in _provider(program)
