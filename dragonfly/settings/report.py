"""The report of all faults of a config at once: of each what was found, the rule, and the command that mends it."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Mapping, Sequence, Set
from typing import Any, cast

import pulumi

from dragonfly.parts.images import Image
from dragonfly.settings.fault import PROJECT, RULE_BROKEN, ConfigFault
from dragonfly.settings.model import MaintenanceWindow, NodeAutoscaling

_TYPE_NAMES = {
    "bool": "true or false",
    "int": "a whole number",
    "dict": "an object",
    "list": "a list",
    "string": "a string",
}
_OBJECTS = {
    key: f"an object with {' and '.join(model.model_fields)}"
    for key, model in {"nodeAutoscaling": NodeAutoscaling, "maintenanceWindow": MaintenanceWindow}.items()
}


class SettingsError(pulumi.RunError):
    """The stack's config is faulty. The message lists every fault and how to mend it, and contains no secret."""

    def __init__(self, stack: str, faults: Sequence[ConfigFault]) -> None:
        """Write the message.

        Args:
            stack: the stack's name.
            faults: all of its config.
        """
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        listed = "\n\n".join(str(fault) for fault in faults)
        super().__init__(f"the config of stack {stack} has {count}; nothing was changed\n\n{listed}\n")


def unknown_key_fault(key: str, known: Sequence[str]) -> ConfigFault:
    """Say of a key that there is none of that name, and which one may be meant.

    Args:
        key: the key, without the namespace.
        known: all that there are.
    """
    return ConfigFault(
        f"{PROJECT}:{key}",
        None,
        f"is not a config key; the nearest one is {PROJECT}:{_nearest(key, known)}",
        f"pulumi config rm {PROJECT}:{key}",
    )


def plain_text_fault(full_key: str) -> ConfigFault:
    """Say of a secret that it is not encrypted in the stack's file.

    Args:
        full_key: the key, with the namespace.
    """
    return ConfigFault(
        full_key,
        None,
        "stands in plain text in the stack's file, must be encrypted; change the value too, it has been seen",
        f"pulumi config set --secret {full_key}",
    )


def validation_fault(details: Any, values: Mapping[str, str], secret_keys: Set[str]) -> ConfigFault:
    """Say in the words of the config what pydantic found wrong with a value.

    Args:
        details: one of `ValidationError.errors()`.
        values: the config as text, by full key.
        secret_keys: the full keys whose values must not be shown.
    """
    key, *inner = (part for part in details["loc"] if part != "[key]")
    full_key = f"{PROJECT}:{key}"
    # As `pulumi config set --path` takes it.
    path = full_key + "".join(map(_step, inner))
    secret = full_key in secret_keys
    found = None if secret else _found(values[full_key], inner)
    if details["type"] == RULE_BROKEN:
        rule = details["ctx"]["message"]
    elif details["loc"][-1] == "[key]":
        nearest = _nearest(str(inner[-1]), list(Image))
        return ConfigFault(
            path,
            None,
            f"is not an image of this program; the nearest one is {key}.{nearest}",
            f"pulumi config rm --path {path}",
        )
    elif details["type"] == "missing":
        rule = "must be given"
    elif details["type"] == "extra_forbidden":
        rule = f"is not known here; {_OBJECTS[key]} is expected"
    elif details["type"] == "model_type":
        rule = f"must be {_OBJECTS[key]}"
    else:
        expected = next((text for kind, text in _TYPE_NAMES.items() if details["type"].startswith(kind)), None)
        rule = f"must be {expected}" if expected else str(details["msg"])
    option = "--path " if inner else ""
    # A shell would take brackets for a pattern.
    place = option + shlex.quote(path)
    if details["type"] == "extra_forbidden" or details["loc"][-1] == "[key]":
        remedy = f"rm {place}"
    elif secret:
        # Without a value on the command line the CLI asks for it, so that it stays out of the shell's history.
        remedy = f"set --secret {place}"
    else:
        remedy = f"set {place} <value>"
    return ConfigFault(path, found, rule, f"pulumi config {remedy}")


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    # A dot or a slash would be taken for more steps.
    return f".{part}" if re.fullmatch(r"[\w-]+", part) else f"[{json.dumps(part)}]"


def _found(text: str, path: Sequence[str | int]) -> str | None:
    if not path:
        return json.dumps(text)
    inner: Any = json.loads(text)
    for part in path:
        if isinstance(inner, dict) and part not in inner:
            # What is missing has no value.
            return None
        inner = cast("Any", inner)[part]
    return json.dumps(inner)


def _nearest(key: str, candidates: Sequence[str]) -> str:
    lowered = {candidate.lower(): candidate for candidate in candidates}
    return lowered[difflib.get_close_matches(key.lower(), list(lowered), cutoff=0.0)[0]]
