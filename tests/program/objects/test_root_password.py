"""The Job that gives root a password, as the program declares it; `tests/scripts` runs its script."""

from __future__ import annotations

from typing import cast

from dragonfly.components.root_password import ROOT_PASSWORD_KEY
from tests.program.recorded.recorded_program import RecordedProgram, revealed


def test_job_runs_the_managers_own_image_and_stays_when_it_is_done(program: RecordedProgram) -> None:
    job = program.object("Job", "-root-password")
    pod = program.pod("-root-password")
    manager = program.pod("-manager")
    assert pod.containers[0]["image"] == manager.container("manager")["image"]
    assert "ttlSecondsAfterFinished" not in job.manifest["spec"]
    assert pod.spec["restartPolicy"] == "OnFailure"


def test_managers_service_does_not_lead_to_the_job(program: RecordedProgram) -> None:
    selector = cast("dict[str, str]", program.object("Service", "-manager-service").manifest["spec"]["selector"])
    labels = program.pod("-root-password").labels
    assert not selector.items() <= labels.items()


def test_password_is_random_and_an_output(program: RecordedProgram) -> None:
    secret = program.secret_document("-manager-secret", ROOT_PASSWORD_KEY)
    assert secret == program.random["console-root-password"]
    export = program.exports["consoleRootPassword"]
    assert export.secret
    assert revealed(export.value) == secret


def test_job_comes_after_the_manager_in_the_engine(program: RecordedProgram) -> None:
    # Four operations at once on one CPU: a Job that waits for a manager which has no place would wait for ever.
    config = program.object("Secret", "-manager-config")
    secret = program.object("Secret", "-manager-secret")
    assert config.urn in secret.dependencies
    assert secret.urn in program.object("Job", "-root-password").dependencies


def test_one_refusal_is_not_believed(program: RecordedProgram) -> None:
    command = program.pod("-root-password").containers[0]["command"]
    *_, refusals, _ = command
    # Longer than the manager of 2.5 refuses the right one, by its cache.
    assert refusals == ("33" if program.setting("tag", "2.1.34").startswith("2.5") else "3")
