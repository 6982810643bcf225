"""Reads a stack's config as the engine has it, and refuses one that is faulty."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pulumi
from pulumi.runtime import config as pulumi_config
from pydantic import SecretStr, ValidationError

from dragonfly.settings.combination_rules import cache_faults, gke_faults, monitoring_faults, shared_port_faults
from dragonfly.settings.fault import PROJECT, ConfigFault
from dragonfly.settings.model import Settings
from dragonfly.settings.report import SettingsError, plain_text_fault, unknown_key_fault, validation_fault


def read_settings() -> Settings:
    """Read the config of the running Pulumi program's stack.

    Raises:
        SettingsError: the config has faults.
    """
    environment = pulumi_config.get_config_env()
    values: dict[str, str] = {**environment, **pulumi_config.CONFIG.get()}
    secret_keys = frozenset(key for key in values if pulumi_config.is_config_secret(key))
    return settings_of(values, secret_keys, stack=pulumi.get_stack(), environment=os.environ)


def settings_of(
    values: Mapping[str, str], secret_keys: frozenset[str], *, stack: str, environment: Mapping[str, str]
) -> Settings:
    """Validate a stack's config.

    Args:
        values: the config as the engine passes it: full keys such as `dragonfly:tag`, values as strings, objects as
            JSON.
        secret_keys: the full keys whose values are encrypted in the stack's file.
        stack: the stack's name, for the message.
        environment: environment variables, where the Google Cloud provider looks for a project or zone too.

    Raises:
        SettingsError: the config has faults; the message names all of them.
    """
    faults: list[ConfigFault] = []
    types = {str(field.alias): _plain(field.annotation) for field in Settings.model_fields.values()}
    optional = {field.alias for field in Settings.model_fields.values() if field.default is None}
    must_be_secret = {f"{PROJECT}:{key}" for key, plain in types.items() if plain is SecretStr}
    # Whatever the user encrypted is a secret, even under a key that needs none.
    hidden = secret_keys | must_be_secret
    given: dict[str, Any] = {}
    for full_key, text in sorted(values.items()):
        namespace, _, key = full_key.partition(":")
        if namespace != PROJECT:
            continue
        if key not in types:
            faults.append(unknown_key_fault(key, list(types)))
        elif text == "" and key in optional:
            # Pulumi.yaml can only declare an optional key by giving it an empty default.
            continue
        else:
            if full_key in must_be_secret - secret_keys:
                faults.append(plain_text_fault(full_key))
            given[key] = _typed_value(types[key], text)
    faulty: set[str] = set()
    try:
        Settings.model_validate(given)
    except ValidationError as error:
        for details in error.errors():
            faults.append(validation_fault(details, values, hidden))
            faulty.add(str(details["loc"][0]))
    sound = Settings.model_validate({key: value for key, value in given.items() if key not in faulty})
    faults.extend(shared_port_faults(given, hidden, sound.line.peer_ports))
    combined = [*cache_faults(sound, faulty), *monitoring_faults(sound, faulty)]
    if sound.provision_cluster and "provisionCluster" not in faulty:
        combined += gke_faults(sound, values, environment, faulty)
    faults.extend(replace(fault, found=None) if fault.key in hidden else fault for fault in combined)
    if faults:
        raise SettingsError(stack, faults)
    return sound


def _typed_value(plain: Any, text: str) -> Any:
    """Config values arrive as text; what is not text in Settings is read as JSON, and left as it is where it is not."""
    if plain in (str, SecretStr):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _plain(annotation: Any) -> Any:
    """Return a field's type without its rules and without the None that stands for "not set"."""
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return _plain(get_args(annotation)[0])
    return annotation
