"""The stand-in for pulumi-resource-gcp: each operation of the engine as a change of the stand-in cloud's ledger.

Behaviour follows pulumi-gcp 10.2, which bridges Terraform's `google` provider 7, as far as a program can see it.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, cast

from pulumi.runtime.proto import provider_pb2 as _wire

from local.ledger.ledger import Entry, Ledger
from local.ledger.locations import region_of
from local.standins.cloud.clusters import Clusters
from local.standins.plugins.engine_log import EngineLog
from local.standins.plugins.google.changes import Change, changes
from local.standins.plugins.google.functions import FUNCTIONS
from local.standins.plugins.google.kinds.accounts import Account, IamMember, Service
from local.standins.plugins.google.kinds.cluster import Cluster
from local.standins.plugins.google.kinds.disk import Disk
from local.standins.plugins.google.kinds.kind import Cloud, GoogleError, Kind
from local.standins.plugins.google.kinds.monitoring import AlertPolicy, Dashboard, NotificationChannel
from local.standins.plugins.google.kinds.networks import Firewall, Network, Router, RouterNat, Subnetwork
from local.standins.plugins.google.kinds.node_pool import NodePool
from local.standins.plugins.google.kinds.snapshot import Snapshot
from local.standins.plugins.google.labels import labels_after, labels_as_read
from local.standins.plugins.google.schema import planned
from local.standins.plugins.google.types import Fault, type_faults
from local.standins.plugins.object_fields import text_at
from local.standins.plugins.property_values import (
    UNKNOWN,
    Properties,
    Value,
    mark_secrets,
    plain_object,
    read_properties,
    write_properties,
)
from local.standins.plugins.provider_errors import InitializationError, ProviderError

wire: Any = _wire

KINDS: Final[dict[str, Kind]] = {
    kind.type: kind
    for kind in (
        Account(),
        AlertPolicy(),
        Cluster(),
        Dashboard(),
        Disk(),
        Firewall(),
        IamMember(),
        Network(),
        NodePool(),
        NotificationChannel(),
        Router(),
        RouterNat(),
        Service(),
        Snapshot(),
        Subnetwork(),
    )
}
"""Every kind that the stand-in has, by type token."""

_CONFIG: Final = "gcp:config:"
_ENVIRONMENT: Final = {
    "project": ("GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"),
    "region": ("GOOGLE_REGION", "GCLOUD_REGION", "CLOUDSDK_COMPUTE_REGION"),
    "zone": ("GOOGLE_ZONE", "GCLOUD_ZONE", "CLOUDSDK_COMPUTE_ZONE"),
}
"""Environment variables that the real plug-in reads, the first one set counting."""

_DEFAULTS: Final = "__defaults"
"""Input that names those which the plug-in filled in, as the bridge writes it."""

_NAME_DIGITS: Final = 7
_DELETION_POLICY: Final = "deletionPolicy"


class GcpProvider:
    """One configured provider. Operations run at the same time, each in its thread."""

    def __init__(self, log: EngineLog, cloud: Cloud | None = None) -> None:
        """Start unconfigured.

        Args:
            log: where messages go.
            cloud: the cloud; the one that the environment names when not given.
        """
        self._log = log
        self._cloud = cloud

    # The provider's own configuration.

    def check_config(self, request: Any) -> Any:
        """Accept the provider's inputs; what is wrong with a project or zone shows when it is used."""
        return wire.CheckResponse(inputs=request.news)

    def diff_config(self, request: Any) -> Any:
        """Tell whether changed configuration updates the provider or replaces it: another project does."""
        old, new = plain_object(read_properties(request.olds)), plain_object(read_properties(request.news))
        changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
        return wire.DiffResponse(
            changes=wire.DiffResponse.DIFF_SOME if changed else wire.DiffResponse.DIFF_NONE,
            diffs=changed,
            replaces=[key for key in changed if key == "project"],
        )

    def configure(self, request: Any) -> Any:
        """Take project, region and zone from the configuration or from the environment.

        Raises:
            NoLedgerError: the environment names no ledger.
        """
        variables = cast("Mapping[str, str]", request.variables)
        found = {name: _setting(variables, name) for name in _ENVIRONMENT}
        if self._cloud is None:
            ledger = Ledger.of_environment()
            self._cloud = Cloud(ledger, Clusters(ledger), found["project"], found["region"], found["zone"])
        # What went on when whoever asked for it was killed goes on by itself, and nobody has to wait for it.
        threading.Thread(target=_go_on, args=(self._cloud,), daemon=True).start()
        return wire.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def cancel(self) -> None:
        """Let what goes on end by itself, within seconds, as a cloud's operations do."""

    # Operations on resources.

    def check(self, request: Any) -> Any:
        """Complete the inputs with a name, and name everything that is wrong with them.

        Raises:
            ProviderError: the kind is one that the stand-in does not have.
        """
        kind = _kind(request)
        marked, olds = read_properties(request.news), read_properties(request.olds)
        marked.pop(_DEFAULTS, None)
        resource_name = _resource_name(request)
        plain = plain_object(marked)
        if kind.named and plain.get("name") is None:
            made_up = olds.get("name") if "name" in _defaulted(olds) else None
            name: Value = made_up or f"{resource_name}-{secrets.token_hex(4)[:_NAME_DIGITS]}"
            marked["name"] = plain["name"] = name
            marked[_DEFAULTS] = ["name"]
        faults = type_faults(kind.fields, plain) or kind.faults(plain)
        failures = [
            wire.CheckFailure(
                property=fault.path.partition(".")[0].partition("[")[0], reason=_text(kind, resource_name, fault)
            )
            for fault in faults
        ]
        return wire.CheckResponse(inputs=write_properties(marked), failures=failures)

    def diff(self, request: Any) -> Any:
        """Compare a resource's state with new inputs."""
        kind = _kind(request)
        state, new = plain_object(read_properties(request.olds)), plain_object(read_properties(request.news))
        autonamed = "name" in _defaulted(new)
        found = changes(kind.fields, state, new, kind.shrinks)
        for name, labels in labels_after(kind.fields, state, new).items():
            if state.get(name) != labels:
                found[name] = Change(state.get(name), labels, replaces=False)
        for ignored in cast("list[str]", request.ignoreChanges):
            found = {path: change for path, change in found.items() if not _inside(path, ignored)}
        replaces = [path for path, change in found.items() if change.replaces]
        kinds = {"add": "ADD", "delete": "DELETE", "update": "UPDATE"}
        detailed = {
            path: wire.PropertyDiff(
                kind=getattr(wire.PropertyDiff, kinds[change.kind] + ("_REPLACE" if path in replaces else "")),
                inputDiff=False,
            )
            for path, change in found.items()
        }
        return wire.DiffResponse(
            changes=wire.DiffResponse.DIFF_SOME if found else wire.DiffResponse.DIFF_NONE,
            replaces=replaces,
            diffs=sorted(found),
            # The bridge takes a given name for one that cannot be there twice, and does not look whether it changes.
            deleteBeforeReplace=bool(replaces) and (kind.goes_first or (kind.named and not autonamed)),
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def create(self, request: Any) -> Any:
        """Make a resource; in a preview, tell what will be known only then.

        Raises:
            ProviderError: Google's API refuses.
        """
        kind, marked = _kind(request), read_properties(request.properties)
        inputs = plain_object(marked)
        if request.preview:
            return wire.CreateResponse(id="", properties=write_properties(planned(kind.fields, UNKNOWN, marked)))
        urn, cloud = cast(str, request.urn), self._configured()
        entry = self._run(urn, f"creating {kind.name}", lambda: self._create(kind, cloud, inputs, urn))
        return wire.CreateResponse(id=entry.id, properties=_state(entry, marked))

    def _create(self, kind: Kind, cloud: Cloud, inputs: Properties, urn: str) -> Entry:
        wanted = kind.complete(cloud, inputs)
        before = cloud.ledger.read().get(kind.id_of(wanted))
        try:
            return kind.create(cloud, wanted, lambda text: self._log.status(urn, text))
        except ProviderError as error:
            made = cloud.ledger.read().get(kind.id_of(wanted))
            if made is None or made == before or made.status == "DISABLED":
                raise
            # What is there in spite of the error is in the state.
            raise InitializationError(str(error), made.id, _outputs(made), [str(error)]) from error

    def read(self, request: Any) -> Any:
        """Return a resource as it is now; an empty answer where there is none.

        Raises:
            ProviderError: what goes on with it fails.
        """
        kind, cloud = _kind(request), self._configured()
        entry = cloud.ledger.read().get(cast(str, request.id))
        if entry is None or entry.status == "DISABLED":
            return wire.ReadResponse()
        state, inputs = read_properties(request.properties), read_properties(request.inputs)
        entry = _with_unread(kind, kind.read(cloud, entry), state)
        if not inputs:
            given = {name for name, field in kind.fields.items() if field.given}
            inputs = {name: value for name, value in cast(Properties, entry.inputs).items() if name in given}
        return wire.ReadResponse(id=entry.id, properties=_state(entry, inputs), inputs=write_properties(inputs))

    def update(self, request: Any) -> Any:
        """Change a resource in place; in a preview, tell what it will be.

        Raises:
            ProviderError: Google's API refuses, or there is nothing to change any more.
        """
        kind, marked = _kind(request), read_properties(request.news)
        if request.preview:
            return wire.UpdateResponse(
                properties=write_properties(planned(kind.fields, read_properties(request.olds), marked))
            )
        urn, cloud = cast(str, request.urn), self._configured()
        inputs = plain_object(marked)
        state = plain_object(read_properties(request.olds))

        def change() -> Entry:
            entry = kind.settled(cloud, cast(str, request.id))
            if entry is None:
                raise GoogleError(404, f"{request.id} was not found", "notFound")
            entry = _with_unread(kind, entry, state)
            wanted = kind.complete(cloud, planned(kind.fields, entry.properties, inputs))
            kind.refuse(wanted)
            return kind.update(cloud, entry, wanted, lambda text: self._log.status(urn, text))

        changed = self._run(urn, f"updating {kind.name}", change)
        return wire.UpdateResponse(properties=_state(changed, marked))

    def delete(self, request: Any) -> None:
        """Delete a resource; one that is not there is no error.

        Raises:
            ProviderError: Google's API refuses, or the resource is protected by its own property.
        """
        kind, cloud, urn = _kind(request), self._configured(), cast(str, request.urn)
        state = plain_object(read_properties(request.properties))
        policy = text_at(state, _DELETION_POLICY)
        if policy == "PREVENT":
            raise ProviderError(f'cannot destroy {kind.name} without setting deletion_policy to "DELETE"')

        def remove() -> None:
            entry = kind.settled(cloud, cast(str, request.id))
            if entry is not None and policy != "ABANDON":
                kind.delete(cloud, entry, state, lambda text: self._log.status(urn, text))

        self._run(urn, f"deleting {kind.name}", remove)

    def invoke(self, request: Any) -> Any:
        """Answer a question of the program's.

        Raises:
            ProviderError: the stand-in has no such function, or Google's API refuses.
        """
        token = cast(str, request.tok)
        if token not in FUNCTIONS:
            raise ProviderError(f"the stand-in for pulumi-gcp has no function {token}; it has: {', '.join(FUNCTIONS)}")
        try:
            found = FUNCTIONS[token](self._configured(), plain_object(read_properties(request.args)))
        except ProviderError as error:
            raise ProviderError(f"invoking {token}: {error}") from error
        return wire.InvokeResponse(**{"return": write_properties(found)})

    def _configured(self) -> Cloud:
        if self._cloud is None:
            raise ProviderError("the provider is not configured")
        return self._cloud

    def _run(self, urn: str, doing: str, operation: Callable[[], Any]) -> Any:
        self._log.status(urn, f"{doing} ...")
        try:
            return operation()
        except InitializationError:
            raise
        except ProviderError as error:
            # As the bridge tells the errors of a Terraform provider, which says of the API's alone what was going on.
            told = f"Error {doing}: {error}" if isinstance(error, GoogleError) else str(error)
            raise ProviderError(f"1 error occurred:\n\t* {told}") from error
        finally:
            self._log.status(urn, "")


def _kind(request: Any) -> Kind:
    token = cast(str, request.urn).split("::")[2].rpartition("$")[2]
    if token not in KINDS:
        raise ProviderError(f"the stand-in for pulumi-gcp has no {token}; it has: {', '.join(sorted(KINDS))}")
    return KINDS[token]


def _resource_name(request: Any) -> str:
    return cast(str, request.urn).rpartition("::")[2]


def _setting(variables: Mapping[str, str], name: str) -> str:
    given = variables.get(_CONFIG + name, "")
    if given:
        return given
    if found := next((os.environ[variable] for variable in _ENVIRONMENT[name] if os.environ.get(variable)), ""):
        return found
    return region_of(_setting(variables, "zone")) if name == "region" else ""


def _defaulted(properties: Properties) -> list[Value]:
    names = properties.get(_DEFAULTS)
    return names if isinstance(names, list) else []


def _text(kind: Kind, resource_name: str, fault: Fault) -> str:
    at = f". Examine values at '{resource_name}.{fault.path}'." if fault.path else ""
    return f"{kind.type} resource '{resource_name}' has a problem: {fault.reason.rstrip('.')}{at}"


def _inside(path: str, ignored: str) -> bool:
    return path == ignored or path.startswith((f"{ignored}.", f"{ignored}["))


def _with_unread(kind: Kind, entry: Entry, state: Properties) -> Entry:
    kept = {name: state[name] for name in kind.unread if name in state}
    kept |= labels_as_read(kind.fields, plain_object(state), entry.properties)
    return replace(entry, properties={**entry.properties, **kept})


def _outputs(entry: Entry) -> Properties:
    return {**cast(Properties, entry.properties), "id": entry.id}


def _go_on(cloud: Cloud) -> None:
    for entry in cloud.ledger.read().of_type(*KINDS):
        # Whoever needs the resource meets the same error and tells it.
        with suppress(ProviderError):
            KINDS[entry.type].settled(cloud, entry.id)


def _state(entry: Entry, marked: Properties) -> Any:
    outputs = _outputs(entry)
    mark_secrets(outputs, marked)
    if _DEFAULTS in marked:
        outputs[_DEFAULTS] = marked[_DEFAULTS]
    return write_properties(outputs)
