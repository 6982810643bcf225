"""What differs between a resource as last read and what the program wants, and whether that needs a new one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from local.plugins.property_values import Properties, Unknown, Value

_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True)
class Change:
    """One changed property; None stands for one that is not there."""

    kind: Literal["add", "delete", "update"]
    old: Value
    new: Value


def changes(
    state: Properties, old_inputs: Properties, new: Properties, references: Iterable[str], computed: Iterable[str]
) -> dict[str, Change]:
    """Return what changed, by path, `nodeConfig.machineType` or `secondaryIpRanges[0].ipCidrRange`.

    What the cloud filled in where the program says nothing is no change, and what the program no longer says stays as
    it is where the cloud would fill it in.

    Args:
        state: the resource as last read.
        old_inputs: what the program wanted then.
        new: what it wants now.
        references: paths of properties that name another resource, by its name, path or URL alike.
        computed: properties that the cloud fills in where the program leaves them out.
    """
    found: dict[str, Change] = {}
    _compare(state, old_inputs, new, "", found, frozenset(references))
    left_out = {name for name in computed if new.get(name) is None}
    return {path: change for path, change in found.items() if path not in left_out}


def _compare(
    state: Properties,
    old_inputs: Properties,
    new: Properties,
    prefix: str,
    found: dict[str, Change],
    references: frozenset[str],
) -> None:
    for name in sorted({*old_inputs, *new}):
        path = f"{prefix}{name}"
        before, wanted = state.get(name), new.get(name)
        if wanted is None:
            old = old_inputs.get(name)
            if old is not None and old not in ([], {}, ""):
                found[path] = Change("delete", old, None)
        elif before is None:
            if wanted not in ([], {}, "", False):
                found[path] = Change("add", None, wanted)
        else:
            _compare_values(before, old_inputs.get(name), wanted, path, found, references)


def _compare_values(
    before: Value, old: Value, wanted: Value, path: str, found: dict[str, Change], references: frozenset[str]
) -> None:
    if isinstance(before, dict) and isinstance(wanted, dict):
        _compare(before, old if isinstance(old, dict) else {}, wanted, f"{path}.", found, references)
    elif isinstance(before, list) and isinstance(wanted, list):
        if len(before) != len(wanted) or not all(isinstance(element, dict) for element in [*before, *wanted]):
            # Lists of texts are sets to the real provider, as far as they occur here.
            if sorted(map(repr, before)) != sorted(map(repr, wanted)):
                found[path] = Change("update", before, wanted)
            return
        olds = old if isinstance(old, list) and len(old) == len(wanted) else [None] * len(wanted)
        for index, (one, other, asked) in enumerate(zip(before, olds, wanted, strict=True)):
            _compare_values(one, other, asked, f"{path}[{index}]", found, references)
    elif before != wanted and not _same_reference(before, wanted, without_indexes(path) in references):
        found[path] = Change("update", before, wanted)


def _same_reference(before: Value, wanted: Value, is_reference: bool) -> bool:
    if not is_reference or not isinstance(before, str) or not isinstance(wanted, str):
        return False
    return before.rpartition("/")[2] == wanted.rpartition("/")[2]


def without_indexes(path: str) -> str:
    """Return a path without the places of list elements."""
    return _INDEX.sub("", path)


def needs_replacement(
    path: str, change: Change, replacing: Iterable[str], shrinks: Callable[[str, Change], bool]
) -> bool:
    """Tell whether a change can only take effect in a new resource.

    Args:
        path: the changed property.
        change: what happened to it.
        replacing: paths that force a new resource, with everything inside them.
        shrinks: tells of a change whether the kind of resource can follow it in one direction only, and not in this.
    """
    plain = without_indexes(path)
    if any(plain == field or plain.startswith(f"{field}.") for field in replacing):
        return True
    return not isinstance(change.new, Unknown) and shrinks(plain, change)
