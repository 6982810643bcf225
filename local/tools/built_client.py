"""Whether the Rust client can be used: its build takes longer than anybody waits for unasked."""

from __future__ import annotations

from local.tools.building.build import Build
from local.tools.building.tool import ToolchainError
from local.tools.catalog import TOOLS

_CLIENT, _SERVERS = TOOLS["dragonfly-client"], TOOLS["dragonfly"]

LATEST_TAG = _SERVERS.version.removeprefix("v")
"""The release of Dragonfly that runs with it here."""


def why_no_client() -> str | None:
    """Return why not, and what to type; None where it can."""
    try:
        built = Build(_CLIENT).done() and Build(_SERVERS).done()
    except ToolchainError:
        # Nobody can have built it.
        built = False
    return (
        None
        if built
        else f"{_CLIENT.title}, or {_SERVERS.title}, is not built: `make client`, once, about {_CLIENT.minutes} min"
    )
