"""What a project needs before the program can switch its APIs on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pulumi
import pytest

from dragonfly.gke import apis
from dragonfly.gke.apis import enable_command
from tests.program.recorded.gke_stack import run_gke
from tests.project.pages import README


def test_readme_has_the_command_that_the_error_tells() -> None:
    assert enable_command("my-project") in README.read_text()


def test_every_api_explains_its_error() -> None:
    services = [one for one in run_gke().resources if one.type == "gcp:projects/service:Service"]
    assert len(services) == 7
    assert {one.error_hooks for one in services} == {("api-is-off",)}


class Hook:
    """What the engine would call."""

    def __init__(self, _: str, call: Callable[[pulumi.ErrorHookArgs], bool]) -> None:
        self.call = call


@pytest.mark.parametrize("reason", ["SERVICE_DISABLED", "accessNotConfigured"])
def test_an_api_that_is_off_is_told_once_and_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reason: str
) -> None:
    monkeypatch.setattr(pulumi, "ErrorHook", Hook)
    hook = cast(Any, apis._remedy("my-project"))  # pyright: ignore[reportPrivateUsage]

    def fails(*errors: str) -> str:
        args = pulumi.ErrorHookArgs(
            urn="urn", id="", name="n", type="t", failed_operation="create", errors=list(errors)
        )
        assert hook.call(args) is False
        return capsys.readouterr().err

    # The newest is the first.
    assert fails("quota exceeded", f"Error 403: {reason}") == ""
    assert fails(f"Error 403: {reason}", "quota exceeded") == (
        "project my-project lacks an API that must be on before this program can switch on the others:\n\n"
        "  gcloud services enable serviceusage.googleapis.com cloudresourcemanager.googleapis.com "
        "--project my-project\n\n"
        "One that was switched on a moment ago, by this update too, takes some minutes until it answers.\n"
        "Then run `pulumi up` again, which goes on where this one ended.\n"
    )
    assert fails(f"Error 403: {reason}") == ""
