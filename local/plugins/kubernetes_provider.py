"""The stand-in for pulumi-resource-kubernetes: each operation of the engine as requests to an API server.

Behaviour follows pulumi-kubernetes 4.34, `provider/pkg/provider/provider.go` and `provider/pkg/await/await.go`.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, NoReturn, cast

from pulumi.runtime.proto import provider_pb2 as _wire

from local.plugins import kubeconfig as kubeconfigs
from local.plugins.api_server import APPLY, JSON_PATCH, MERGE, ApiError, ApiServer, NoSuchKindError, UnreachableError
from local.plugins.engine_log import INFO, WARNING, EngineLog
from local.plugins.field_ownership import with_taken_over_fields
from local.plugins.object_changes import (
    IDENTITY,
    Change,
    changes,
    normalized,
    pruned,
    replacing_fields,
    with_encoded_data,
)
from local.plugins.object_fields import (
    annotation_of,
    deep_copy,
    id_of,
    name_of,
    namespace_of,
    object_at,
    objects_at,
    text_at,
)
from local.plugins.object_kinds import BUILT_IN, is_built_in
from local.plugins.object_names import adopt_name, assign_name, is_autonamed, unique_name
from local.plugins.object_waits import NotFinishedError, Waits
from local.plugins.property_values import (
    Properties,
    has_unknown,
    mark_secrets,
    plain_object,
    read_properties,
    secret_texts,
    without_secrets,
    write_properties,
)
from local.plugins.provider_errors import InitializationError, ProviderError
from local.plugins.provider_settings import ProviderSettings, read_settings
from local.plugins.resource_state import (
    FIELD_MANAGER,
    INITIAL_API_VERSION,
    imported_inputs,
    kubernetes_object,
    parse_state,
    property_names,
    state_object,
    state_of,
)

wire: Any = _wire

_FORCE: Final = "pulumi.com/patchForce"
_FIELD_MANAGER_ANNOTATION: Final = "pulumi.com/patchFieldManager"
_PROPAGATION: Final = "pulumi.com/deletionPropagation"
_CREATE_RETRIES: Final = 31.0
"""Seconds that creation waits for its kind or namespace: five retries, pauses doubling from 1 s (`await.Creation`)."""
_CONFLICT_HELP: Final = (
    "Server-Side Apply field conflict detected. Another field manager owns a field that this resource sets: remove "
    'the field from the program, or annotate the resource with pulumi.com/patchForce: "true" to take it over'
)


class KubernetesProvider:
    """One configured provider. Operations run at the same time, each in its thread."""

    def __init__(self, log: EngineLog) -> None:
        """Start unconfigured; messages go to the log."""
        self._log = log
        self._cancelled = threading.Event()
        self._settings: ProviderSettings = read_settings({})
        self._server: ApiServer | None = None
        self._unreachable = "the provider is not configured"
        self._default_namespace = ""
        self._crd_scopes: dict[tuple[str, str], bool] = {}

    # The provider's own configuration.

    def check_config(self, request: Any) -> Any:
        """Accept the provider's inputs as they are; problems with a kubeconfig show when it is used."""
        return wire.CheckResponse(inputs=request.news)

    def diff_config(self, request: Any) -> Any:
        """Tell whether changed configuration updates the provider or replaces it, and with it all its objects.

        Another active cluster replaces; with `clusterIdentifier` set, only a change of that does.

        Raises:
            ProviderError: a kubeconfig cannot be read.
        """
        old, new = read_properties(request.olds), read_properties(request.news)
        changed = sorted(key for key in {*old, *new} if without_secrets(old.get(key)) != without_secrets(new.get(key)))
        if not changed:
            return wire.DiffResponse(changes=wire.DiffResponse.DIFF_NONE)
        identifier = "clusterIdentifier"
        replaces = [identifier] if identifier in changed and old.get(identifier) and new.get(identifier) else []
        pinned = bool(new.get(identifier)) and identifier not in changed
        where = ("kubeconfig", "context", "cluster")
        unknown = [key for key in where if has_unknown(new.get(key))]
        if unknown:
            # What is not known may be another cluster.
            replaces += unknown[:1]
            changed = unknown[:1]
        elif _cluster_in(old) and _cluster_in(new) and _cluster_in(old) != _cluster_in(new):
            replaces += [key for key in where if key in changed]
        return wire.DiffResponse(
            changes=wire.DiffResponse.DIFF_SOME, diffs=changed, replaces=[] if pinned else replaces
        )

    def configure(self, request: Any) -> Any:
        """Take the configuration and see whether the cluster answers; one that does not is no error yet.

        Raises:
            ProviderError: the configuration cannot be used whatever the cluster.
        """
        try:
            self._settings = read_settings(cast("Mapping[str, str]", request.variables))
        except ValueError as error:
            raise ProviderError(str(error)) from None
        self._connect()
        if self._unreachable:
            self._log.message(WARNING, "", f"configured Kubernetes cluster is unreachable: {self._unreachable}")
        return wire.ConfigureResponse(acceptSecrets=True, supportsPreview=True, supports_autonaming_configuration=True)

    def _connect(self) -> None:
        settings = self._settings
        try:
            given = kubeconfigs.parse(settings.kubeconfig) if settings.kubeconfig else kubeconfigs.ambient()
            kubeconfig = kubeconfigs.with_selection(given, settings.selection)
            self._default_namespace = kubeconfigs.default_namespace(kubeconfig, settings.selection)
            server = ApiServer(
                kubeconfig, timeout=settings.timeout, per_second=settings.per_second, burst=settings.burst
            )
        except ValueError as error:
            self._unreachable = str(error)
            return
        try:
            server.version()
        except UnreachableError as error:
            self._unreachable = str(error)
            return
        except ApiError as error:
            # Refused credentials are an answer too; single operations say better what they may not do.
            if error.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                self._unreachable = str(error)
                return
        self._server, self._unreachable = server, ""

    def cancel(self) -> None:
        """End every wait; what was created stays in the state as not yet initialized."""
        self._cancelled.set()

    # Operations on resources.

    def check(self, request: Any) -> Any:
        """Return the inputs with the name and namespace that they leave to the provider.

        Raises:
            ProviderError: a Patch resource without a name, or automatic naming that is disabled.
        """
        news = read_properties(request.news)
        old, new = plain_object(read_properties(request.olds)), plain_object(news)
        urn = cast(str, request.urn)
        is_patch = _is_patch(urn, new)
        if is_patch and not self._settings.server_side_apply:
            raise ProviderError("patch resources require Server-Side Apply mode (provider's enableServerSideApply)")
        if is_patch and not name_of(new) and not has_unknown(new.get("metadata")):
            raise ProviderError("patch resources require the `.metadata.name` field to be set")
        metadata = new.get("metadata")
        if isinstance(metadata, dict) and metadata.get("generateName") and self._settings.server_side_apply:
            raise ProviderError("the `.metadata.generateName` field is not supported in Server-Side Apply mode")
        if old:
            adopt_name(new, old)
        else:
            self._assign_name(new, request)
        self._remember_scope(new)
        metadata = new.get("metadata")
        unplaced = isinstance(metadata, dict) and not metadata.get("namespace")
        if isinstance(metadata, dict) and unplaced and self._default_namespace and self._is_namespaced(new):
            metadata["namespace"] = self._default_namespace
        mark_secrets(new, news)
        return wire.CheckResponse(inputs=write_properties(new))

    def _assign_name(self, new: Properties, request: Any) -> None:
        named, proposed, disabled = request.HasField("autonaming"), "", False
        if named:
            options = request.autonaming
            proposed = cast(str, options.proposed_name)
            disabled = options.mode == wire.CheckRequest.AutonamingOptions.DISABLE
        resource_name = cast(str, request.urn).rpartition("::")[2]
        try:
            assign_name(new, resource_name, cast(bytes, request.randomSeed), proposed, disabled=disabled)
        except ValueError as error:
            raise ProviderError(str(error)) from None

    def _remember_scope(self, new: Properties) -> None:
        # Custom resources of the same program are checked before their definition is created.
        if new.get("kind") == "CustomResourceDefinition":
            names, group = object_at(new, "spec", "names"), text_at(new, "spec", "group")
            for version in objects_at(new, "spec", "versions"):
                key = (f"{group}/{text_at(version, 'name')}", text_at(names, "kind"))
                self._crd_scopes[key] = text_at(new, "spec", "scope") != "Cluster"

    def _is_namespaced(self, item: Properties) -> bool:
        key = (text_at(item, "apiVersion"), text_at(item, "kind"))
        if key in BUILT_IN:
            return BUILT_IN[key].namespaced
        if key in self._crd_scopes or self._server is None:
            return self._crd_scopes.get(key, True)
        try:
            return self._server.kind(*key).namespaced
        except (NoSuchKindError, ApiError, UnreachableError):
            # Most custom resources are; creation puts it right when the definition is there.
            return True

    def diff(self, request: Any) -> Any:
        """Compare the object as last seen with the new inputs, without asking the API server."""
        urn = cast(str, request.urn)
        old_inputs, live = parse_state(read_properties(request.olds))
        new = kubernetes_object(read_properties(request.news))
        found = self._changes(urn, old_inputs, live, new)
        for ignored in cast("list[str]", request.ignoreChanges):
            for path in [path for path in found if path == ignored or path.startswith((f"{ignored}.", f"{ignored}["))]:
                del found[path]
        replaces = [path for path, change in found.items() if change.replaces]
        same_place = name_of(new) == name_of(live) and (namespace_of(new) or "default") == (
            namespace_of(live) or "default"
        )
        return wire.DiffResponse(
            changes=wire.DiffResponse.DIFF_SOME if found else wire.DiffResponse.DIFF_NONE,
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and bool(name_of(new)) and not is_autonamed(new) and same_place,
            detailedDiff={path: _property_diff(change) for path, change in found.items()},
            hasDetailedDiff=True,
        )

    def _changes(self, urn: str, old_inputs: Properties, live: Properties, new: Properties) -> dict[str, Change]:
        built_in = is_built_in(text_at(new, "apiVersion"))
        texts = object_at(new, "stringData")
        encoded_old = with_encoded_data(normalized(old_inputs, built_in=built_in))
        encoded_new = with_encoded_data(normalized(new, built_in=built_in))
        old = normalized(pruned(live, encoded_old), built_in=built_in)
        # The server's answer carries the namespace only where the kind has one; the program may say more or less.
        for item in (old, encoded_new):
            metadata = item.get("metadata")
            if isinstance(metadata, dict) and not has_unknown(metadata.get("namespace")):
                metadata.pop("namespace", None)
                if namespace_of(live):
                    metadata["namespace"] = namespace_of(live if item is old else new) or "default"
        metadata = old.get("metadata")
        if name_of(new) and isinstance(metadata, dict):
            metadata["name"] = name_of(live)
        if _is_patch(urn, new):
            replacing = IDENTITY
        else:
            replacing = replacing_fields(
                new,
                mutable_secrets=self._settings.mutable_secrets,
                mutable_config_maps=self._settings.mutable_config_maps,
            )
        found = changes(old, encoded_new, replacing)
        # Named as the program writes them, so that the engine finds the values to show.
        return {
            f"stringData.{path.removeprefix('data.')}"
            if path.startswith("data.") and path.removeprefix("data.") in texts
            else path: change
            for path, change in found.items()
        }

    def create(self, request: Any) -> Any:
        """Create the object and wait until it is ready; in a preview, let the API server rehearse it.

        Raises:
            InitializationError: it was created but did not become ready.
            ProviderError: it was not created.
        """
        urn, preview = cast(str, request.urn), cast(bool, request.preview)
        properties = read_properties(request.properties)
        inputs = kubernetes_object(properties)
        as_given = wire.CreateResponse(id="", properties=request.properties)
        if preview and (
            has_unknown(inputs)
            or _is_patch(urn, inputs)
            or not self._settings.server_side_apply
            or not self._serves(inputs)
        ):
            return as_given
        manager = self._field_manager({}, inputs)
        server = self._reachable()
        try:
            created = self._send_new(server, urn, inputs, manager, preview=preview)
        except NoSuchKindError as error:
            raise ProviderError(
                f"creation of resource {urn!r} failed because the Kubernetes API server reported that the apiVersion "
                f"for this resource does not exist. Verify that any required CRDs have been created: {error}"
            ) from None
        except UnreachableError as error:
            raise ProviderError(f"configured Kubernetes cluster is unreachable: {error}") from None
        except ApiError as error:
            if preview and _is_unpreviewable(error):
                return as_given
            hint = ""
            if error.reason == "AlreadyExists":
                hint = ". Bring it under Pulumi's control with `pulumi import`, delete it, or choose another name"
            raise ProviderError(
                f"resource {urn!r} was not successfully created by the Kubernetes API server: "
                f"{_clean(_explained(error), properties)}{hint}"
            ) from None
        if preview:
            created.pop("status", None)
            return wire.CreateResponse(id="", properties=state_of(inputs, created, properties, manager))
        try:
            ready = self._waits(server).until_ready(created, inputs, urn, cast(float, request.timeout))
        except NotFinishedError as failure:
            self._fail_unready(
                f"resource {urn!r} was successfully created, but the Kubernetes API server reported that it failed to "
                f"fully initialize or become live: {failure}",
                failure,
                state_object(inputs, failure.item, properties, manager),
                properties,
            )
        self._log.status(urn, "")
        return wire.CreateResponse(id=id_of(ready), properties=state_of(inputs, ready, properties, manager))

    def _send_new(self, server: ApiServer, urn: str, inputs: Properties, manager: str, *, preview: bool) -> Properties:
        query = {"fieldManager": manager, "fieldValidation": "Warn", **({"dryRun": "All"} if preview else {})}
        end = time.monotonic() + _CREATE_RETRIES
        pause = 0.1
        while True:
            try:
                kind = server.kind(text_at(inputs, "apiVersion"), text_at(inputs, "kind"))
                if _is_patch(urn, inputs) or self._settings.upsert:
                    query["force"] = "true" if preview or self._is_forced(inputs) else "false"
                    path = kind.path(namespace_of(inputs), name_of(inputs))
                    return server.request("PATCH", path, query, with_encoded_data(inputs), APPLY)
                return server.request("POST", kind.path(namespace_of(inputs)), query, inputs)
            except (NoSuchKindError, ApiError) as error:
                # The namespace or the definition may be on its way from elsewhere.
                missing = isinstance(error, NoSuchKindError) or error.status == HTTPStatus.NOT_FOUND
                if not missing or preview or time.monotonic() >= end or self._cancelled.is_set():
                    raise
                self._log.status(urn, f"Retrying; creation failed: {error}")
            self._cancelled.wait(pause)
            pause = min(pause * 1.5, 1.0)

    def update(self, request: Any) -> Any:
        """Change the object in place and wait until it is ready again; in a preview, let the API server rehearse it.

        Raises:
            InitializationError: the change failed or the object did not become ready.
            ProviderError: the object is out of reach.
        """
        urn, preview = cast(str, request.urn), cast(bool, request.preview)
        news, olds = read_properties(request.news), read_properties(request.olds)
        inputs = kubernetes_object(news)
        old_inputs, old_live = parse_state(olds)
        if preview and (has_unknown(inputs) or not self._serves(inputs)):
            return wire.UpdateResponse(properties=request.news)
        server = self._reachable()
        manager = self._field_manager(olds, inputs)
        resource_id = id_of(old_live) or cast(str, request.id)
        problem = f"the Kubernetes API server reported that {resource_id!r} failed to fully initialize or become live"
        try:
            path = server.path_of(inputs, name_of(old_live))
            live = server.request("GET", path)
            changed = self._send_change(server, path, urn, inputs, old_inputs, live, manager, preview=preview)
        except NoSuchKindError as error:
            raise ProviderError(
                f"update of resource {urn!r} failed because the Kubernetes API server reported that the apiVersion "
                f"for this resource does not exist. Verify that any required CRDs have been created: {error}"
            ) from None
        except UnreachableError as error:
            raise ProviderError(f"configured Kubernetes cluster is unreachable: {error}") from None
        except ApiError as error:
            if preview and error.status == HTTPStatus.FORBIDDEN:
                return wire.UpdateResponse(properties=request.news)
            reason = _clean(_explained(error), news, olds)
            if error.status == HTTPStatus.NOT_FOUND:
                raise ProviderError(
                    f"update of resource {urn!r} failed: {reason}. It was deleted outside Pulumi: run `pulumi refresh`"
                ) from None
            if preview:
                raise ProviderError(f"{problem}: {reason}") from None
            latest = self._waits(server).until_ready(old_live, {"metadata": _SKIPPED}, urn, 0)
            failure = NotFinishedError(reason, latest, [])
            self._fail_unready(f"{problem}: {reason}", failure, state_object(inputs, latest, news, manager), news)
        if preview:
            return wire.UpdateResponse(properties=state_of(inputs, changed, news, manager))
        try:
            ready = self._waits(server).until_ready(changed, inputs, urn, cast(float, request.timeout))
        except NotFinishedError as failure:
            state = state_object(inputs, failure.item, news, manager)
            self._fail_unready(f"{problem}: {failure}", failure, state, news)
        self._log.status(urn, "")
        return wire.UpdateResponse(properties=state_of(inputs, ready, news, manager))

    def _send_change(
        self,
        server: ApiServer,
        path: str,
        urn: str,
        inputs: Properties,
        old_inputs: Properties,
        live: Properties,
        manager: str,
        *,
        preview: bool,
    ) -> Properties:
        query = {"fieldManager": manager, **({"dryRun": "All"} if preview else {})}
        is_patch = _is_patch(urn, inputs)
        if inputs.get("kind") == "CustomResourceDefinition" and not is_patch:
            # Applied field by field, versions that the program drops would stay.
            version = {"resourceVersion": text_at(live, "metadata", "resourceVersion")}
            replacement: Properties = {**inputs, "metadata": {**object_at(inputs, "metadata"), **version}}
            return server.request("PUT", path, query, replacement)
        if not self._settings.server_side_apply:
            return server.request("PATCH", path, query, _merge_patch(old_inputs, inputs), MERGE)
        forced = self._is_forced(inputs)
        if not is_patch:
            managed = objects_at(live, "metadata", "managedFields")
            taken_over = with_taken_over_fields(managed, manager, text_at(inputs, "apiVersion"))
            if taken_over is not None and preview:
                # A rehearsal cannot move ownership first, so it overrides the owners that the update would replace.
                forced = True
            elif taken_over is not None:
                resource_version = text_at(live, "metadata", "resourceVersion")
                server.request(
                    "PATCH",
                    path,
                    {},
                    [
                        {"op": "replace", "path": "/metadata/managedFields", "value": taken_over},
                        {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
                    ],
                    JSON_PATCH,
                )
        query["force"] = "true" if forced else "false"
        return server.request("PATCH", path, query, with_encoded_data(inputs), APPLY)

    def _is_forced(self, inputs: Properties) -> bool:
        return annotation_of(inputs, _FORCE) == "true" or self._settings.patch_force

    def read(self, request: Any) -> Any:
        """Return the object as it is in the cluster: for a refresh, or for an import where there are no inputs yet.

        Raises:
            InitializationError: it is there but not ready.
            ProviderError: it could not be read.
        """
        urn, resource_id = cast(str, request.urn), cast(str, request.id)
        gone = wire.ReadResponse(id="")
        if self._server is None:
            return self._read_unreachable(request, gone)
        given, state = read_properties(request.inputs), read_properties(request.properties)
        inputs, (_, live) = kubernetes_object(given), parse_state(state)
        namespace, _, name = resource_id.rpartition("/")
        if not name:
            raise ProviderError(
                f"cannot read {urn!r}: expected an id `name` or `namespace/name`, found {resource_id!r}"
            )
        importing = not inputs and not live
        if not inputs:
            inputs["apiVersion"] = text_at(live, "apiVersion") or _api_version_in(urn)
            inputs["kind"] = text_at(live, "kind") or _kind_in(urn)
            inputs["metadata"] = {"name": name}
            if namespace:
                inputs["metadata"]["namespace"] = namespace
        manager = self._field_manager(state, inputs)
        place: Properties = {**inputs, "metadata": {**object_at(inputs, "metadata"), "namespace": namespace}}
        readiness = None
        try:
            found = self._server.request("GET", self._server.path_of(place, name))
            if not importing and annotation_of(inputs, "pulumi.com/skipAwait") != "true":
                waits = self._waits(self._server)
                readiness = waits.readiness(found) if text_at(found, "kind") in _READ_AWAITED else None
                problems = waits.reasons(found, readiness) if readiness and not readiness.ready else []
            else:
                problems = []
        except NoSuchKindError:
            return gone
        except UnreachableError as error:
            raise ProviderError(f"configured Kubernetes cluster is unreachable: {error}") from None
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return gone
            raise ProviderError(f"cannot read {urn!r}: {_clean(str(error), given, state)}") from None
        seen = imported_inputs(found) if importing else self._seen_inputs(found, inputs)
        marked = given or state
        read_inputs = property_names(deep_copy(seen))
        mark_secrets(read_inputs, marked)
        outputs = state_object(seen, found, marked, manager, text_at(state, INITIAL_API_VERSION))
        if readiness is not None and not readiness.ready:
            message = f"Resource {name_of(found)!r} was created but failed to initialize"
            reasons = [_clean(reason, given, state) for reason in [message, *problems]]
            raise InitializationError(message, resource_id, outputs, reasons, read_inputs)
        return wire.ReadResponse(
            id=resource_id, properties=write_properties(outputs), inputs=write_properties(read_inputs)
        )

    def _seen_inputs(self, found: Properties, inputs: Properties) -> Properties:
        # A Secret written with stringData keeps that form while the cluster holds the same.
        encoded = with_encoded_data(inputs)
        seen = pruned(found, encoded)
        built_in = is_built_in(text_at(inputs, "apiVersion"))
        seen_form, given_form = normalized(seen, built_in=built_in), normalized(encoded, built_in=built_in)
        if encoded is not inputs and seen.get("data") == encoded.get("data"):
            seen.pop("data", None)
            for field in ("data", "stringData"):
                if field in inputs:
                    seen[field] = inputs[field]
        return inputs if seen_form == given_form else seen

    def _read_unreachable(self, request: Any, gone: Any) -> Any:
        urn = cast(str, request.urn)
        self._log.message(WARNING, urn, f"configured Kubernetes cluster is unreachable: {self._unreachable}")
        if self._settings.delete_unreachable:
            self._log.message(
                INFO, urn, "the `deleteUnreachable` option is enabled: removing the resource from Pulumi state"
            )
            return gone
        if self._settings.skip_update_unreachable:
            return wire.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)
        raise ProviderError(
            "failed to read resource state due to unreachable cluster. If the cluster was deleted, you can remove this "
            "resource from Pulumi state by rerunning the operation with the PULUMI_K8S_DELETE_UNREACHABLE environment "
            'variable set to "true"'
        )

    def delete(self, request: Any) -> None:
        """Delete the object and wait until it is gone; a Patch only gives up the fields that it set.

        Raises:
            InitializationError: it is still there when the time is over.
            ProviderError: it was not deleted.
        """
        urn = cast(str, request.urn)
        state = read_properties(request.properties)
        inputs, live = parse_state(state)
        if self._server is None:
            self._delete_unreachable(urn)
            return
        server, name = self._server, cast(str, request.id).rpartition("/")[2]
        try:
            path = server.path_of(live, name)
            if _is_patch(urn, live):
                self._relinquish(server, path, live, self._field_manager(state, inputs))
                return
            policy = {"orphan": "Orphan", "background": "Background"}.get(
                annotation_of(inputs, _PROPAGATION).lower(), "Foreground"
            )
            server.request("DELETE", path, {}, {"propagationPolicy": policy})
        except NoSuchKindError:
            return
        except UnreachableError as error:
            raise ProviderError(f"configured Kubernetes cluster is unreachable: {error}") from None
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return
            raise ProviderError(f"cannot delete {urn!r}: {_clean(str(error), state)}") from None
        try:
            self._waits(server).until_gone(live, inputs, urn, cast(float, request.timeout))
        except NotFinishedError as failure:
            manager = self._field_manager(state, inputs)
            outputs = state_object(inputs, failure.item, state, manager, text_at(state, INITIAL_API_VERSION))
            self._fail_unready(str(failure), failure, outputs, state)
        self._log.status(urn, "")

    def _delete_unreachable(self, urn: str) -> None:
        self._log.message(WARNING, urn, f"configured Kubernetes cluster is unreachable: {self._unreachable}")
        if not self._settings.delete_unreachable:
            raise ProviderError(
                "configured Kubernetes cluster is unreachable. If the cluster was deleted, you can remove this "
                "resource from Pulumi state by rerunning the operation with the PULUMI_K8S_DELETE_UNREACHABLE "
                'environment variable set to "true"'
            )
        self._log.message(
            INFO, urn, "the `deleteUnreachable` option is enabled: removing the resource from Pulumi state"
        )

    @staticmethod
    def _relinquish(server: ApiServer, path: str, live: Properties, manager: str) -> None:
        # Applying nothing gives up every field; the uid keeps it from creating an object that is gone.
        found = server.request("GET", path)
        metadata: Properties = {"name": name_of(live), "uid": text_at(found, "metadata", "uid")}
        if namespace_of(live):
            metadata["namespace"] = namespace_of(live)
        nothing: Properties = {"apiVersion": live.get("apiVersion"), "kind": live.get("kind"), "metadata": metadata}
        server.request("PATCH", path, {"fieldManager": manager, "force": "true"}, nothing, APPLY)

    # What several operations need.

    def _reachable(self) -> ApiServer:
        if self._server is None:
            raise ProviderError(f"configured Kubernetes cluster is unreachable: {self._unreachable}")
        return self._server

    def _serves(self, item: Properties) -> bool:
        if self._server is None:
            return False
        try:
            self._server.kind(text_at(item, "apiVersion"), text_at(item, "kind"))
        except (NoSuchKindError, ApiError, UnreachableError):
            return False
        return True

    def _waits(self, server: ApiServer) -> Waits:
        return Waits(server, self._cancelled, self._log.status)

    def _field_manager(self, state: Properties, inputs: Properties) -> str:
        if not self._settings.server_side_apply:
            return "pulumi-kubernetes"
        return (
            annotation_of(inputs, _FIELD_MANAGER_ANNOTATION)
            or text_at(state, FIELD_MANAGER)
            or unique_name("pulumi-kubernetes-", b"")
        )

    @staticmethod
    def _fail_unready(message: str, failure: NotFinishedError, outputs: Properties, marked: Properties) -> NoReturn:
        cleaned = _clean(message, marked)
        reasons = [cleaned, *(_clean(reason, marked) for reason in failure.reasons)]
        raise InitializationError(cleaned, id_of(failure.item), outputs, reasons) from None


