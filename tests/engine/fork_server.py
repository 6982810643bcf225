"""Python programs run in forks of a process that has loaded the SDKs: that is most of what they take otherwise.

`fork_server` yields an executable that is called as Python is. It hands its arguments, environment, folder and files
to the process, whose fork runs the program, and ends as that does. The program's own modules are read anew each time.
"""

from __future__ import annotations

import array
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from tests.waiting import wait_until

_ROOT = Path(__file__).resolve().parents[2]
_OURS = ("dragonfly", "local")
# What the engine calls Python for: the program, the stand-in plug-ins, and `pip list` of the language host.
_LOADED = ("dragonfly", "local.standins.plugins", "pip._internal.commands.list")
_LAUNCHER = Path(__file__).with_name("fork_launcher.py")


@contextmanager
def fork_server(folder: Path) -> Generator[Path]:
    """Run the process; yield the executable.

    Args:
        folder: where the executable goes.
    """
    launcher = folder / "python"
    address = folder / "python.socket"
    command = [sys.executable, "-u", "-m", __name__, str(address)]
    # It ends when its input does: also with a test runner that is killed.
    # A Ctrl-C is the test runner's, which ends its stacks before.
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, start_new_session=True) as server:
        try:
            # Without the site's packages it starts in a fifth of the time.
            launcher.write_text(f"#!{sys.executable} -IS\n{_LAUNCHER.read_text()}")
            launcher.chmod(0o755)
            wait_until(lambda: address.exists() or server.poll() is not None, "the fork server listens")
            assert server.poll() is None, "the fork server cannot start; its reason stands above"
            yield launcher
        finally:
            assert server.stdin is not None
            server.stdin.close()
            server.wait()


@dataclass(frozen=True)
class _Request:
    """What is to run.

    Attributes:
        arguments: of Python.
        environment: its variables.
        folder: the working directory.
        files: the descriptors of its standard input, output and error.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    files: Sequence[int] = field(default_factory=list[int])

    def become(self) -> None:
        """Run it in this process, as the interpreter would."""
        for number, file in enumerate(self.files):
            os.dup2(file, number)
            os.close(file)
        os.environ.clear()
        os.environ.update(self.environment)
        os.chdir(self.folder)
        sys.path[1:1] = filter(None, self.environment.get("PYTHONPATH", "").split(os.pathsep))
        script, *_ = self.arguments
        if script == "-m":
            sys.argv = [*self.arguments[1:]]
            sys.path[0] = self.folder
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = [*self.arguments]
            sys.path[0] = str(Path(script).resolve().parent)
            runpy.run_path(script, run_name="__main__")


def _load() -> None:
    for name in _LOADED:
        module = importlib.import_module(name)
        for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        for used in vars(sys.modules.pop(name)).values():
            if isinstance(used, ModuleType):
                # The SDKs' modules load when something is asked of them.
                getattr(used, "__all__", None)
    gc.collect()
    gc.freeze()


def _serve(address: str) -> _Request:
    """Fork for each request until the input ends; return, in the fork, what it is to run."""
    children: dict[int, tuple[int, socket.socket]] = {}
    with selectors.DefaultSelector() as selector, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{address}.new")
        listener.listen(64)
        Path(f"{address}.new").rename(address)
        selector.register(listener, selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    if (request := _received(connection)) is None:
                        connection.close()
                        continue
                    if (child := os.fork()) == 0:
                        selector.close()
                        return request
                    for file in request.files:
                        os.close(file)
                    ended = os.pidfd_open(child)
                    children[child] = (ended, connection)
                    selector.register(ended, selectors.EVENT_READ, child)
                    selector.register(connection, selectors.EVENT_READ, child)
                elif key.fileobj == 0:
                    for child in children:
                        os.kill(child, signal.SIGKILL)
                    os._exit(0)
                elif key.data not in children:
                    # It ended in the same moment.
                    continue
                elif isinstance(key.fileobj, socket.socket):
                    # A signal for the program; none where the launcher was killed.
                    number = key.fileobj.recv(1)
                    os.kill(key.data, number[0] if number else signal.SIGKILL)
                    if not number:
                        selector.unregister(key.fileobj)
                else:
                    _, status = os.waitpid(key.data, 0)
                    ended, connection = children.pop(key.data)
                    selector.unregister(ended)
                    os.close(ended)
                    with suppress(KeyError):
                        selector.unregister(connection)
                    with suppress(OSError):
                        connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
                    connection.close()


def _received(connection: socket.socket) -> _Request | None:
    """Return what a launcher sends; None where it was killed meanwhile."""
    files = array.array("i")
    text = b""
    while not text.endswith(b"\n"):
        part, ancillary, _, _ = connection.recvmsg(1 << 16, socket.CMSG_SPACE(3 * files.itemsize))
        if not part:
            return None
        text += part
        for _, _, data in ancillary:
            files.frombytes(data)
    return _Request(**json.loads(text), files=files.tolist())


if __name__ == "__main__":
    _load()
    _serve(sys.argv[1]).become()
