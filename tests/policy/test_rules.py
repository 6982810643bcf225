"""Each rule of the policy pack, on what the program declares and on broken resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
import yaml

from policy.rules import RULES, STACK_RULES, UNKNOWN, Declared
from tests.policy.broken_resources import BROKEN, SOUND, Broken
from tests.program.recorded.declarations import STACKS, file_of

SWITCHED_OFF = {
    "existing-cluster-configured": {
        ("network-policies", name) for name in ("manager", "mysql", "redis", "root-password", "scheduler", "seed-peer")
    },
    "gke-configured": {("deletion-protected", name) for name in ("cluster", "mysql-disk", "redis-disk")},
}
"""What the owners of two stacks do without: policies of the program, and the protection of what can be deleted."""


def violations(resources: list[Declared], **options: list[str]) -> Iterator[tuple[str, str, str]]:
    """Rule, resource and words of all that the pack says."""
    for rule in RULES:
        chosen = {**rule.options, **{key: value for key, value in options.items() if key in rule.options}}
        for resource in resources:
            yield from ((rule.name, resource.name, said) for said in rule.violations(resource, **chosen))
    for rule in STACK_RULES:
        yield from ((rule.name, resource.name, said) for resource, said in rule.violations(resources))


def declared(name: str, broken: Broken) -> Declared:
    return Declared(
        broken.type, f"urn:pulumi:test::pack::{broken.type}::{name}", name, broken.properties, broken.protect
    )


def recorded(stack: str) -> list[Declared]:
    """All that the program declares in a stack."""
    resources: Mapping[str, Any] = yaml.load(file_of(stack).read_text(), yaml.CSafeLoader)["resources"]
    return [
        Declared(
            each["type"],
            f"{each.get('parent', '')}${each['type']}::{each['name']}",
            each["name"],
            each.get("object") or {},
            bool(each.get("protect")),
        )
        for each in resources.values()
    ]


@pytest.mark.parametrize("stack", STACKS)
def test_the_program_breaks_no_rule(stack: str) -> None:
    resources = recorded(stack)
    assert sum(each.kind != "" for each in resources) > 20
    found = {(rule, resource) for rule, resource, _ in violations(resources)}
    assert found == SWITCHED_OFF.get(stack, set())


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_breaks_one_rule(name: str) -> None:
    sound = [declared(other, resource) for other, resource in SOUND.items()]
    found = list(violations([*sound, declared(name, BROKEN[name])]))
    assert {(rule, resource) for rule, resource, _ in found} == {(BROKEN[name].rule, name)}
    assert any(BROKEN[name].said in said for _, _, said in found)


def test_a_secret_is_not_in_what_is_said_of_it() -> None:
    said = [words for _, _, words in violations([declared(name, each) for name, each in BROKEN.items()])]
    assert said
    assert not any("hunter2" in words for words in said)


def test_every_rule_is_broken_by_something() -> None:
    names = {rule.name for rule in (*RULES, *STACK_RULES)}
    assert names == {broken.rule for broken in BROKEN.values()} | {"no-leaked-password"}


def test_a_generated_password_is_found_wherever_it_is_but_in_a_secret() -> None:
    password = Declared("random:index/randomPassword:RandomPassword", "", "password", {"result": "correct-horse"})
    text = {"config.yaml": "password: correct-horse\n"}
    leaking = Declared("kubernetes:core/v1:ConfigMap", "", "leak", {"data": text})
    keeping = Declared("kubernetes:core/v1:Secret", "", "kept", {"stringData": text})
    ((rule, resource, said),) = violations([password, leaking, keeping])
    assert (rule, resource) == ("no-leaked-password", "leak")
    assert "correct-horse" not in said


def test_host_paths_are_the_owners_to_choose() -> None:
    resources = [*(declared(name, each) for name, each in SOUND.items()), declared("host-path", BROKEN["host-path"])]
    found = [(rule, resource) for rule, resource, _ in violations(resources, paths=["/var/lib"])]
    # Those by default are his to name then, too.
    assert found == [("known-host-paths", "sound-deployment"), ("known-host-paths", "sound-digest")]


def test_a_policy_that_selects_by_what_is_not_understood_guards_nothing() -> None:
    policy = SOUND["sound-policy"].properties
    selecting = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}
    spec = {**policy["spec"], "podSelector": selecting}
    guarding = Broken(None, "", SOUND["sound-policy"].type, {**policy, "spec": spec})
    resources = [declared("policy", guarding), declared("sound-deployment", SOUND["sound-deployment"])]
    assert [rule for rule, _, _ in violations(resources)] == ["network-policies"]


def unknown_in_turn(value: Any) -> Iterator[Any]:
    """Copies of a value, in each of which another part is not known."""
    yield UNKNOWN
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        yield from ({**mapping, key: other} for key, part in mapping.items() for other in unknown_in_turn(part))
    if isinstance(value, list):
        items = cast("list[Any]", value)
        for index, part in enumerate(items):
            yield from ([*items[:index], other, *items[index + 1 :]] for other in unknown_in_turn(part))


@pytest.mark.parametrize("name", SOUND)
def test_what_a_preview_does_not_know_is_not_judged(name: str) -> None:
    others = [declared(other, resource) for other, resource in SOUND.items() if other != name]
    variants = [each for each in unknown_in_turn(SOUND[name].properties) if each is not UNKNOWN]
    assert len(variants) > 3
    for properties in variants:
        assert list(violations([*others, declared(name, replace(SOUND[name], properties=properties))])) == []


def test_a_policy_without_types_is_read_as_kubernetes_does() -> None:
    policy = SOUND["sound-policy"]

    def said_with(**more: Any) -> list[str]:
        spec = {"podSelector": dict[str, Any](), **more}
        untyped = replace(policy, properties={**policy.properties, "spec": spec})
        resources = [declared("policy", untyped), declared("sound-deployment", SOUND["sound-deployment"])]
        return [words for _, _, words in violations(resources)]

    (said,) = said_with()
    assert "selects its pods for Egress:" in said
    assert said_with(egress=[]) == []
