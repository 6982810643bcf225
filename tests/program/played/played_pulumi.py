"""A `pulumi` that notes what it is asked and answers from files: for commands that only hand things to the CLI."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

_PROGRAM = """\
import itertools, json, os, sys
from pathlib import Path
folder = Path(__file__).parent
asked = {"arguments": sys.argv[1:], "folder": os.getcwd(), "given": sys.stdin.read() if "import" in sys.argv else None}
with (folder / "asked").open("a") as notes:
    notes.write(json.dumps(asked) + "\\n")
command = " ".join(itertools.takewhile(lambda word: word[0] != "-", sys.argv[1:]))
answer = json.loads((folder / "answers").read_text()).get(command, {})
sys.stderr.write(answer.get("errors", ""))
sys.stdout.write(answer.get("out", ""))
sys.exit(answer.get("code", 0))
"""


class PlayedPulumi:
    """The CLI that is first on PATH, for as long as a test runs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        program = folder / "pulumi"
        program.write_text(f"#!{sys.executable} -I\n{_PROGRAM}")
        program.chmod(0o700)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        self.answer({})

    def answer(self, answers: dict[str, dict[str, Any]]) -> None:
        """Set what it answers: by command `out`, `errors` and exit `code`."""
        (self._folder / "answers").write_text(json.dumps(answers))

    @property
    def asked(self) -> list[dict[str, Any]]:
        """What it was asked, one after the other: `arguments`, in which `folder`, and what it was `given` to import."""
        return [json.loads(line) for line in (self._folder / "asked").read_text().splitlines()]
