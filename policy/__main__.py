"""The policy pack: `pulumi preview --policy-pack policy` refuses what these rules forbid. See docs/policy-pack.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError
from rules import RULES, STACK_RULES, UNKNOWN, Declared, Rule, StackRule

_inputs: dict[str, Declared] = {}
"""What the engine has asked for so far, by URN."""


def declared(resource: Any) -> Declared:
    """Return a resource of the SDK as the rules read it."""
    return Declared(
        type=resource.resource_type,
        urn=resource.urn,
        name=resource.name,
        properties=_known(resource.props),
        protected=bool(resource.opts.protect),
    )


def _known(value: Any) -> Any:
    """Return plain values. The SDK's own raise where one is unknown, and the rule would say nothing of all others."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in cast("Mapping[str, Any]", value)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_item(value, index) for index in range(len(cast("Sequence[Any]", value)))]
    return value


def _item(value: Any, key: Any) -> Any:
    try:
        return _known(value[key])
    except UnknownValueError:
        return UNKNOWN


def resource_policy(rule: Rule) -> ResourceValidationPolicy:
    """Return a rule as the SDK has it."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = _inputs[args.urn] = declared(args)
        for violation in rule.violations(resource, **args.get_config()):
            report(violation, None)

    texts = {"type": "array", "items": {"type": "string"}}
    properties = {option: {**texts, "default": value} for option, value in rule.options.items()}
    schema = PolicyConfigSchema(properties) if properties else None
    return ResourceValidationPolicy(rule.name, rule.description, validate, config_schema=schema)


def _with_inputs(resource: Declared) -> Declared:
    """Return a resource with its inputs where its outputs are not known: of a cluster that is still to be made, all."""
    inputs = _inputs.get(resource.urn, resource).properties
    outputs = {key: value for key, value in resource.properties.items() if value is not UNKNOWN}
    return replace(resource, properties={**inputs, **outputs})


def stack_policy(rule: StackRule) -> StackValidationPolicy:
    """Return a rule about a whole stack as the SDK has it."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for resource, violation in rule.violations([_with_inputs(declared(each)) for each in args.resources]):
            report(violation, resource.urn)

    return StackValidationPolicy(rule.name, rule.description, validate)


PolicyPack(
    name="dragonfly",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[*map(resource_policy, RULES), *map(stack_policy, STACK_RULES)],
)
