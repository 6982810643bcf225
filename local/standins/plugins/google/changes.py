"""What differs between a resource as last read and what the program wants, and whether that needs a new one.

Follows Terraform's plugin SDK: a field that is optional and computed stays as it is where the program leaves it out, at
every depth; any other that is left out is to be empty, or to have its default.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from local.standins.plugins.google.schema import Field, Fields
from local.standins.plugins.property_values import Properties, Unknown, Value


@dataclass(frozen=True)
class Change:
    """One changed property; None stands for one that is not there.

    Attributes:
        replaces: whether it can only take effect in a new resource.
    """

    old: Value
    new: Value
    replaces: bool

    @property
    def kind(self) -> Literal["add", "delete", "update"]:
        """What happens to the property."""
        return "add" if self.old is None else "delete" if self.new is None else "update"


Shrinks: TypeAlias = Callable[[str, Value, Value], bool]
"""Tells of a path, an old and a new value whether the resource can follow the change in one direction only, and not in
this."""


def changes(fields: Fields, state: Properties, new: Properties, shrinks: Shrinks) -> dict[str, Change]:
    """Return what changed, by path, `nodeConfig.machineType` or `secondaryIpRanges[0].ipCidrRange`.

    Args:
        fields: the resource's.
        state: the resource as last read.
        new: what the program wants.
        shrinks: asked of every changed value that is known.
    """
    found: dict[str, Change] = {}
    _compare_fields(fields, state, new, "", found)
    return {
        path: Change(
            change.old,
            change.new,
            change.replaces or (not isinstance(change.new, Unknown) and shrinks(path, change.old, change.new)),
        )
        for path, change in found.items()
    }


def _compare_fields(fields: Fields, state: Properties, new: Properties, prefix: str, found: dict[str, Change]) -> None:
    for name, field in fields.items():
        before, wanted = state.get(name), new.get(name)
        if wanted is None:
            wanted = field.default
        if field.given and (wanted is not None or not field.computed):
            _compare(field, before, wanted, f"{prefix}{name}", found)


def _compare(field: Field, before: Value, wanted: Value, path: str, found: dict[str, Change]) -> None:
    if field.is_empty(before) and field.is_empty(wanted):
        return
    if field.fields and isinstance(before, dict) and isinstance(wanted, dict):
        _compare_fields(field.fields, before, wanted, f"{path}.", found)
    elif field.type == "Map" and isinstance(before, dict) and isinstance(wanted, dict):
        for key in sorted({*before, *wanted}):
            if before.get(key) != wanted.get(key):
                found[f"{path}.{key}"] = Change(before.get(key), wanted.get(key), field.forces())
    elif isinstance(before, list) and isinstance(wanted, list):
        _compare_lists(field, before, wanted, path, found)
    elif before != wanted and not ("Suppress" in field.flags and _same(before, wanted)):
        found[path] = Change(before, wanted, field.forces(before, wanted))


def _compare_lists(field: Field, before: list[Value], wanted: list[Value], path: str, found: dict[str, Change]) -> None:
    if len(before) == len(wanted) and field.fields and field.type == "List":
        for index, pair in enumerate(zip(before, wanted, strict=True)):
            _compare(field, *pair, f"{path}[{index}]", found)
        return
    left = list(before)
    for item in wanted:
        place = next((index for index, old in enumerate(left) if _alike(field, old, item)), None)
        if place is None or (place > 0 and field.type == "List"):
            break
        left.pop(place)
    else:
        if not left:
            return
    found[path] = Change(before, wanted, field.forces(before, wanted))


def _alike(field: Field, old: Value, item: Value) -> bool:
    different: dict[str, Change] = {}
    _compare(field, old, item, "", different)
    return not different


def _same(before: Value, wanted: Value) -> bool:
    """Whether two texts mean the same where the provider suppresses a difference: mostly a name, path or URL alike."""
    if not isinstance(before, str) or not isinstance(wanted, str):
        return False
    if wanted.startswith("{"):
        return _same_json(json.loads(before), json.loads(wanted))
    return before.rpartition("/")[2].casefold() == wanted.rpartition("/")[2].casefold()


def _same_json(before: Any, wanted: Any) -> bool:
    """Whether a dashboard is as wanted; what the cloud has added counts for nothing (the provider's own rule)."""
    if isinstance(before, dict) and isinstance(wanted, dict):
        there, given = cast("dict[str, Any]", before), cast("dict[str, Any]", wanted)
        return given.keys() <= there.keys() and all(_same_json(there[name], item) for name, item in given.items())
    if isinstance(before, list) and isinstance(wanted, list):
        listed, asked = cast("list[Any]", before), cast("list[Any]", wanted)
        return len(listed) == len(asked) and all(map(_same_json, listed, asked))
    return bool(before == wanted)