_READ_AWAITED: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "Pod", "Service"})
"""Kinds whose readiness a refresh looks at (`awaitRead` in `await/awaiters.go`)."""
_SKIPPED: Final[Properties] = {"annotations": {"pulumi.com/skipAwait": "true"}}


def _cluster_in(config: Properties) -> Properties | None:
    text = without_secrets(config.get("kubeconfig"))
    if not isinstance(text, str) or not text:
        return None
    selection = kubeconfigs.Selection(text_at(config, "context"), text_at(config, "cluster"))
    try:
        return kubeconfigs.active_cluster(kubeconfigs.parse(text), selection)
    except kubeconfigs.KubeconfigError as error:
        raise ProviderError(f"cannot compare kubeconfigs: {error}") from None


def _is_patch(urn: str, item: Properties) -> bool:
    return _kind_in(urn).endswith("Patch") and not text_at(item, "kind").endswith("Patch")


def _kind_in(urn: str) -> str:
    # urn:pulumi:stack::project::parent$type::name, where the type is kubernetes:group/version:Kind.
    return urn.split("::")[2].rpartition(":")[2]


def _api_version_in(urn: str) -> str:
    module = urn.split("::")[2].rpartition("$")[2].split(":")[1]
    return module.removeprefix("core/")


def _merge_patch(old: Properties, new: Properties) -> Properties:
    patch: Properties = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            inner = _merge_patch(before, value)
            if inner:
                patch[name] = inner
        elif before != value or name not in old:
            patch[name] = value
    return patch


