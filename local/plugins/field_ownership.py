"""Who owns which fields of an object, as server-side apply keeps it in `metadata.managedFields`."""

from __future__ import annotations

from typing import Final

from local.plugins.object_fields import object_at, text_at
from local.plugins.property_values import Properties

_OLD_MANAGERS: Final = ("kubectl", "before-first-apply", "pulumi-kubernetes", "pulumi-resource-kubernetes")
"""Beginnings of field managers whose fields the provider takes over before it applies (`fixCSAFieldManagers`)."""


def with_taken_over_fields(managed: list[Properties], manager: str, api_version: str) -> list[Properties] | None:
    """Return `managedFields` with what kubectl and this provider wrote otherwise given to the provider's apply.

    Without this, an apply conflicts with the provider's own creation, which the API server counts as another owner.

    Args:
        managed: the object's `metadata.managedFields`.
        manager: the provider's field manager for this resource.
        api_version: the version that fields are given in.

    Returns:
        The new list, or None where there is nothing to take over.
    """

    def is_old(entry: Properties) -> bool:
        who = text_at(entry, "manager")
        if entry.get("subresource") or (who == manager and entry.get("operation") == "Apply"):
            return False
        if entry.get("operation") == "Apply":
            return who == "kubectl"
        return who.startswith(_OLD_MANAGERS)

    old = [entry for entry in managed if is_old(entry)]
    if not old:
        return None
    kept = [entry for entry in managed if not is_old(entry)]
    own = next((entry for entry in kept if entry.get("manager") == manager and not entry.get("subresource")), None)
    fields = object_at(own, "fieldsV1") if own else {}
    for entry in old:
        fields = _union(fields, object_at(entry, "fieldsV1"))
    times = sorted(text_at(entry, "time") for entry in [*old, *([own] if own else [])])
    merged: Properties = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": text_at(own, "apiVersion") or api_version,
        "time": times[-1],
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return [merged, *(entry for entry in kept if entry is not own)]


def _union(first: Properties, second: Properties) -> Properties:
    result = dict(first)
    for name, value in second.items():
        before = result.get(name)
        result[name] = _union(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return result
