"""What a preview says that an update would do: read from the engine's own events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from local.engine.stack import LocalStack, StackError

STREAMED = {"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}
"""Makes `--json` print the engine's events: its usual digest leaves out in which order a resource is replaced."""

_LOGICAL = ("same", "read", "refresh")
# As `ConfigFault` and `refused_change` write it.
_REFUSED = re.compile(r"^  (?P<key>[a-z]+:\w+)(?:: .*)?\n    was .* before: (?P<consequence>.*)$", re.MULTILINE)
# As `existing_object` does.
_TAKEN = re.compile(
    r"(?P<consequence>\w+ \S+ already exists and is not this stack's).*: pulumi config set (?P<key>[a-z]+:\w+)"
)


@dataclass(frozen=True)
class Step:
    """What happens to one resource.

    Args:
        type: the resource's type token.
        name: Pulumi's name of it.
        operations: the engine's, in its order: `update`, or `create-replacement`, `replace` and `delete-replaced`.
        paths: of the inputs that differ.
        retained: whether what is deleted from the state stays where it is.
    """

    type: str
    name: str
    operations: tuple[str, ...]
    paths: frozenset[str]
    retained: bool


@dataclass(frozen=True)
class Plan:
    """What a change of the config does.

    Args:
        steps: in the order of their first operation; empty where nothing happens.
        refused: consequences by full config key, where the program refuses the change.
        failure: what the preview printed, where it failed with anything else.
    """

    steps: tuple[Step, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict[str, str])
    failure: str = ""


def preview(stack: LocalStack) -> Plan:
    """Return what `pulumi up` would do to a stack now; `STREAMED` must be in the environment."""
    try:
        return Plan(tuple(steps(_events(stack.output("preview", "--json")))))
    except StackError as error:
        told = "".join(messages(_events(str(error)))) or str(error)
        refused = refusals(told)
        return Plan(refused=refused, failure="" if refused else told)


def refusals(printed: str) -> dict[str, str]:
    """Return the consequences that the program refuses a change for, by full config key.

    Args:
        printed: what a preview printed.
    """
    return {match["key"]: match["consequence"] for rule in (_REFUSED, _TAKEN) for match in rule.finditer(printed)}


def messages(events: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Iterate over the errors that a preview printed."""
    for event in events:
        if (told := event.get("diagnosticEvent", {})).get("severity") == "error":
            yield told["message"]


def steps(events: Iterable[Mapping[str, Any]]) -> list[Step]:
    """Return what happens to each resource that does not stay as it is.

    Args:
        events: the engine's, one object each.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        metadata = cast("dict[str, Any]", event.get("resourcePreEvent", {}).get("metadata", {}))
        if metadata and metadata["op"] not in _LOGICAL:
            found.setdefault(metadata["urn"], []).append(metadata)
    return [
        Step(
            each[0]["type"],
            urn.rpartition("::")[2],
            tuple(one["op"] for one in each),
            frozenset(path for one in each for path in _object(one, "detailedDiff")),
            any(_object(one, "old").get("retainOnDelete", False) for one in each),
        )
        for urn, each in found.items()
    ]


def _object(metadata: Mapping[str, Any], field_name: str) -> dict[str, Any]:
    return metadata.get(field_name) or {}


def _events(printed: str) -> Iterator[dict[str, Any]]:
    for line in printed.splitlines():
        if line.startswith("{"):
            yield json.loads(line)
