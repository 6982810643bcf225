"""What differs between the object in the cluster and the one the program wants, and what that difference requires.

The rules are those of pulumi-kubernetes: `pruneMap`, `convertPatchToDiff` and the table in `provider/forcenew.go`.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from local.plugins.object_fields import deep_copy, object_at
from local.plugins.property_values import Properties, Unknown, Value
from local.plugins.quantities import with_canonical_quantities

Path: TypeAlias = tuple[str | int, ...]
"""Steps from the object's root: names of fields and indexes into lists."""

IDENTITY: Final[tuple[str, ...]] = ("metadata.name", "metadata.namespace")
"""Fields whose change always means another object."""

_SELECTOR: Final = ("spec.selector",)
_STATEFUL_SET: Final = (
    "spec.podManagementPolicy",
    "spec.revisionHistoryLimit",
    "spec.selector",
    "spec.serviceName",
    "spec.volumeClaimTemplates",
)
_JOB: Final = ("spec.completions", "spec.parallelism", "spec.selector", "spec.template")
_POD_UPDATABLE: Final = frozenset({"activeDeadlineSeconds", "tolerations"})
"""The two fields of a pod's spec that the API server lets change (besides images, which the real table replaces)."""

_REPLACING_FIELDS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("apps/v1", "Deployment"): _SELECTOR,
    ("apps/v1", "DaemonSet"): _SELECTOR,
    ("apps/v1", "StatefulSet"): _STATEFUL_SET,
    ("batch/v1", "Job"): _JOB,
    ("v1", "PersistentVolumeClaim"): (
        "spec.accessModes",
        "spec.selector",
        "spec.storageClassName",
        "spec.volumeName",
    ),
    ("v1", "ResourceQuota"): ("spec.scopes",),
    ("v1", "Secret"): ("type",),
    ("v1", "Service"): ("spec.clusterIP",),
    ("storage.k8s.io/v1", "StorageClass"): ("parameters", "provisioner"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): ("roleRef",),
}

_READ_ONLY_METADATA: Final = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
)


@dataclass(frozen=True)
class Change:
    """One changed field: what happened to it, and whether it can only take effect in a new object."""

    kind: Literal["add", "delete", "update"]
    replaces: bool


def replacing_fields(item: Properties, *, mutable_secrets: bool, mutable_config_maps: bool) -> tuple[str, ...]:
    """Return the dotted fields of the object whose change needs a new object, `metadata.name` and namespace included.

    A Secret's or ConfigMap's data counts unless the provider is told that they may change in place, and the object
    does not call itself immutable. A Pod's spec counts as a whole, but for the fields that the API server lets change.
    """
    api_version, kind = item.get("apiVersion"), item.get("kind")
    immutable = item.get("immutable") is True
    if (api_version, kind) == ("v1", "Secret") and (not mutable_secrets or immutable):
        return (*IDENTITY, "type", "stringData", "data")
    if (api_version, kind) == ("v1", "ConfigMap"):
        return IDENTITY if mutable_config_maps and not immutable else (*IDENTITY, "binaryData", "data")
    if (api_version, kind) == ("v1", "Pod"):
        spec = object_at(item, "spec")
        return (*IDENTITY, *(f"spec.{name}" for name in spec if name not in _POD_UPDATABLE))
    return (*IDENTITY, *_REPLACING_FIELDS.get((str(api_version), str(kind)), ()))


def pruned(live: Properties, shape: Properties) -> Properties:
    """Return the live object cut down to the fields that also stand in `shape`.

    What the cluster added (defaults, status, sidecar containers at the end of a list) drops out; what it changed stays.
    """
    result: Properties = {}
    for name, value in live.items():
        if name not in shape:
            continue
        wanted = shape[name]
        if isinstance(value, dict) and isinstance(wanted, dict):
            kept: Value = pruned(value, wanted)
        elif isinstance(value, list) and isinstance(wanted, list):
            kept = _pruned_list(value, wanted)
        else:
            kept = value
        if not _is_empty(kept) or _is_empty(wanted):
            result[name] = kept
    return result