def _property_diff(change: Change) -> Any:
    kind = f"{change.kind.upper()}{'_REPLACE' if change.replaces else ''}"
    return wire.PropertyDiff(kind=wire.PropertyDiff.Kind.Value(kind), inputDiff=change.kind == "delete")


def _is_unpreviewable(error: ApiError) -> bool:
    """Tell whether a rehearsal's refusal says nothing about the update.

    Its namespace or the object it replaces may change before, and the credentials may be for reading only.
    """
    is_namespace = error.status == HTTPStatus.NOT_FOUND and text_at(error.details, "kind") == "namespaces"
    no_dry_run = error.status == HTTPStatus.BAD_REQUEST and "does not support dry run" in str(error)
    return is_namespace or no_dry_run or error.status == HTTPStatus.FORBIDDEN or error.reason == "AlreadyExists"


def _explained(error: ApiError) -> str:
    return (
        f"{_CONFLICT_HELP}: {error}"
        if error.status == HTTPStatus.CONFLICT and error.reason == "Conflict"
        else str(error)
    )


def _clean(message: str, *properties: Properties) -> str:
    """Return the message without any secret of the properties, in plain text or base64."""
    texts: set[str] = set()
    for item in properties:
        texts |= secret_texts(item)
    for text in sorted(texts, key=len, reverse=True):
        # Texts this short are no secret and would blot out ordinary words.
        if len(text) >= 4:
            message = message.replace(text, "[secret]")
            message = message.replace(base64.b64encode(text.encode()).decode(), "[secret]")
    return message
