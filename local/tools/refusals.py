"""What could not be had from the network, remembered for a day so that nobody waits for it again and again."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ASK_AGAIN_SECONDS = 24 * 60 * 60


@dataclass(frozen=True)
class Refusal:
    """One thing that was asked for.

    Args:
        file: where it is remembered.
        wanted: what was asked for, as JSON: another version is another question.
    """

    file: Path
    wanted: Any

    def is_remembered(self) -> bool:
        """Whether it was refused within the last day."""
        try:
            remembered = json.loads(self.file.read_text())
            same = remembered["wanted"] == self.wanted
            age = time.time() - remembered["time"]
        except (OSError, ValueError, KeyError, TypeError):
            # Not there, cut off, or written by another version: ask.
            return False
        return same and age < _ASK_AGAIN_SECONDS

    def remember(self) -> None:
        """Remember that it was refused just now."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps({"wanted": self.wanted, "time": time.time()}))

    @property
    def remark(self) -> str:
        """When it is asked for again, for the end of a message."""
        return f"asked again after a day, or after `rm {self.file}`"
