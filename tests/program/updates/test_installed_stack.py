"""What is installed keeps its identity: under another URN the engine would delete it and make it anew."""

from __future__ import annotations

import json
from typing import Any, cast

from tests.program.recorded.recorded_program import ROOT, RecordedProgram

# The engine's tests update this stack. Its namespace was its own, and the provider of passwords has the version's name.
RECORD = ROOT / "tests" / "engine" / "stack-of-4.34.2.json"
OTHERS = ("pulumi:pulumi:Stack", "pulumi:providers:random", "kubernetes:core/v1:Namespace")


def test_everything_keeps_its_urn(default_program: RecordedProgram) -> None:
    record = cast(list[dict[str, Any]], json.loads(RECORD.read_text())["deployment"]["resources"])
    installed = {
        (_type_and_name(one.get("parent", "")), _type_and_name(one["urn"]))
        for one in record
        if one["type"] not in OTHERS
    }
    assert len(installed) == 48
    # Mocks leave the parents out of the URN.
    declared = {(_type_and_name(one.parent), _type_and_name(one.urn)) for one in default_program.resources}
    assert installed <= declared
    # Records in the state alone, and what has come since.
    assert {urn[0] for _, urn in declared - installed} == {
        "dragonfly:network_policies:NetworkPolicies",
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        "dragonfly:created_namespace:CreatedNamespace",
        "dragonfly:immutable_config:KeptConfig",
    }


def _type_and_name(urn: str) -> tuple[str, str]:
    """Of a URN, without its parents; of the stack itself, nothing."""
    kinds, _, name = urn.rpartition("::")
    kind = kinds.rpartition("::")[2].rpartition("$")[2]
    return ("", "") if kind == "pulumi:pulumi:Stack" else (kind, name)
