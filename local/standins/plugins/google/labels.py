"""The three kinds of labels that a resource has: the program's, those that the plug-in manages, and all there are.

As `tpgresource/labels.go` of terraform-provider-google has them.
"""

from __future__ import annotations

from local.standins.plugins.google.schema import Fields
from local.standins.plugins.object_fields import object_at
from local.standins.plugins.property_values import Properties, has_unknown

_MANAGED, _ALL = "pulumiLabels", "effectiveLabels"
_PROVISIONED: Properties = {"goog-pulumi-provisioned": "true"}
"""Added where the plug-in makes a resource."""


def labels_after(fields: Fields, state: Properties | None, inputs: Properties) -> Properties:
    """Return the labels that the plug-in and the cloud have after a change; nothing for a kind without labels.

    Args:
        fields: the resource's.
        state: the resource as it is; None for a new one.
        inputs: what the program wants.
    """
    if _ALL not in fields:
        return {}
    wanted, old = object_at(inputs, _program(fields)), state or {}
    if has_unknown(wanted):
        return {name: old[name] for name in (_MANAGED, _ALL) if name in old}
    there = object_at(old, _ALL)
    provisioned = _PROVISIONED if state is None or _PROVISIONED.keys() <= there.keys() else {}
    managed: Properties = {**provisioned, **wanted}
    left = {name: value for name, value in there.items() if name not in object_at(old, _MANAGED)}
    return {_MANAGED: managed, _ALL: {**left, **managed}}


def labels_as_read(fields: Fields, state: Properties, found: Properties) -> Properties:
    """Return the labels that a read gives back: of the program's and the managed ones those that the state knows.

    Args:
        fields: the resource's.
        state: the resource as the engine has it.
        found: the resource as it is.
    """
    if _ALL not in fields:
        return {}
    there = object_at(found, _ALL)
    return {
        name: {label: value for label, value in there.items() if label in object_at(state, name)}
        for name in (_program(fields), _MANAGED)
    }


def _program(fields: Fields) -> str:
    return "labels" if "labels" in fields else "resourceLabels"
