"""Shells with the tools that a component's image may have, for scripts that run inside containers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_NO_BUSYBOX = shutil.which("busybox") is None
TOOL_SETS = [
    # Debian's images: bash opens connections.
    "bash",
    # A shell without bash in reach takes the other way.
    "nc",
    # Alpine's images: the shell and every tool are busybox. Debian's has no `nc -z`.
    pytest.param("busybox", marks=pytest.mark.skipif(_NO_BUSYBOX, reason="needs busybox: `make test-packages`")),
]
_TOOLS = ("timeout", "sleep", "cat", "head")

# `nc -z HOST PORT` and `nc HOST PORT` for machines that have none.
# As busybox's does, it closes its half of the connection at the end of its input.
_NC = f"""\
#!{sys.executable} -S
import os, select, socket, sys
connection = socket.create_connection((sys.argv[-2], int(sys.argv[-1])))
sources = [connection, 0] if sys.argv[1] != "-z" else []
while connection in sources:
    for source in select.select(sources, [], [])[0]:
        data = os.read(0, 4096) if source == 0 else connection.recv(4096)
        if not data:
            sources.remove(source)
        if source == 0:
            connection.sendall(data) if data else connection.shutdown(socket.SHUT_WR)
        elif data:
            os.write(1, data)
"""


@dataclass
class ImageShell:
    """Starts a container's command as an image with these tools would.

    Attributes:
        shell: what stands in for the image's /bin/sh.
        path: folder with all the tools that the image has.
    """

    shell: list[str]
    path: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list["subprocess.Popen[str]"])

    def start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        """Starts a command that begins with /bin/sh; both of its outputs are piped."""
        declared, *arguments = command
        assert declared == "/bin/sh"
        process = subprocess.Popen(
            [*self.shell, *arguments],
            env={"PATH": str(self.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process


@contextmanager
def image_shell(tool_set: str, folder: Path) -> Generator[ImageShell]:
    """One of TOOL_SETS in a folder; what it started is ended at last."""
    folder.mkdir()
    busybox = str(shutil.which("busybox"))
    shell = [busybox, "sh"] if tool_set == "busybox" else ["/bin/sh"]
    found: dict[str, str] = {"sh": shell[0]}
    for tool in _TOOLS:
        found[tool] = busybox if tool_set == "busybox" else str(shutil.which(tool))
    if tool_set == "bash":
        found["bash"] = str(shutil.which("bash"))
    else:
        (folder / "nc").write_text(_NC)
        (folder / "nc").chmod(0o755)
    for tool, path in found.items():
        (folder / tool).symlink_to(path)
    made = ImageShell(shell, folder)
    yield made
    for process in made.started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=5)
