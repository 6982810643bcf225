"""Why some mutations need no test: `reasons.txt`, a line that names the mutation and an indented reason below.

Mutations that are named one after the other share the reason below them; an empty line ends it.
"""

from __future__ import annotations

from pathlib import Path

_FILE = Path(__file__).with_name("reasons.txt")


def read_reasons() -> dict[str, str]:
    """Return the reason of each explained mutation by the mutation's key."""
    return reasons_of(_FILE.read_text())


def reasons_of(text: str) -> dict[str, str]:
    """Return the reasons that a text gives, by the mutations' keys."""
    reasons: dict[str, str] = {}
    keys: list[str] = []
    for line in text.splitlines():
        if line.startswith(" "):
            for key in keys:
                reasons[key] = f"{reasons[key]} {line.strip()}".strip()
        elif not line:
            keys = []
        elif not line.startswith("#"):
            keys.append(line)
            reasons[line] = ""
    return reasons
