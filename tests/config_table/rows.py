"""What each change of the config does, found out on installed stacks."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import yaml
from kubernetes.client.api.core_v1_api import CoreV1Api
from rich.console import Console

from local.api.kubeconfig import connect
from local.cluster.control_plane import Cluster
from local.engine.stack import Engine, LocalStack
from local.ledger.ledger import Entry
from local.machine.paths import PROJECT_FOLDER
from tests.config_table.changes import (
    EXISTING_NETWORK,
    EXISTING_SUBNETWORK,
    KUBECONFIG,
    PAIRS,
    TOGETHER,
    Stacks,
    is_secret,
)
from tests.config_table.plan import Plan, preview
from tests.engine.cloud_stacks import cloud_stacks

CREATE_NAMESPACE = "dragonfly:createNamespace"
_DEFAULTS: dict[str, Any] = yaml.safe_load((PROJECT_FOLDER / "Pulumi.yaml").read_text())["config"]


Keys = tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One change, of one key or of several at once.

    Args:
        keys: the full keys.
        gke: whether the stack makes its cluster.
        old: the values of before; None where a key is not set.
        new: the values of now.
        there: what the change does.
        back: what the opposite change does; None where it was not tried.
    """

    keys: Keys
    gke: bool
    old: tuple[Any, ...]
    new: tuple[Any, ...]
    there: Plan
    back: Plan | None


@dataclass(frozen=True)
class _Job:
    """A stack to install, and the changes to preview on it."""

    name: str
    gke: bool
    config: Mapping[str, Any]
    changes: Mapping[Keys, Mapping[str, Any]]


@dataclass(frozen=True)
class Trial:
    """Where changes are tried.

    Args:
        engine: the CLI.
        cluster: a running one, for stacks that make none.
        console: where progress goes.
    """

    engine: Engine
    cluster: Cluster
    console: Console

    def rows(self, stacks: Stacks) -> list[Row]:
        """Install the stacks of one kind and return what the changes between them do."""
        names = [stacks.name, *(f"{stacks.name}-{number}" for number, _ in enumerate(stacks.others))]
        first = {**_first_config(names[0], gke=stacks.gke), **stacks.base}
        changes = {key: value for each in (*stacks.others, stacks.one_way) for key, value in each.items()}
        units = [*_units(changes), *(pair for pair in PAIRS if stacks.gke and set(pair) <= set(changes))]
        jobs = [
            _Job(names[0], stacks.gke, stacks.base, {keys: {key: changes[key] for key in keys} for keys in units}),
            *(
                _Job(
                    name,
                    stacks.gke,
                    {**stacks.base, **other},
                    {keys: {key: first.get(key) for key in keys} for keys in _units(other)},
                )
                for name, other in zip(names[1:], stacks.others, strict=True)
            ),
        ]
        # In the one cluster they would want the same ports of the nodes.
        with ThreadPoolExecutor(2 if stacks.gke else 1) as pool:
            there, *backs = pool.map(self._previews, jobs)
        back = {keys: plan for each in backs for keys, plan in each.items()}
        return [
            Row(
                keys,
                stacks.gke,
                tuple(first.get(key, _default(key)) for key in keys),
                tuple(changes[key] for key in keys),
                there[keys],
                back.get(keys),
            )
            for keys in units
        ]

    def _previews(self, job: _Job) -> dict[Keys, Plan]:
        with self._installed(job.name, gke=job.gke, config=job.config) as stack:
            return {keys: self._change(stack, values) for keys, values in job.changes.items()}

    def _change(self, stack: LocalStack, values: Mapping[str, Any]) -> Plan:
        self.console.print(f"{stack.name}: {', '.join(values)}")
        with _changed(stack, values, self.cluster.kubeconfig.read_text()):
            plan = preview(stack)
        # The number says only which of several stacks showed it.
        name = stack.name.partition("-")[0]
        return replace(plan, refused={key: text.replace(stack.name, name) for key, text in plan.refused.items()})

    @contextmanager
    def _installed(self, name: str, *, gke: bool, config: Mapping[str, Any]) -> Generator[LocalStack]:
        self.console.print(f"{name}: up")
        if gke:
            with cloud_stacks(self.engine) as make:
                stack = make(name)
                with stack.ledger.change() as entries:
                    for entry in _existing_network(str(config.get("gcp:project", ""))):
                        entries.put(entry)
                yield self._up(stack, config)
            return
        if config.get(CREATE_NAMESPACE) is False:
            with connect(self.cluster.kubeconfig) as client:
                core: Any = CoreV1Api(client)
                core.create_namespace({"metadata": {"name": config.get("dragonfly:namespace", name)}})
        # The stand-in cloud is for the change to a stack that makes its cluster.
        stack = LocalStack(self.engine, name, None, _first_config(name, gke=False))
        stack.prepare()
        shutil.copyfile(self.cluster.kubeconfig, stack.own_kubeconfig)
        yield self._up(stack, config)
        # The next one needs the ports of the nodes.
        stack.output("destroy", "--yes", "--skip-preview")

    def _up(self, stack: LocalStack, config: Mapping[str, Any]) -> LocalStack:
        _write(stack, config, self.cluster.kubeconfig.read_text())
        stack.output("up", "--yes", "--skip-preview")
        return stack


