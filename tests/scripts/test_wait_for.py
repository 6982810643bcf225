"""The script by which a container waits for what its program needs, run by a real shell against real sockets."""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from dragonfly.scripts.wait_for import awaited_address, start_when_reachable
from tests.scripts.image_shell import TOOL_SETS, image_shell
from tests.waiting import wait_until, while_busy

LOOPBACK = "127.0.0.1"
# Prints its process id and what it was given, each argument on a line of its own.
SHOW = [sys.executable, "-S", "-c", "import os, sys; print(os.getpid(), *map(repr, sys.argv[1:]), sep='\\n')"]

Start = Callable[..., "subprocess.Popen[str]"]


def _listener(port: int = 0) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((LOOPBACK, port))
    listener.listen()
    return listener


def _address(listener: socket.socket) -> str:
    return f"{LOOPBACK}:{listener.getsockname()[1]}"


@pytest.fixture
def open_port() -> Iterator[socket.socket]:
    with _listener() as listener:
        yield listener


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses, and that nobody else gets meanwhile: it is bound, but does not listen."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((LOOPBACK, 0))
        yield holder.getsockname()[1]


@pytest.fixture(params=TOOL_SETS)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Starts the script with each set of tools that an image may have."""
    with image_shell(request.param, tmp_path / "bin") as shell:

        def run(addresses: Sequence[str], command: Sequence[str]) -> subprocess.Popen[str]:
            return shell.start(start_when_reachable(addresses, command))

        yield run


def _wait_until_waiting(process: subprocess.Popen[str], address: str) -> None:
    assert process.stdout is not None
    # A first try that is not bounded would say nothing for two minutes.
    assert select.select([process.stdout], [], [], 20)[0], "the first try hangs"
    assert process.stdout.readline() == f"waiting for {address}\n"


def test_program_starts_at_once_when_everything_is_reachable(start: Start, open_port: socket.socket) -> None:
    began = time.monotonic()
    with _listener() as other:
        process = start([_address(open_port), _address(other)], ["/bin/echo", "started"])
        out, err = process.communicate(timeout=20)
    assert time.monotonic() - began < while_busy(1)
    assert (out, err, process.returncode) == ("started\n", "", 0)


def test_program_that_needs_nothing_starts_at_once(start: Start) -> None:
    out, _ = start([], ["/bin/echo", "started"]).communicate(timeout=20)
    assert out == "started\n"


def test_host_name_is_resolved(start: Start, open_port: socket.socket) -> None:
    out, _ = start([f"localhost:{open_port.getsockname()[1]}"], ["/bin/echo", "started"]).communicate(timeout=20)
    assert out == "started\n"


def test_program_waits_while_a_port_refuses_and_starts_within_a_second_after_it_opens(
    start: Start, closed_port: int
) -> None:
    address = f"{LOOPBACK}:{closed_port}"
    process = start([address], ["/bin/echo", "started"])
    _wait_until_waiting(process, address)
    time.sleep(0.5)
    assert process.poll() is None
    with _listener(closed_port):
        opened = time.monotonic()
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - opened < while_busy(1)
    # What each try says of its failure would fill the log.
    assert (out, err, process.returncode) == (f"{address} answers\nstarted\n", "", 0)


def test_the_last_line_tells_what_is_waited_for_as_long_as_it_is(start: Start, closed_port: int) -> None:
    address = f"{LOOPBACK}:{closed_port}"
    process = start([address], ["/bin/true"])
    assert process.stdout is not None
    assert awaited_address(process.stdout.readline().rstrip()) == address
    with _listener(closed_port):
        out, _ = process.communicate(timeout=5)
    assert awaited_address(out.splitlines()[-1]) is None


def test_program_waits_for_the_last_address_too(start: Start, open_port: socket.socket, closed_port: int) -> None:
    process = start([_address(open_port), f"{LOOPBACK}:{closed_port}"], ["/bin/echo", "started"])
    _wait_until_waiting(process, f"{LOOPBACK}:{closed_port}")
    assert process.poll() is None


def test_name_that_does_not_resolve_is_waited_for(start: Start) -> None:
    # A Service may be declared after the pod.
    process = start(["nowhere.invalid:1"], ["/bin/echo", "started"])
    _wait_until_waiting(process, "nowhere.invalid:1")
    time.sleep(0.3)
    assert process.poll() is None


def test_try_that_hangs_is_given_up_and_made_again(start: Start) -> None:
    # As with a Service without endpoints, where packets are dropped: a full queue answers nothing.
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        process = start([_address(listener)], ["/bin/echo", "started"])
        _wait_until_waiting(process, _address(listener))
        listener.listen(16)
        emptied = time.monotonic()
        while process.poll() is None:
            assert time.monotonic() - emptied < 4, "a try hangs without end"
            listener.settimeout(0.1)
            try:
                stack.enter_context(listener.accept()[0])
            except TimeoutError:
                continue
        assert process.communicate()[0] == f"{_address(listener)} answers\nstarted\n"


def test_arguments_arrive_as_they_were_given(start: Start, open_port: socket.socket) -> None:
    arguments = [
        "",
        "two  words",
        "'single'",
        '"double"',
        "$HOME",
        "$(id)",
        "`id`",
        "a\\nb",
        "*",
        "--",
        "line\nend",
        "é",
    ]
    out, err = start([_address(open_port)], [*SHOW, *arguments]).communicate(timeout=20)
    assert err == ""
    assert out.splitlines()[1:] == [repr(argument) for argument in arguments]


def test_program_takes_the_place_of_the_shell(start: Start, open_port: socket.socket) -> None:
    # As the container's first process it gets the signals of kubelet.
    process = start([_address(open_port)], SHOW)
    out, _ = process.communicate(timeout=20)
    assert out.splitlines()[0] == str(process.pid)


def test_exit_code_is_that_of_the_program(start: Start, open_port: socket.socket) -> None:
    process = start([_address(open_port)], ["/bin/sh", "-c", "exit 7"])
    process.communicate(timeout=20)
    assert process.returncode == 7


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_waiting_ends_soon_after_a_signal(start: Start, closed_port: int, sent: signal.Signals) -> None:
    address = f"{LOOPBACK}:{closed_port}"
    process = start([address], ["/bin/echo", "started"])
    _wait_until_waiting(process, address)
    signalled = time.monotonic()
    process.send_signal(sent)
    out, _ = process.communicate(timeout=20)
    assert time.monotonic() - signalled < while_busy(2)
    assert (out, process.returncode) == ("", 143)


def test_signal_ends_the_program_itself_once_it_runs(start: Start, open_port: socket.socket) -> None:
    process = start([_address(open_port)], ["/bin/sh", "-c", "echo running; exec sleep 30"])
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM


def test_nothing_is_left_running_after_a_signal(start: Start, closed_port: int) -> None:
    address = f"{LOOPBACK}:{closed_port}"
    process = start([address], ["/bin/echo", "started"])
    _wait_until_waiting(process, address)
    process.terminate()
    process.communicate(timeout=20)
    wait_until(lambda: not _processes_of_session(process.pid), "nothing is left", 2)


def _processes_of_session(session: int) -> list[str]:
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The session is the fourth field after the command, which stands in brackets.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(entry.name)
    return found
