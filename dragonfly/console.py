"""Opens the manager's console: `.venv/bin/python -m dragonfly.console --stack NAME`, until Ctrl-C.

What a browser sends to this machine's loopback address goes through the API server to the manager's pod, whichever runs
when a connection is opened. Neither kubectl nor a kubeconfig in a file is needed.
"""

from __future__ import annotations

import argparse
import select
import socket
import socketserver
import sys
import threading
import webbrowser
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import cast

from kubernetes.client import ApiClient

from dragonfly.access.client import KubeconfigError, connect
from dragonfly.access.objects import Cluster, NoClusterError
from dragonfly.access.port_forward import PodUnreachableError, forwarded
from dragonfly.parts import ports
from dragonfly.parts.console import CONSOLE_USER, password_command
from dragonfly.parts.labels import Component, selector
from dragonfly.settings.report import SettingsError
from dragonfly.status.pod_reasons import is_ready
from dragonfly.status.stack import Stack, StackUnreadableError, read_stack

_LOOPBACK = "127.0.0.1"
_OPENING_SECONDS = 10.0
_CHUNK_BYTES = 65536

Way = Callable[[], AbstractContextManager[socket.socket]]
"""Opens a connection to the manager."""


def serve(port: int, way: Way, told: Callable[[str], None]) -> socketserver.ThreadingTCPServer:
    """Return a server that passes on every connection to a port of this machine, once somebody runs it.

    Args:
        port: of the loopback address; 0 for any that is free.
        way: opens the other end of each.
        told: is told why a connection could not be passed on.

    Raises:
        OSError: the port is taken.
    """

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                with way() as far:
                    _pass_on(self.request, far)
            except (KubeconfigError, NoClusterError, PodUnreachableError) as error:
                told(str(error))
            except OSError:
                # Whoever asked went away.
                return

    # A connection that is open must not keep the command from ending.
    server = socketserver.ThreadingTCPServer((_LOOPBACK, port), Handler, bind_and_activate=False)
    server.daemon_threads = True
    server.allow_reuse_address = True
    try:
        server.server_bind()
        server.server_activate()
    except OSError:
        server.server_close()
        raise
    return server


def _pass_on(near: socket.socket, far: socket.socket) -> None:
    others = {near: far, far: near}
    while True:
        for end in select.select(list(others), [], [])[0]:
            data = end.recv(_CHUNK_BYTES)
            if not data:
                return
            others[end].sendall(data)


class ManagerWay:
    """The way to a manager that is Ready, by credentials that are renewed when they no longer do."""

    def __init__(self, stack: Stack) -> None:
        """Take a stack; nothing is asked yet."""
        self._stack = stack
        self._client: ApiClient | None = None

    @contextmanager
    def open(self) -> Generator[socket.socket]:
        """Open a connection.

        Raises:
            KubeconfigError: there is no credential.
            NoClusterError: there is no such manager, or the cluster does not say.
            PodUnreachableError: no way leads there.
        """
        with ExitStack() as opened:
            try:
                way = opened.enter_context(self._open())
            except (NoClusterError, PodUnreachableError):
                if self._client is None:
                    raise
                # Tokens end after an hour, and a client keeps the one that it began with.
                self._client = None
                way = opened.enter_context(self._open())
            yield way

    def _open(self) -> AbstractContextManager[socket.socket]:
        settings, stack = self._stack.settings, self._stack
        client = self._client or connect(stack.kubeconfig, stack.context)
        cluster = Cluster(client, settings.namespace, stack.secrets)
        pods = cluster.pods(selector(settings.app_instance_name, Component.MANAGER))
        ready = [
            pod["metadata"]["name"] for pod in pods if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]
        ]
        if not ready:
            why = f".venv/bin/python -m dragonfly.status --stack {stack.name}"
            raise NoClusterError(f"no pod of {settings.names.manager} is Ready; to see why: {why}")
        way = forwarded(client, settings.namespace, ready[0], ports.MANAGER_REST, _OPENING_SECONDS)
        self._client = client
        return way


def _port(text: str) -> int:
    if not text.isdigit() or int(text) not in range(65536):
        raise argparse.ArgumentTypeError(f"{text} is no port, 1 to 65535")
    return int(text)


def main(arguments: list[str]) -> int:
    """Run the command line; return the process' exit code."""
    parser = argparse.ArgumentParser(prog="python -m dragonfly.console", description=__doc__)
    parser.add_argument("--stack", required=True, help="name of the stack")
    parser.add_argument(
        "--port", type=_port, default=ports.MANAGER_REST, help=f"of this machine, {ports.MANAGER_REST} unless given"
    )
    parser.add_argument("--no-browser", action="store_true", help="only say where it is")
    options = parser.parse_args(arguments)
    try:
        return _open_console(options.stack, options.port, browser=not options.no_browser)
    except KeyboardInterrupt:
        print()
        return 0


def _open_console(stack_name: str, port: int, *, browser: bool) -> int:
    try:
        manager = ManagerWay(read_stack(stack_name, "pulumi", Path(__file__).resolve().parents[1]))
        # What stands in the way is told before a browser meets it.
        with manager.open():
            pass
    except (KubeconfigError, NoClusterError, PodUnreachableError, SettingsError, StackUnreadableError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    try:
        server = serve(port, manager.open, lambda why: print(why, file=sys.stderr))
    except OSError as error:
        sys.stderr.write(f"port {port} cannot be had ({error.strerror}); --port names another\n")
        return 1
    with server:
        url = f"http://localhost:{cast('tuple[str, int]', server.server_address)[1]}"
        print(
            f"Console: {url}, user {CONSOLE_USER}; its password:\n  {password_command(stack_name)}\nCtrl-C ends.",
            flush=True,
        )
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        if browser:
            # One that runs in this terminal keeps it until it ends.
            webbrowser.open(url)
        serving.join()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
