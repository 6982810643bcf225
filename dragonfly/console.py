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
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

from kubernetes.client import ApiClient

from dragonfly.access.client import KubeconfigError, connect
from dragonfly.access.objects import Cluster, NoClusterError
from dragonfly.access.port_forward import PodUnreachableError, forwarded
from dragonfly.parts import ports
from dragonfly.parts.console import CONSOLE_USER, password_command
from dragonfly.parts.labels import Component, selector
from dragonfly.settings.model import Settings
from dragonfly.settings.report import SettingsError
from dragonfly.status.stack import StackUnreadableError, read_stack

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
            except (NoClusterError, PodUnreachableError) as error:
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


def _to_manager(cluster: Cluster, client: ApiClient, settings: Settings) -> AbstractContextManager[socket.socket]:
    """Open a connection to a manager that runs.

    Raises:
        NoClusterError: there is none, or the cluster does not say.
        PodUnreachableError: no way leads there.
    """
    labels = selector(settings.app_instance_name, Component.MANAGER)
    running = [
        pod["metadata"]["name"]
        for pod in cluster.pods(labels)
        if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
    ]
    if not running:
        raise NoClusterError(f"no pod of {settings.names.manager} runs; `python -m dragonfly.status` tells why")
    return forwarded(client, settings.namespace, running[0], ports.MANAGER_REST, _OPENING_SECONDS)


def main(arguments: list[str]) -> int:
    """Run the command line; return the process' exit code."""
    parser = argparse.ArgumentParser(prog="python -m dragonfly.console", description=__doc__)
    parser.add_argument("--stack", required=True, help="name of the stack")
    parser.add_argument(
        "--port", type=int, default=ports.MANAGER_REST, help=f"of this machine, {ports.MANAGER_REST} unless given"
    )
    parser.add_argument("--no-browser", action="store_true", help="only say where it is")
    options = parser.parse_args(arguments)
    try:
        stack = read_stack(options.stack, "pulumi", Path(__file__).resolve().parents[1])
        client = connect(stack.kubeconfig, stack.context)
        cluster = Cluster(client, stack.settings.namespace, stack.secrets)
        # What stands in the way is told before a browser meets it.
        with _to_manager(cluster, client, stack.settings):
            pass
    except (KubeconfigError, NoClusterError, PodUnreachableError, SettingsError, StackUnreadableError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    try:
        server = serve(
            options.port, lambda: _to_manager(cluster, client, stack.settings), lambda why: print(why, file=sys.stderr)
        )
    except OSError as error:
        sys.stderr.write(f"port {options.port} cannot be had ({error.strerror}); --port names another\n")
        return 1
    with server:
        url = f"http://localhost:{cast('tuple[Any, int]', server.server_address)[1]}"
        print(
            f"Console: {url}, user {CONSOLE_USER}; its password:\n  {password_command(options.stack)}\nCtrl-C ends.",
            flush=True,
        )
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            if not options.no_browser:
                # One that runs in this terminal keeps it until it ends.
                webbrowser.open(url)
            serving.join()
        except KeyboardInterrupt:
            print()
        server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
