"""Why some mutations need no test: `reasons.txt`, a line that names the mutation and an indented reason below."""

from __future__ import annotations

from pathlib import Path

_FILE = Path(__file__).with_name("reasons.txt")


def read_reasons() -> dict[str, str]:
    """Return the reason of each explained mutation by the mutation's key."""
    reasons: dict[str, str] = {}
    key = ""
    for line in _FILE.read_text().splitlines():
        if line.startswith(" "):
            reasons[key] = f"{reasons[key]} {line.strip()}".strip()
        elif line and not line.startswith("#"):
            key = line
            reasons[key] = ""
    return reasons
