"""A Job that the state does not know, and that cannot become what the program declares."""

from __future__ import annotations

import asyncio
from typing import Any

import pulumi
import pytest

from dragonfly.access.cluster_access import ClusterAccess
from dragonfly.updates.leftover_job import replaces_leftover
from tests.program.played.played_api_server import NAMES, installed_api_server, kubeconfig
from tests.program.played.played_hook import Hook
from tests.program.recorded.recorded_program import RecordedProgram

JOB = f"/apis/batch/v1/namespaces/p2p/jobs/{NAMES.root_password_job}"
REFUSAL = f'Job.batch "{NAMES.root_password_job}" is invalid: spec.template: Invalid value: {{}}: field is immutable'


def fail(url: str, operation: str, *errors: str) -> bool:
    """Return whether the engine is to try once more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi, "ErrorHook", Hook)
        options = replaces_leftover(ClusterAccess(kubeconfig(url)), "p2p", NAMES.root_password_job)
    binding: Any = options.hooks
    args = pulumi.ErrorHookArgs("urn", "id", "root-password", "t", failed_operation=operation, errors=list(errors))
    return bool(asyncio.run(binding.on_error[0].call(args)))


def test_the_root_password_job_replaces_one_and_nothing_else_does(program: RecordedProgram) -> None:
    assert [one.name for one in program.objects if "replaces-leftover-job" in one.error_hooks] == ["root-password"]


@pytest.mark.parametrize("status", [200, 404], ids=["there", "gone meanwhile"])
def test_it_is_deleted_with_its_pods_and_the_new_one_is_made_again(status: int) -> None:
    with installed_api_server() as api:
        api.answers[JOB] = (status, {})
        assert fail(api.url, "create", REFUSAL)
        assert api.changed == [(f"{JOB}?propagationPolicy=Background", None)]


@pytest.mark.parametrize(
    ("operation", "errors"),
    [
        ("create", ["an image that nobody has"]),
        # The engine would go on with it for ever.
        ("create", [REFUSAL, REFUSAL]),
        ("delete", [REFUSAL]),
        ("update", [REFUSAL]),
    ],
)
def test_nothing_is_deleted_for_another_reason(operation: str, errors: list[str]) -> None:
    with installed_api_server() as api:
        assert not fail(api.url, operation, *errors)
        assert (api.asked, api.changed) == ([], [])


def test_a_preview_deletes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    with installed_api_server() as api:
        assert not fail(api.url, "create", REFUSAL)
        assert (api.asked, api.changed) == ([], [])


def test_who_may_not_delete_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)
    with installed_api_server() as api:
        api.answers[JOB] = (403, {"message": "no"})
        # What the plug-in said stays the error.
        assert not fail(api.url, "create", REFUSAL)
    (told,) = warnings
    assert f"does not delete Job {NAMES.root_password_job} (403): no" in told
    assert told.endswith(f"kubectl delete job {NAMES.root_password_job} --namespace p2p")
