"""The configuration of a `kubernetes.Provider`, with the plug-in's environment variables and defaults."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from local.plugins.api_server import DEFAULT_TIMEOUT
from local.plugins.kubeconfig import Selection

_PREFIX = "kubernetes:config:"


@dataclass(frozen=True)
class ProviderSettings:
    """What a provider is configured with.

    Attributes:
        kubeconfig: the text or path of one; empty for the ambient one.
        selection: overrides of context, cluster and namespace.
        server_side_apply: whether changes are applied by the server, with field ownership.
        mutable_secrets: whether a Secret's data changes in place.
        mutable_config_maps: whether a ConfigMap's data changes in place.
        delete_unreachable: whether objects of a cluster that does not answer leave the state.
        skip_update_unreachable: whether a refresh keeps what it cannot read.
        upsert: whether creating an object that exists takes it over.
        patch_force: whether fields that others own are taken from them.
        timeout: seconds that one request may take.
        per_second: requests a second once the burst is spent.
        burst: requests at once.
    """

    kubeconfig: str
    selection: Selection
    server_side_apply: bool
    mutable_secrets: bool
    mutable_config_maps: bool
    delete_unreachable: bool
    skip_update_unreachable: bool
    upsert: bool
    patch_force: bool
    timeout: float
    per_second: float
    burst: int


def read_settings(variables: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> ProviderSettings:
    """Return the settings in the variables of a Configure request; a variable goes before its environment variable.

    Args:
        variables: `kubernetes:config:<key>` to text; objects as JSON, booleans as `true` and `false`.
        environment: the process's environment.

    Raises:
        ValueError: `kubeClientSettings` or its environment variables are not what they should be.
    """

    def text(key: str) -> str:
        return variables.get(_PREFIX + key, "")

    def flag(key: str, variable: str, *, default: bool = False) -> bool:
        if _PREFIX + key in variables:
            return variables[_PREFIX + key] == "true"
        return environment[variable] == "true" if variable in environment else default

    client = _client_settings(text("kubeClientSettings"))

    def number(key: str, variable: str, default: float) -> float:
        found: object = client.get(key, environment.get(variable) or default)
        try:
            value = float(cast("str | float", found))
        except (TypeError, ValueError):
            value = 0.0
        if value <= 0:
            raise ValueError(f"kubeClientSettings.{key} (or {variable}) is {found!r}; expected a number above 0")
        return value

    return ProviderSettings(
        kubeconfig=text("kubeconfig"),
        selection=Selection(text("context"), text("cluster"), text("namespace")),
        server_side_apply=flag("enableServerSideApply", "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY", default=True),
        mutable_secrets=flag("enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE"),
        mutable_config_maps=flag("enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE"),
        delete_unreachable=flag("deleteUnreachable", "PULUMI_K8S_DELETE_UNREACHABLE"),
        skip_update_unreachable=flag("skipUpdateUnreachable", "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE"),
        upsert=flag("upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"),
        patch_force=flag("enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE"),
        timeout=number("timeout", "PULUMI_K8S_CLIENT_TIMEOUT", DEFAULT_TIMEOUT),
        per_second=number("qps", "PULUMI_K8S_CLIENT_QPS", 50.0),
        burst=int(number("burst", "PULUMI_K8S_CLIENT_BURST", 120)),
    )


def _client_settings(text: str) -> dict[str, object]:
    if not text:
        return {}
    try:
        parsed: object = json.loads(text)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise ValueError("kubeClientSettings is not a JSON object with timeout, qps and burst")
    return {key: value for key, value in cast("dict[str, object]", parsed).items() if value is not None}
