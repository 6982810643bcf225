"""The commands of containers that run one of the shell scripts beside this file."""

from __future__ import annotations

from itertools import dropwhile
from pathlib import Path
from typing import TypeVar

Argument = TypeVar("Argument")


def shell_command(script: str, *arguments: Argument) -> list[str | Argument]:
    """Return the command of a container whose shell runs a script that its image does not hold.

    Args:
        script: the file's name without its ending, `wait_for`. The comment at its head is for the file's readers.
        arguments: the script's `$1` and so on.
    """
    lines = Path(__file__).with_name(f"{script}.sh").read_text().splitlines(keepends=True)
    text = "".join(dropwhile(lambda line: line.startswith("#"), lines))
    return ["/bin/sh", "-c", text, script.replace("_", "-"), *arguments]
