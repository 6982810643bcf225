"""What the engine starts in forks runs as Python itself runs it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from local.engine.stack import Engine
from tests.waiting import wait_until

PROGRAM = """\
import os, signal, sys

import beside

print(__name__, sys.argv, os.getcwd(), os.environ["SAID"], sys.stdin.read(), "pulumi_gcp.container" in sys.modules)
print("to the errors", file=sys.stderr)
if sys.argv[1:] == ["wait"]:
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(number))
    print(os.getpid(), flush=True)
    signal.pause()
sys.exit(3)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").touch()
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    return file


def test_a_program_has_its_arguments_environment_folder_files_and_exit_code(engine: Engine, program: Path) -> None:

    done = subprocess.run(
        [engine.python, program, "one", "two"],
        cwd=program.parent,
        env={"SAID": "yes"},
        input="in",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"__main__ {[str(program), 'one', 'two']} {program.parent} yes in True\n"
    assert (done.stderr, done.returncode) == ("to the errors\n", 3)


@contextmanager
def waiting_program(*command: str | Path) -> Generator[tuple[subprocess.Popen[str], psutil.Process]]:
    """What runs the command, and the program that waits in it."""
    with subprocess.Popen(
        [*command, "wait"], env={"SAID": "yes"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as caller:
        assert caller.stdout is not None
        caller.stdout.readline()
        yield caller, psutil.Process(int(caller.stdout.readline()))


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_signal_reaches_the_program(engine: Engine, program: Path, how: signal.Signals, code: int) -> None:
    with waiting_program(engine.python, program) as (launcher, running):
        launcher.send_signal(how)
        assert launcher.wait() == code
        wait_until(lambda: not running.is_running(), "the program has ended")


def test_a_program_ends_with_what_called_it(engine: Engine, program: Path) -> None:
    with waiting_program("sh", "-c", '"$0" "$@" & wait', engine.python, program) as (caller, running):
        caller.kill()
        wait_until(lambda: not running.is_running(), "the program has ended")
