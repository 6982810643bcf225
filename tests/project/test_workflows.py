"""The workflows in `.github/workflows`: what runs there is pinned, and gets no more access than it needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from local.tools.catalog import TOOLS
from tests.program.recorded.recorded_program import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PULUMI = ROOT / ".github" / "workflows" / "pulumi.yml"
TEST = ROOT / ".github" / "workflows" / "test.yml"
SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"


def document(path: Path) -> dict[Any, Any]:
    return cast(dict[Any, Any], yaml.safe_load(path.read_text()))


def steps(job: dict[str, Any]) -> list[dict[str, Any]]:
    # One that calls another workflow has none of its own.
    return cast(list[dict[str, Any]], job.get("steps", []))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_their_version_beside(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used
    for action in used:
        # A workflow of this repository is that of the same commit.
        if action.startswith("./"):
            assert (ROOT / action).is_file()
            continue
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_one_action_is_pinned_once() -> None:
    pins: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for action, pin in re.findall(r"uses: (\S+?)@(.*)", path.read_text()):
            pins.setdefault(action, set()).add(pin)
    assert all(len(found) == 1 for found in pins.values()), pins


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_nothing_may_write_unless_it_says_so(path: Path) -> None:
    assert document(path)["permissions"] == {"contents": "read"}
    for job in document(path)["jobs"].values():
        for step in steps(job):
            if "actions/checkout@" in str(step.get("uses")):
                assert step["with"]["persist-credentials"] is False


def test_what_signs_in_to_google_runs_no_code_of_forks() -> None:
    jobs = [job for path in WORKFLOWS for job in document(path)["jobs"].values()]
    signing = [job for job in jobs if job.get("permissions", {}).get("id-token") == "write"]
    assert len(signing) == 2
    for job in signing:
        assert SAME_REPOSITORY in job["if"] or "github.event_name == 'push'" in job["if"]
    # It would run a fork's code with this repository's access.
    assert not any("pull_request_target" in path.read_text() for path in WORKFLOWS)


def test_no_key_file_and_no_secret_is_used() -> None:
    for path in WORKFLOWS:
        assert "secrets." not in path.read_text()
        assert "credentials_json" not in path.read_text()


def test_main_is_tested_once_and_deployed_only_then() -> None:
    jobs = document(PULUMI)["jobs"]
    assert jobs["up"]["needs"] == "test"
    # With a status function of its own it would run after failed tests too.
    assert not re.search(r"always|failure|cancelled", jobs["up"]["if"])
    assert jobs["test"] == {"if": "github.event_name == 'push'", "uses": f"./{TEST.relative_to(ROOT)}"}
    triggers = document(TEST)[True]
    assert set(triggers) == {"push", "pull_request", "workflow_call"}
    assert triggers["push"] == {"branches-ignore": ["main"], "tags": ["**"]}


def test_the_cli_is_the_release_that_the_tests_run() -> None:
    workflow = document(PULUMI)
    assert f"v{workflow['env']['CLI_VERSION']}" == TOOLS["pulumi"].version
    uses = [step for job in workflow["jobs"].values() for step in steps(job)]
    versions = [step.get("with", {}).get("pulumi-version") for step in uses if "pulumi/" in str(step.get("uses"))]
    assert versions == ["${{ env.CLI_VERSION }}"] * 4


def test_no_run_makes_a_stack_whose_key_would_go_with_the_runner() -> None:
    inputs = [step.get("with", {}) for job in document(PULUMI)["jobs"].values() for step in steps(job)]
    assert not any({"upsert", "secrets-provider"} & set(given) for given in inputs)


def test_a_pull_request_does_not_take_the_place_of_a_waiting_update() -> None:
    assert "concurrency" not in document(PULUMI)
    groups = {name: job["concurrency"] for name, job in document(PULUMI)["jobs"].items() if "concurrency" in job}
    assert groups == {
        "preview": {
            "group": "pulumi-preview-${{ github.event.pull_request.number }}",
            "cancel-in-progress": True,
        },
        "up": {
            "group": "pulumi-up-${{ vars.PULUMI_STACK }}-${{ github.event_name }}",
            "cancel-in-progress": False,
        },
    }


def test_only_main_changes_the_stack() -> None:
    # YAML takes the key `on` for true.
    assert document(PULUMI)[True]["push"] == {"branches": ["main"]}
    commands = {
        name: [step["with"]["command"] for step in steps(job) if "command" in step.get("with", {})]
        for name, job in document(PULUMI)["jobs"].items()
    }
    assert commands == {"preview": ["preview"], "test": [], "up": ["up"]}
    assert document(PULUMI)["jobs"]["up"]["permissions"] == {"contents": "read", "id-token": "write"}


def test_every_week_all_releases_are_fetched_before_anything_can_be_built() -> None:
    releases = document(ROOT / ".github" / "workflows" / "releases.yml")
    # YAML takes the key `on` for true.
    assert set(releases[True]) == {"schedule", "workflow_dispatch"}
    (schedule,) = releases[True]["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* \d", schedule["cron"])
    work = steps(releases["jobs"]["fetch"])
    runs = [step.get("run", step.get("uses", "").partition("@")[0]) for step in work]
    fetch = ".venv/bin/python -m local.tools.supply --fetch-only"
    assert runs[-4:] == [fetch, "actions/setup-go", "make up", "make down"]
