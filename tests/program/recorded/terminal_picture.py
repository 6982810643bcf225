"""The picture of `make up` in docs/local-cluster.md, drawn from what a terminal shows: `make picture` draws it anew."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
from fcntl import ioctl
from itertools import groupby
from pathlib import Path
from termios import TIOCSWINSZ

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

from tests.program.recorded.recorded_program import ROOT

PICTURE = ROOT / "docs" / "make-up.svg"
COLUMNS = 130
# All that it prints: nothing scrolls away.
LINES = 160


def terminal_after(command: list[str]) -> pyte.Screen:
    """Run a command in a terminal; return what the terminal shows in the end.

    Raises:
        CalledProcessError: the command failed.
    """
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    while data := _read(ours):
        stream.feed(data)
    if process.wait() != 0:
        sys.stderr.write("\n".join(screen.display).rstrip() + "\n")
        raise subprocess.CalledProcessError(process.returncode, command)
    return screen


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        # Linux ends a terminal that nobody writes to any more with an error.
        return b""


def draw(screen: pyte.Screen, title: str) -> str:
    """Draw a terminal as SVG, in its colours."""
    lines: list[Text] = []
    # What comes before tells of this machine: which tools it has already.
    first = next(row for row, text in enumerate(screen.display) if text.startswith("Kubernetes started"))
    for row in range(first, screen.lines):
        cells = [screen.buffer[row][column] for column in range(screen.columns)]
        line = Text()
        for look, alike in groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
            line.append("".join(cell.data for cell in alike), _style(*look))
        line.rstrip()
        lines.append(line)
    while lines and not lines[-1]:
        lines.pop()
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(*lines, sep="\n", no_wrap=True)
        svg = console.export_svg(title=title, unique_id="terminal")
    # Fonts of the reader's machine: a picture in a repository loads nothing from elsewhere.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def _style(colour: str, bold: bool) -> Style:
    if colour == "default":
        return Style(bold=bold)
    # pyte calls them as its terminal's makers do, and gives those of the large palette as digits.
    named = {"brown": "yellow"}.get(colour, colour.replace("bright", "bright_"))
    return Style(color=named if named.isalpha() or "_" in named else f"#{colour}", bold=bold)


def main() -> None:
    """Draw a first `make up`, on the cluster that this checkout's `make down` has stopped."""
    PICTURE.write_text(draw(terminal_after(["make", "--no-print-directory", "up"]), "make up"))


if __name__ == "__main__":
    main()
