"""A hook without an engine at which it is registered, in the place of `pulumi.ResourceHook` and `pulumi.ErrorHook`."""

from __future__ import annotations

from typing import Any

import pulumi


class Hook:
    """What the engine would call."""

    def __init__(self, name: str, call: Any, opts: pulumi.ResourceHookOptions | None = None) -> None:
        self.name, self.call, self.in_preview = name, call, opts is not None and opts.on_dry_run
