"""The command that says what runs of a stack, as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from local.engine.stack import LocalStack
from local.machine.paths import PROJECT_FOLDER


@dataclass(frozen=True)
class Status:
    """What it said.

    Attributes:
        code: its exit code.
        out: what it printed.
        errors: what it printed as errors.
        seconds: how long it took.
    """

    code: int
    out: str
    errors: str
    seconds: float

    @property
    def words(self) -> str:
        """What it printed, wherever the lines break."""
        return " ".join(self.out.split())

    def document(self) -> dict[str, Any]:
        """What it printed for programs."""
        return json.loads(self.out)


def status(stack: LocalStack, *arguments: str, **environment: str) -> Status:
    """Run the command.

    Args:
        stack: on which stack.
        arguments: besides.
        environment: variables in the place of the stack's.
    """
    started = time.monotonic()
    done = subprocess.run(
        [stack.engine.python, "-m", "dragonfly.status", "--stack", stack.name, *arguments],
        cwd=PROJECT_FOLDER,
        env={**os.environ, **stack.environment(), "COLUMNS": "100", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Status(done.returncode, done.stdout, done.stderr, time.monotonic() - started)
