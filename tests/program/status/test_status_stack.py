"""What the status command learns from the engine: from the config and the state, whether an update succeeded or not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from dragonfly.settings.report import SettingsError
from dragonfly.status.stack import Stack, stack_of

CONFIG = {
    "dragonfly:provisionCluster": {"value": "false", "secret": False},
    "dragonfly:namespace": {"value": "p2p", "secret": False},
    "dragonfly:appInstanceName": {"value": "images-eu", "secret": False},
    "dragonfly:images": {"value": '{"redis": "r:1"}', "objectValue": {"redis": "r:1"}, "secret": False},
    "dragonfly:redisPassword": {"value": "chosen.password", "secret": True},
    "dragonfly:kubeContext": {"value": "chosen", "secret": False},
}


def secret(value: str) -> Mapping[str, str]:
    """As `pulumi stack export --show-secrets` prints it."""
    return {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(value)}


def provider(**inputs: Any) -> dict[str, Any]:
    return {"type": "pulumi:providers:kubernetes", "urn": "urn:kubernetes", "inputs": inputs}


def read(*resources: Mapping[str, Any], config: Mapping[str, Any] = CONFIG) -> Stack:
    return stack_of("test", config, {"deployment": {"resources": list(resources)}}, {})


def test_config_alone_tells_names_and_context_before_anything_is_in_the_state() -> None:
    states: list[dict[str, Any]] = [{}, {"deployment": {}}, {"deployment": {"resources": None}}]
    for nothing in states:
        stack = stack_of("test", CONFIG, nothing, {})
        assert (stack.settings.namespace, stack.settings.names.manager) == ("p2p", "images-eu-manager")
        assert (stack.kubeconfig, stack.context, stack.has_provider) == (None, "chosen", False)
        assert stack.secrets == {"chosen.password"}


def test_what_is_recorded_as_installed_goes_before_a_config_that_is_refused() -> None:
    record = {"dragonfly:namespace": "installed", "dragonfly:appInstanceName": "first", "dragonfly:network": ""}
    kept = {"type": "dragonfly:immutable_config:KeptConfig", "urn": "urn:config", "inputs": {"config": record}}
    settings = read(kept).settings
    assert (settings.namespace, settings.names.manager, settings.network) == ("installed", "first-manager", None)


def test_kubeconfig_comes_from_the_provider() -> None:
    stack = read(provider(kubeconfig=secret("its contents"), context="of the provider"))
    assert (stack.kubeconfig, stack.context, stack.has_provider) == ("its contents", "of the provider", True)


def test_a_provider_that_was_replaced_is_not_taken() -> None:
    old = {**provider(kubeconfig=secret("old")), "delete": True}
    assert read(old, provider(kubeconfig=secret("new"))).kubeconfig == "new"


def test_kubeconfig_of_the_config_serves_where_no_provider_was_made() -> None:
    config = {**CONFIG, "dragonfly:kubeconfig": {"value": "of: the config", "secret": True}}
    assert read(config=config).kubeconfig == "of: the config"


def test_every_password_that_was_made_is_known_as_a_secret() -> None:
    made = {"dbRootPassword": secret("random"), "tokenKey": secret("key"), "absent": None}
    stack = read({"type": "dragonfly:credentials:Credentials", "urn": "urn:credentials", "outputs": made})
    assert stack.secrets == {"chosen.password", "random", "key"}


def test_no_secret_shows_where_the_stack_does() -> None:
    stack = read(provider(kubeconfig=secret("its contents")))
    assert "chosen.password" not in f"{stack!r}{stack}"
    assert "its contents" not in f"{stack!r}{stack}"


def test_faults_of_the_config_are_told_as_the_program_tells_them() -> None:
    config = {**CONFIG, "dragonfly:tag": {"value": "latest", "secret": False}}
    with pytest.raises(SettingsError, match="dragonfly:tag"):
        read(config=config)
