"""Runs the whole program under Pulumi's mocks and keeps everything that it registered, for many tests to look at."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import os
import runpy
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast
from unittest import mock

import pulumi
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import mocks as pulumi_mocks
from pulumi.runtime import rpc
from pulumi.runtime.config import set_all_config
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import run_pulumi_func

ROOT = Path(__file__).resolve().parents[3]
STACK = "test"

# How a secret looks in what the program sends to the engine (pulumi.runtime.rpc).
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

# What the SDK tells of itself and of the program's lines; and the dependencies of single properties, all of which stand
# among those of the resource.
_ABOUT_THE_CALLER = {
    "acceptResources",
    "acceptSecrets",
    "acceptsByteString",
    "parentStackTraceHandle",
    "propertyDependencies",
    "sourcePosition",
    "stackTrace",
    "supportsPartialValues",
    "supportsResultReporting",
    "version",
}

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
JOB = "Job"


def is_secret(value: object) -> bool:
    return isinstance(value, dict) and cast(dict[str, Any], value).get(_SIGNATURE) == _SECRET


def revealed(value: Any) -> Any:
    """The value as the cluster gets it: secrets are unwrapped."""
    if is_secret(value):
        return revealed(value["value"])
    if isinstance(value, dict):
        return {key: revealed(item) for key, item in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [revealed(item) for item in cast(list[Any], value)]
    return value


def public(value: Any) -> Any:
    """The value as a preview or the state shows it: secrets are hidden."""
    if is_secret(value):
        return "[secret]"
    if isinstance(value, dict):
        return {key: public(item) for key, item in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [public(item) for item in cast(list[Any], value)]
    return value


def strings_in(value: Any) -> Iterator[str]:
    """Every key and every text inside a value."""
    if isinstance(value, dict):
        for key, item in cast(dict[str, Any], value).items():
            yield key
            yield from strings_in(item)
    elif isinstance(value, list):
        for item in cast(list[Any], value):
            yield from strings_in(item)
    else:
        yield str(value)


@dataclass(frozen=True)
class Resource:
    """One registered resource.

    Attributes:
        type: the type token.
        name: Pulumi's name of it.
        inputs: as sent to the engine, secrets wrapped.
        parent: URN of the parent, empty for a child of the stack.
        dependencies: URNs of what must exist first.
        provider: URN and id of the provider.
        custom: False for a component.
        timeouts: custom timeouts of create, update and delete.
        deleted_with: URN of the resource with which it goes, or empty.
        protect: whether deleting and replacing it is refused.
        ignored: inputs whose changes are ignored.
        delete_before_replace: whether a replacement deletes first; None leaves it to the plug-in.
        create_hooks, update_hooks: names of what runs before its creation, and before a change of it.
        error_hooks: names of what runs when it fails.
        request: all of it, as sent to the engine.
    """

    urn: str
    type: str
    name: str
    inputs: dict[str, Any]
    parent: str
    dependencies: frozenset[str]
    provider: str
    custom: bool
    retain_on_delete: bool
    timeouts: tuple[str, str, str]
    deleted_with: str
    protect: bool
    ignored: frozenset[str]
    delete_before_replace: bool | None
    create_hooks: tuple[str, ...]
    update_hooks: tuple[str, ...]
    error_hooks: tuple[str, ...]
    request: Any = field(repr=False)

    @property
    def declaration(self) -> dict[str, Any]:
        """What the engine is asked for, without where in the program and by which SDK."""
        asked = MessageToDict(self.request)
        found = {key: value for key, value in asked.items() if value and key not in _ABOUT_THE_CALLER}
        # The SDK sends them in any order.
        return {**found, "dependencies": sorted(self.dependencies)}

    @property
    def kind(self) -> str:
        return self.type.rpartition(":")[2]

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The inputs as the cluster gets them; hundreds of tests read it."""
        return cast(dict[str, Any], revealed(self.inputs))

    @property
    def metadata(self) -> dict[str, Any]:
        return self.manifest["metadata"]

    @property
    def object_name(self) -> str:
        return self.metadata["name"]

    @property
    def spec(self) -> dict[str, Any]:
        return self.manifest["spec"]

    @property
    def is_kubernetes_object(self) -> bool:
        return self.type.startswith("kubernetes:")


