"""A record of the namespace that a stack has made, so that it is not deleted while its databases are in it."""

from __future__ import annotations

import pulumi

from dragonfly.settings.fault import PROJECT, ConfigFault
from dragonfly.updates.refused_change import Inputs, refused_change, refuses

_NAME = "name"


class CreatedNamespace(pulumi.ComponentResource):
    """The name of the namespace that the stack has made, which it must go on declaring."""

    def __init__(self, name: str, namespace: pulumi.Output[str] | None, opts: pulumi.ResourceOptions) -> None:
        """Record the name.

        Args:
            name: Pulumi's name of the record.
            namespace: the namespace's, once it exists. Not the config's: where it was there already, making it fails,
                and the config must be able to say so. None where the stack makes none.
            opts: the parent.
        """
        opts = pulumi.ResourceOptions.merge(opts, refuses(f"keeps-{name}", given_up_namespace))
        super().__init__(
            "dragonfly:created_namespace:CreatedNamespace", name, {_NAME: "" if namespace is None else namespace}, opts
        )
        self.register_outputs({})


def given_up_namespace(old: Inputs, new: Inputs) -> list[ConfigFault]:
    """Return the fault of a stack that no longer makes the namespace which it has made.

    Args:
        old: the record of before.
        new: the one of now.
    """
    if not old[_NAME] or new[_NAME]:
        return []
    consequence = f"namespace {old[_NAME]} would be deleted with everything in it, the databases too"
    return [refused_change(f"{PROJECT}:createNamespace", True, False, consequence)]
