"""A warning where `pulumi up` goes on before a changed StatefulSet has rolled out.

The plug-in takes one for rolled out whose controller has not seen the change yet: up to its release 4.25 it does not
compare `observedGeneration` (pulumi-kubernetes pull request 4094). Without a word, an image that cannot be pulled would
pass for a success.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi


def warns_if_not_awaited(name: str) -> pulumi.ResourceOptions:
    """Return the options of a StatefulSet of which `pulumi up` says when it did not wait for it.

    Args:
        name: Pulumi's name of it, which begins the hook's.
    """

    def look(args: pulumi.ResourceHookArgs) -> None:
        if not was_awaited(args.new_outputs or {}):
            pulumi.log.warn(
                f"StatefulSet {name} is not known to be Ready: the plug-in did not wait until its new pod was. "
                f"See `python -m dragonfly.status --stack {pulumi.get_stack()}`."
            )

    return pulumi.ResourceOptions(
        hooks=pulumi.ResourceHookBinding(after_update=[pulumi.ResourceHook(f"{name}-was-awaited", look)])
    )


def was_awaited(outputs: Mapping[str, Any]) -> bool:
    """Tell whether the controller of a StatefulSet had seen its last change when the plug-in saw it last.

    Args:
        outputs: the StatefulSet's, as the plug-in returned them.
    """
    return outputs["status"].get("observedGeneration") == outputs["metadata"]["generation"]