@dataclass(frozen=True)
class Pod:
    """A pod template."""

    workload: Resource

    @property
    def template(self) -> dict[str, Any]:
        return self.workload.spec["template"]

    @property
    def spec(self) -> dict[str, Any]:
        return self.template["spec"]

    @property
    def labels(self) -> dict[str, str]:
        return self.template["metadata"]["labels"]

    @property
    def annotations(self) -> dict[str, str]:
        return self.template["metadata"]["annotations"]

    @property
    def containers(self) -> list[dict[str, Any]]:
        return self.spec["containers"]

    def container(self, name: str) -> dict[str, Any]:
        return next(container for container in self.containers if container["name"] == name)


@dataclass(frozen=True)
class Export:
    """An output of the stack."""

    value: Any
    secret: bool


@dataclass
class RecordedProgram:
    """What one run of the program did.

    Attributes:
        config: the stack's config that it ran with.
        random: results of the random passwords, by Pulumi's name of the resource.
        component_outputs: what each component gave to `register_outputs`, by URN, secrets wrapped.
        asked: what a provider was asked for, by the function's token, and the names of what was registered by then.
        error: what ended it, if anything did.
    """

    config: dict[str, str]
    resources: list[Resource] = field(default_factory=list[Resource])
    exports: dict[str, Export] = field(default_factory=dict[str, Export])
    random: dict[str, str] = field(default_factory=dict[str, str])
    component_outputs: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    asked: dict[str, tuple[dict[str, Any], frozenset[str]]] = field(
        default_factory=dict[str, tuple[dict[str, Any], frozenset[str]]]
    )
    error: BaseException | None = None

    def setting(self, key: str, default: str) -> str:
        return self.config.get(f"dragonfly:{key}", default)

    def completed(self) -> RecordedProgram:
        """Return the program itself; raise what ended it, if anything did."""
        if self.error is not None:
            raise self.error
        return self

    @property
    def kept_config(self) -> Resource:
        """The record with which an update's config is compared."""
        (found,) = [one for one in self.resources if one.type == "dragonfly:immutable_config:KeptConfig"]
        return found

    @property
    def app(self) -> str:
        return self.setting("appInstanceName", "dragonfly-1")

    @property
    def namespace(self) -> str:
        return self.setting("namespace", "default")

    @property
    def objects(self) -> list[Resource]:
        """Everything that becomes an object in the cluster."""
        return [resource for resource in self.resources if resource.is_kubernetes_object]

    def of_kind(self, *kinds: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.kind in kinds]

    def object(self, kind: str, name: str) -> Resource:
        """The object of a kind by its name, in which the instance's name is left out."""
        found = [one for one in self.objects if one.kind == kind and one.object_name == self.app + name]
        assert len(found) == 1, f"{len(found)} objects {kind} {self.app + name}"
        return found[0]

    @property
    def pods(self) -> list[Pod]:
        """Of every workload, and of what runs to its end."""
        return [Pod(workload) for workload in self.of_kind(*WORKLOADS, JOB)]

    def pod(self, name: str) -> Pod:
        """The pod of a workload by its name, in which the instance's name is left out."""
        return next(pod for pod in self.pods if pod.workload.object_name == self.app + name)

    def secret_document(self, secret: str, key: str) -> str:
        return self.object("Secret", secret).manifest["stringData"][key]

    @property
    def passwords(self) -> dict[str, str]:
        """Every password and key of the installation: the configured ones and the random ones."""
        configured = {
            key: value
            for key, value in self.config.items()
            if key.endswith("Password") or key == "dragonfly:kubeconfig"
        }
        return {**configured, **self.random}


@dataclass(frozen=True)
class Cloud:
    """What a cloud provider knows and a program does not.

    Attributes:
        functions: results of the provider's functions, by token.
        outputs: what resources have besides their inputs, by type token.
    """

    functions: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Mapping[str, Any]]