def _pruned_list(live: list[Value], shape: list[Value]) -> list[Value]:
    if live and shape and type(live[0]) is not type(shape[0]):
        return live
    result: list[Value] = []
    for value, wanted in zip(live, shape, strict=False):
        if isinstance(value, dict) and isinstance(wanted, dict):
            result.append(pruned(value, wanted))
        elif isinstance(value, list) and isinstance(wanted, list):
            result.append(_pruned_list(value, wanted))
        else:
            result.append(value)
    return result


def normalized(item: Properties, *, built_in: bool) -> Properties:
    """Return a copy in the form in which the API server stores it, so that only real differences differ.

    Read-only metadata goes; quantities of built-in kinds become canonical. Custom resources are taken as written.
    """
    result = with_canonical_quantities(item) if built_in else deep_copy(item)
    metadata = result.get("metadata")
    if isinstance(metadata, dict):
        result["metadata"] = {name: value for name, value in metadata.items() if name not in _READ_ONLY_METADATA}
    return result


def with_encoded_data(item: Properties) -> Properties:
    """Return a Secret with `stringData` moved into `data` in base64, as the API server stores it; others unchanged.

    Unknown entries stay unknown, so that a preview shows them as changed.
    """
    texts = item.get("stringData")
    if item.get("kind") != "Secret" or not isinstance(texts, dict):
        return item
    result = {name: value for name, value in item.items() if name != "stringData"}
    encoded: Properties = dict(object_at(item, "data"))
    for name, text in texts.items():
        encoded[name] = base64.b64encode(text.encode()).decode() if isinstance(text, str) else text
    result["data"] = encoded
    return result


def changes(old: Properties, new: Properties, replacing: Sequence[str]) -> dict[str, Change]:
    """Return the changed fields by property path, for instance `spec.template.spec.containers[0].image`.

    `old` is the live object cut to the shape of the old inputs. A field that the program sets to an empty list or
    object and the API server left out is not a change.
    """
    found: dict[str, Change] = {}
    _compare_objects((), old, new, tuple(tuple(field.split(".")) for field in replacing), found)
    return found


_Fields: TypeAlias = tuple[tuple[str, ...], ...]


def _compare_objects(path: Path, old: Properties, new: Properties, fields: _Fields, found: dict[str, Change]) -> None:
    for name in [*old, *(name for name in new if name not in old)]:
        step = (*path, name)
        if name not in new:
            _note(step, "delete", None, fields, found)
        elif name not in old:
            if not _is_empty(new[name]):
                _note(step, "add", new[name], fields, found)
        else:
            _compare(step, old[name], new[name], fields, found)


def _compare(path: Path, old: Value, new: Value, fields: _Fields, found: dict[str, Change]) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
        _compare_objects(path, old, new, fields, found)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            step = (*path, index)
            if index >= len(new):
                _note(step, "delete", None, fields, found)
            elif index >= len(old):
                _note(step, "add", new[index], fields, found)
            else:
                _compare(step, old[index], new[index], fields, found)
    elif isinstance(new, Unknown) or type(old) is not type(new) or old != new:
        if isinstance(old, (int, float)) and isinstance(new, (int, float)) and old == new:
            return
        _note(path, "update", new, fields, found)


def _note(
    path: Path,
    kind: Literal["add", "delete", "update"],
    value: Value,
    fields: _Fields,
    found: dict[str, Change],
) -> None:
    names = tuple(step for step in path if isinstance(step, str))
    replaces = any(
        names[: len(field)] == field or (field[: len(names)] == names and _holds(value, field[len(names) :]))
        for field in fields
    )
    found[property_path(path)] = Change(kind, replaces)


def _holds(value: Value, rest: tuple[str, ...]) -> bool:
    current = value
    for name in rest:
        if not isinstance(current, dict) or name not in current:
            return False
        current = current[name]
    return True


def _is_empty(value: Value) -> bool:
    return value is None or (isinstance(value, (list, dict)) and not value)


def property_path(path: Path) -> str:
    """Return the path as the engine writes it: dots, indexes, and quotes around names with special characters."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif any(character in step for character in '."[]'):
            quoted = step.replace('"', '\\"')
            text += f'["{quoted}"]'
        else:
            text += f".{step}" if text else step
    return text
