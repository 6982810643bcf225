"""Stacks that provision their cluster in the stand-in cloud, each in a cloud of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml
from kubernetes.client.api_client import ApiClient

from local.api import kubeconfig
from local.engine.stack import Engine, LocalStack, StackError
from local.ledger.ledger import CLUSTER, DISK, Ledger
from local.machine.paths import PROJECT_FOLDER
from local.standins.cloud.clusters import Clusters

CloudStackFactory = Callable[..., LocalStack]


@contextmanager
def cloud_stacks(engine: Engine) -> Generator[CloudStackFactory]:
    """Makes stacks by name with the config of Pulumi.dev.yaml, and destroys them and their clouds at the end."""
    made: list[LocalStack] = []
    config = yaml.safe_load((PROJECT_FOLDER / "Pulumi.dev.yaml").read_text())["config"]

    def make(name: str, **changes: Any) -> LocalStack:
        own = {f"dragonfly:{key}": value for key, value in changes.items()}
        stack = LocalStack(
            engine,
            name,
            None,
            {**config, "gcp:project": f"project-{name}", "dragonfly:readyTimeoutSeconds": 60, **own},
        )
        # It would be run with the config of the other.
        assert not engine.has_stack(name), f"another test has made a stack {name}"
        stack.prepare()
        made.append(stack)
        return stack

    try:
        yield make
    finally:
        for stack in made:
            for entry in stack.ledger.read().of_type(CLUSTER):
                Clusters(stack.ledger).remove(entry.id)


@contextmanager
def cluster_client(ledger: Ledger) -> Generator[ApiClient]:
    """A client of the one cluster's API server, as its administrator."""
    with kubeconfig.connect(_only_cluster(ledger).kubeconfig) as client:
        yield client


def cluster_status(ledger: Ledger) -> str | None:
    """What goes on with the cluster, or None without one."""
    return next((entry.status for entry in ledger.read().of_type(CLUSTER)), None)


def disks(ledger: Ledger) -> dict[str, Any]:
    """When every disk was made, by ID."""
    return {entry.id: entry.properties.get("creationTimestamp") for entry in ledger.read().of_type(DISK)}


def configure(stack: LocalStack, **keys: str) -> None:
    """Set keys of a stack's config, in one call of the CLI."""
    stack.output("config", "set-all", *(f"--plaintext=dragonfly:{key}={value}" for key, value in keys.items()))


def failure_of(stack: LocalStack, *arguments: str) -> str:
    """What a command of the CLI that fails prints; no traceback stands over the reason."""
    with pytest.raises(StackError) as failed:
        stack.output(*arguments)
    printed = str(failed.value)
    assert "Traceback" not in printed
    return printed


def _only_cluster(ledger: Ledger) -> Any:
    return Clusters(ledger).control_plane(ledger.read().of_type(CLUSTER)[0].id)
