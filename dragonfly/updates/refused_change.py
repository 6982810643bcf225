"""Changes of the config that an installed stack cannot follow, refused by hooks that know what was before.

The engine would carry them out without a question. A hook runs in the preview already, and in an update before its
resource is changed or any of a component's children is registered. It needs no protection of the cluster or the disks,
and what the state holds is all that it asks: whether the update that made it succeeded or not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pulumi
from pulumi.runtime.config import is_config_secret

from dragonfly.settings.fault import PROJECT, ConfigFault

Inputs = Mapping[str, Any]


class RefusedChangeError(pulumi.RunError):
    """The config asks for what an installed stack cannot follow; the message says which keys, and what to do."""


def refuses(name: str, faults: Callable[[Inputs, Inputs], Sequence[ConfigFault]]) -> pulumi.ResourceOptions:
    """Return the options of a resource whose update may be refused.

    Args:
        name: the hook's, in the whole program and in the engine's message.
        faults: finds what is to be refused in what the state knows of the resource, its inputs and what it turned out
            to be, and in its inputs of now.
    """

    def compare(args: pulumi.ResourceHookArgs) -> None:
        before = {**(args.old_inputs or {}), **(args.old_outputs or {})}
        if found := faults(before, args.new_inputs or {}):
            raise RefusedChangeError(_report(found))

    hook = pulumi.ResourceHook(name, compare, pulumi.ResourceHookOptions(on_dry_run=True))
    return pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_update=[hook]))


def refused_change(key: str, old: str | bool, new: str | bool, consequence: str) -> ConfigFault:
    """Return the fault of a key.

    Args:
        key: the full config key.
        old: the value of before; empty where it was not set.
        new: the value of now, the same.
        consequence: what the engine would do.
    """
    # Whatever the user encrypted is a secret, even under a key that needs none.
    secret = is_config_secret(key)
    if old == "":
        before, remedy = "not set", f"rm {key}"
    elif secret:
        before, remedy = "another", f"set --secret {key}"
    else:
        before, remedy = json.dumps(old), f"set {key} {old if isinstance(old, str) else json.dumps(old)}"
    found = None if secret or new == "" else json.dumps(new)
    return ConfigFault(key, found, f"was {before} before: {consequence}", f"pulumi config {remedy}")


def _report(faults: Sequence[ConfigFault]) -> str:
    listed = "\n\n".join(str(fault) for fault in faults)
    return f"""an installed stack keeps what the config changes here; set it back

{listed}

  A second installation beside this one is another stack: pulumi stack init <name>
  To give this one up with all its data, set back what is listed here, then run one after the other
    pulumi config set {PROJECT}:deletionProtection false
    pulumi up
    pulumi destroy
  after which the stack takes any config.
"""
