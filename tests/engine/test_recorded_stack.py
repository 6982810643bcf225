"""Stacks that an earlier version of the program installed are somebody's data: an update keeps it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from kubernetes import client, dynamic
from kubernetes.client.api_client import ApiClient
from kubernetes.dynamic.exceptions import ResourceNotFoundError

from dragonfly.parts.names import Names
from dragonfly.parts.traffic import policy_names
from tests.engine.cloud_stacks import failure_of
from tests.engine.cluster_objects import objects_by_kind, secret_values, unready_pods
from tests.engine.conftest import StackFactory

NAMES = Names("dragonfly-1")
RECORDED = Path(__file__).parent / "stack-of-4.34.2.json"
"""`pulumi stack export --show-secrets` of a stack `recorded` in a namespace of that name, two minutes after it was
installed with pulumi-kubernetes 4.34.2. Its passwords were made for the record."""


# What is made: two records in the state, the network policies, and their component; besides the Job, which had a TTL of
# a minute and was gone.
_MADE = 2 + len(policy_names(NAMES)) + 1


@pytest.mark.parametrize(
    ("options", "made"),
    [((), {"create": _MADE, "replace": 1}), (("--refresh",), {"create": _MADE + 1})],
    ids=["up", "up --refresh"],
)
def test_a_stack_of_before_is_updated_in_place(
    make_stack: StackFactory, api: ApiClient, tmp_path: Path, options: tuple[str, ...], made: dict[str, int]
) -> None:
    name = f"recorded-{len(options)}"
    stack = make_stack(name)
    record = json.loads(RECORDED.read_text().replace("recorded", name).replace("KUBECONFIG", str(stack.kubeconfig)))
    _apply(api, record)
    salt = yaml.safe_load(stack.config_file.read_text())["encryptionsalt"]
    record["deployment"]["secrets_providers"] = {"type": "passphrase", "state": {"salt": salt}}
    file = tmp_path / "record.json"
    file.write_text(json.dumps(record))
    stack.output("stack", "import", "--file", str(file))
    before = _identities(api, name)
    passwords = _passwords(api, name)

    stack.output("up", "--yes", "--skip-preview", *options)
    done = stack.last_changes()
    assert {kind: done[kind] for kind in done.keys() - {"same", "update"}} == made
    assert _identities(api, name) == before
    assert _passwords(api, name) == passwords
    assert unready_pods(api, name) == []
    assert "dragonfly-1" in objects_by_kind(api, name)["Application"]
    stack.output("preview", "--refresh", "--expect-no-changes")
    # It is recorded now what the stack has made.
    stack.output("config", "set", "dragonfly:createNamespace", "false")
    assert "pulumi config set dragonfly:createNamespace true" in failure_of(stack, "preview")


def _apply(api: ApiClient, record: dict[str, Any]) -> None:
    """Make the objects of a state as they were: applied from the same inputs by the same field managers."""
    client_of_all: Any = dynamic.DynamicClient(api)
    resources: Any = client_of_all.resources
    for resource in record["deployment"]["resources"]:
        if not resource["type"].startswith("kubernetes:"):
            continue
        item = _plain(resource["inputs"])
        if item["kind"] == "Job":
            continue
        kind = _kind(resources, item)
        kind.server_side_apply(
            item,
            namespace=item["metadata"].get("namespace"),
            field_manager=resource["outputs"]["__fieldManager"],
            force_conflicts=True,
        )


def _kind(resources: Any, item: dict[str, Any]) -> Any:
    deadline = time.monotonic() + 20
    while True:
        try:
            return resources.get(api_version=item["apiVersion"], kind=item["kind"])
        except ResourceNotFoundError:
            # The API server serves the kind of a new CRD a moment later.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
            resources.invalidate_cache()


def _plain(value: Any) -> Any:
    """Return a value of an exported state, secrets laid open."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        if "4dabf18193072939515e22adb298388d" in fields:
            return json.loads(fields["plaintext"])
        return {name: _plain(field) for name, field in fields.items()}
    if isinstance(value, list):
        return [_plain(element) for element in cast("list[Any]", value)]
    return value


def _identities(api: ApiClient, namespace: str) -> dict[str, str]:
    """Return the UID of each claim and workload: another one is another object."""
    core: Any = client.CoreV1Api(api)
    apps: Any = client.AppsV1Api(api)
    return {
        f"{item.__class__.__name__} {item.metadata.name}": item.metadata.uid
        for listed in (
            core.list_namespaced_persistent_volume_claim(namespace),
            core.list_namespaced_secret(namespace),
            core.list_namespaced_service(namespace),
            apps.list_namespaced_stateful_set(namespace),
            apps.list_namespaced_deployment(namespace),
            apps.list_namespaced_daemon_set(namespace),
        )
        for item in listed.items
    }


def _passwords(api: ApiClient, namespace: str) -> dict[str, str]:
    return {
        name: secret_values(api, namespace, name)[key]
        for name, key in (
            ("dragonfly-1-mysql-secret", "root-password"),
            ("dragonfly-1-mysql-secret", "dragonfly-password"),
            ("dragonfly-1-redis-secret", "password"),
        )
    }
