"""The label by which the provider marks what it has made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Of the types that the program makes, the input that holds their labels.
_LABELS = {
    "gcp:compute/disk:Disk": "labels",
    "gcp:compute/snapshot:Snapshot": "labels",
    "gcp:container/cluster:Cluster": "resourceLabels",
}

# Where the provider keeps the labels that are its own to change, and the one that it adds (pulumi-gcp's guide to the
# migration to version 8, "Default label").
_OWN_LABELS = "pulumiLabels"
_ATTRIBUTION = {"goog-pulumi-provisioned": "true"}


def attributed(type_token: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the output for the provider's own labels, or nothing for a type without labels.

    A read confirms the labels that this output names and finds no others: without it the provider would take those that
    are there for somebody else's.

    Args:
        type_token: for example `gcp:compute/disk:Disk`.
        inputs: the resource's, as the state has them.
    """
    if type_token not in _LABELS:
        return {}
    return {_OWN_LABELS: {**inputs.get(_LABELS[type_token], {}), **_ATTRIBUTION}}
