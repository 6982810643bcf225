"""Reads fields of nested objects whose shape is not certain: Kubernetes objects and resource properties."""

from __future__ import annotations

import copy

from local.standins.plugins.property_values import Properties, Value


def value_at(item: Value, *path: str) -> Value:
    """Return the value at the path, or None where a step is missing or not an object."""
    current = item
    for name in path:
        if not isinstance(current, dict):
            return None
        current = current.get(name)
    return current


def text_at(item: Value, *path: str) -> str:
    """Return the text at the path, or an empty text where there is none."""
    found = value_at(item, *path)
    return found if isinstance(found, str) else ""


def number_at(item: Value, *path: str, default: int = 0) -> int:
    """Return the whole number at the path, or the default: the API server leaves out counts that are zero."""
    found = value_at(item, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def object_at(item: Value, *path: str) -> Properties:
    """Return the object at the path, or an empty one that is not part of the item."""
    found = value_at(item, *path)
    return found if isinstance(found, dict) else {}


def list_at(item: Value, *path: str) -> list[Value]:
    """Return the list at the path, or an empty one that is not part of the item."""
    found = value_at(item, *path)
    return found if isinstance(found, list) else []


def objects_at(item: Value, *path: str) -> list[Properties]:
    """Return the objects among the elements of the list at the path."""
    return [element for element in list_at(item, *path) if isinstance(element, dict)]


def name_of(item: Value) -> str:
    """Return `metadata.name`, or an empty text."""
    return text_at(item, "metadata", "name")


def namespace_of(item: Value) -> str:
    """Return `metadata.namespace`, or an empty text."""
    return text_at(item, "metadata", "namespace")


def annotation_of(item: Value, name: str) -> str:
    """Return one annotation, or an empty text."""
    return text_at(item, "metadata", "annotations", name)


def id_of(item: Value) -> str:
    """Return the resource's id: `namespace/name`, or `name` where there is no namespace."""
    namespace = namespace_of(item)
    return f"{namespace}/{name_of(item)}" if namespace else name_of(item)


def condition_of(item: Value, kind: str) -> Properties:
    """Return the status condition of that type, or an empty object."""
    for condition in objects_at(item, "status", "conditions"):
        if condition.get("type") == kind:
            return condition
    return {}


def deep_copy(item: Properties) -> Properties:
    """Return a copy that shares nothing with the item."""
    return copy.deepcopy(item)