def _units(changes: Mapping[str, Any]) -> list[Keys]:
    """Single keys, and in their place those that only go together."""
    units = [(key,) for key in changes if not any(key in together for together in TOGETHER)]
    return [*units, *(tuple(sorted(together)) for together in TOGETHER if together <= set(changes))]


def _default(key: str) -> Any:
    project, _, name = key.partition(":")
    found = _DEFAULTS[name]["default"] if project == "dragonfly" else None
    return None if found == "" else found


def _first_config(name: str, *, gke: bool) -> dict[str, Any]:
    """Return the config of a stack with the defaults, by full key."""
    dev = cast("dict[str, Any]", yaml.safe_load((PROJECT_FOLDER / "Pulumi.dev.yaml").read_text())["config"])
    google = {**dev, "gcp:project": f"project-{name}"}
    return (
        google
        if gke
        else {
            **google,
            "dragonfly:provisionCluster": False,
            "dragonfly:namespace": name,
            "dragonfly:defaultStorageClass": "standard",
        }
    )


def _existing_network(project: str) -> list[Entry]:
    """Return the network that a stack names instead of making one."""
    network = f"projects/{project}/global/networks/{EXISTING_NETWORK}"
    subnetwork = f"projects/{project}/regions/us-west1/subnetworks/{EXISTING_SUBNETWORK}"
    return [
        Entry("gcp:compute/network:Network", network),
        Entry("gcp:compute/subnetwork:Subnetwork", subnetwork, {"network": network, "ipCidrRange": "10.16.0.0/20"}),
    ]


@contextmanager
def _changed(stack: LocalStack, values: Mapping[str, Any], kubeconfig: str) -> Generator[None]:
    before = stack.config_file.read_text()
    try:
        _write(stack, values, kubeconfig)
        yield
    finally:
        stack.config_file.write_text(before)


def _write(stack: LocalStack, values: Mapping[str, Any], kubeconfig: str) -> None:
    """Set keys of a stack; None removes one."""
    document = cast("dict[str, Any]", yaml.safe_load(stack.config_file.read_text()))
    for key, value in values.items():
        document["config"].pop(key, None)
        if value is not None and not is_secret(key):
            document["config"][key] = value
    stack.config_file.write_text(yaml.safe_dump(document, sort_keys=False))
    secrets = {key: value for key, value in values.items() if value is not None and is_secret(key)}
    texts = {key: kubeconfig if value == KUBECONFIG else str(value) for key, value in secrets.items()}
    if texts:
        stack.output("config", "set-all", *(f"--secret={key}={text}" for key, text in texts.items()))