class _Provider(pulumi_mocks.Mocks):
    """Stands in for every provider: objects become what was asked for, random passwords are given."""

    def __init__(
        self, recorded: RecordedProgram, random: Mapping[str, str], cloud: Cloud | None, *, preview: bool
    ) -> None:
        self._recorded = recorded
        self._random = random
        self._cloud = cloud
        self._preview = preview
        # Registrations come in on many threads at once.
        self.registration = threading.local()

    def call(self, args: pulumi_mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if self._cloud is None or args.token not in self._cloud.functions:
            raise AssertionError(f"the program must not ask a provider for {args.token}")
        before = frozenset(one.name for one in list(self._recorded.resources))
        self._recorded.asked[args.token] = cast(dict[str, Any], args.args), before
        return dict(self._cloud.functions[args.token]), []

    def new_resource(self, args: pulumi_mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        inputs = cast(dict[str, Any], args.inputs)
        self.registration.inputs = inputs
        state = dict(inputs)
        if args.typ == "random:index/randomPassword:RandomPassword":
            state["result"] = self._random_result(args.name, int(inputs["length"]))
        if self._cloud is not None:
            state.update(self._cloud.outputs.get(args.typ, {}))
        return f"{args.name}-id", state

    def _random_result(self, name: str, length: int) -> str:
        if self._preview:
            return _UNKNOWN
        # Not marked secret, as the real provider does: the program must not rely on it.
        result = self._random.get(name, hashlib.sha512(name.encode()).hexdigest()[:length])
        self._recorded.random[name] = result
        return result


class _Monitor(pulumi_mocks.MockMonitor):
    """Records whole registrations: mocks are not told a resource's options."""

    def __init__(self, recorded: RecordedProgram, provider: _Provider) -> None:
        super().__init__(provider)
        self._recorded = recorded
        self._registration = provider.registration

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - a gRPC method
        response = cast(Any, super()).RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            self._recorded.resources.append(
                Resource(
                    urn=response.urn,
                    type=request.type,
                    name=request.name,
                    inputs=self._registration.inputs,
                    parent="" if "::pulumi:pulumi:Stack::" in request.parent else request.parent,
                    dependencies=frozenset(request.dependencies),
                    provider=request.provider,
                    custom=request.custom,
                    retain_on_delete=request.retainOnDelete,
                    timeouts=(
                        request.customTimeouts.create,
                        request.customTimeouts.update,
                        request.customTimeouts.delete,
                    ),
                    deleted_with=request.deletedWith,
                    protect=request.protect,
                    ignored=frozenset(request.ignoreChanges),
                    delete_before_replace=(request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None),
                    create_hooks=tuple(request.hooks.before_create),
                    update_hooks=tuple(request.hooks.before_update),
                    error_hooks=tuple(request.hooks.on_error),
                    request=request,
                )
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - a gRPC method
        self._recorded.component_outputs[request.urn] = cast(
            dict[str, Any], rpc.deserialize_properties(request.outputs)
        )
        return cast(Any, super()).RegisterResourceOutputs(request)


def run_main(
    config: Mapping[str, str],
    secret_keys: frozenset[str] = frozenset(),
    *,
    random: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    cloud: Cloud | None = None,
    preview: bool = False,
) -> RecordedProgram:
    """Runs `__main__.py`.

    Args:
        config: the stack's config, with full keys.
        secret_keys: full keys of the encrypted ones.
        random: results of random passwords by name; the others get one of their own.
        environment: the only environment variables that the program sees.
        cloud: what a provider of cloud resources answers; without one the program must not ask.
        preview: random passwords are not known yet.
    """
    recorded = RecordedProgram(dict(config))
    provider = _Provider(recorded, random or {}, cloud, preview=preview)
    monitor = _Monitor(recorded, provider)

    async def run() -> None:
        pulumi_mocks.set_mocks(provider, project="dragonfly", stack=STACK, preview=preview, monitor=monitor)
        # A run that failed leaves outputs behind that wait for its event loop, which is closed.
        cast(Any, SETTINGS).outputs.clear()
        set_all_config(dict(config), list(secret_keys))
        await run_pulumi_func(lambda: (runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"), None)[1])
        stack = cast(Any, pulumi.runtime.get_root_resource())
        for name, value in cast(dict[str, Any], stack.outputs).items():
            output = pulumi.Output.from_input(value)
            recorded.exports[name] = Export(await output.future(), await output.is_secret())

    with mock.patch.dict(os.environ, environment or {}, clear=True):
        try:
            # Pulumi keeps its settings in context variables: in a context of its own no run sees another's.
            contextvars.Context().run(asyncio.run, run())
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a test looks at it
            recorded.error = error
    return recorded
