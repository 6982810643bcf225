"""`Pulumi.yaml` tells the CLI what `Settings` demands: keys, defaults and descriptions of the two must agree."""

from __future__ import annotations

import json
import re
from typing import Any, cast

import pytest
import yaml
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from dragonfly.parts.images import Image
from dragonfly.settings.fault import PROJECT
from dragonfly.settings.model import Settings
from dragonfly.settings.stack_config import settings_of
from tests.program.recorded.known_stacks import DEFAULT_CONFIG
from tests.program.recorded.recorded_program import ROOT
from tests.project.project_file import DECLARED, PROJECT_FILE

FIELDS = {field.alias or to_camel(name): name for name, field in Settings.model_fields.items()}


def test_it_declares_exactly_the_keys_of_settings() -> None:
    assert set(DECLARED) == set(FIELDS)


@pytest.mark.parametrize("key", FIELDS)
def test_default_is_that_of_settings(key: str) -> None:
    expected: object = Settings.model_fields[FIELDS[key]].get_default(call_default_factory=True, validated_data={})
    declared = DECLARED[key]["default"]
    if isinstance(expected, BaseModel):
        expected = expected.model_dump()
    if expected is None:
        # The CLI requires a declared key that has no default; Settings takes an empty one for none.
        assert declared == ""
    else:
        assert declared == expected
        assert type(declared) is type(expected)


@pytest.mark.parametrize("key", FIELDS)
def test_key_has_a_description_and_leaves_its_type_to_settings(key: str) -> None:
    description = DECLARED[key]["description"]
    assert description[0].isupper()
    assert description.endswith(".")
    # With `type` the CLI would report a wrong one alone and first; `secret` with an empty default always fails.
    assert set(DECLARED[key]) == {"default", "description"}


@pytest.mark.parametrize("key", FIELDS)
def test_description_of_a_secret_says_so(key: str) -> None:
    secret = "SecretStr" in str(Settings.model_fields[FIELDS[key]].annotation)
    assert DECLARED[key]["description"].startswith("Secret.") == secret


def test_defaults_of_the_cli_are_a_good_stack() -> None:
    def text(value: object) -> str:
        return value if isinstance(value, str) else json.dumps(value)

    config = {f"{PROJECT}:{key}": text(declared["default"]) for key, declared in DECLARED.items()}
    defaults = settings_of({**config, **DEFAULT_CONFIG}, frozenset(), stack="test", environment={})
    assert defaults == settings_of(DEFAULT_CONFIG, frozenset(), stack="test", environment={})


def test_description_of_images_names_every_image() -> None:
    words = re.findall(r"\w+", DECLARED["images"]["description"])
    assert {image.value for image in Image} <= set(words)


def test_project_is_the_namespace_of_the_keys() -> None:
    assert PROJECT_FILE["name"] == PROJECT


def test_cli_runs_the_program_in_the_virtual_environment() -> None:
    assert PROJECT_FILE["runtime"]["name"] == "python"
    assert PROJECT_FILE["runtime"]["options"]["virtualenv"] == ".venv"


@pytest.mark.parametrize("stack_file", sorted(ROOT.glob("Pulumi.*.yaml")), ids=lambda path: path.name)
def test_stack_file_has_only_known_keys(stack_file: Any) -> None:
    config = cast(dict[str, Any], yaml.safe_load(stack_file.read_text())).get("config", {})
    for full_key in config:
        namespace, _, key = full_key.partition(":")
        assert namespace != PROJECT or key in FIELDS
