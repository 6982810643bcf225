"""Dragonfly on this machine: `python -m local COMMAND`. The Makefile's targets call it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from rich.console import Console

from dragonfly import recovery
from local import toolchain
from local.bench import bench
from local.cluster import Cluster, ClusterError
from local.processes import ProcessError
from local.stack import PROJECT_FOLDER, Engine, LocalStack, StackError
from local.toolchain import ToolchainError

STATE = PROJECT_FOLDER / ".local"
STACK = "local"
READY_TIMEOUT_SECONDS = 45
"""Pods on the local nodes are Ready within seconds or never; `pulumi up` then ends with the reason within a minute."""


def main(arguments: list[str]) -> int:
    """Runs one command; returns the process' exit code."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("command", choices=sorted(_COMMANDS))
    parser.add_argument("--machine-type", default="e2-standard-4", help="GKE machine type of the nodes")
    parser.add_argument("--nodes", type=int, default=3, help="number of nodes")
    options = parser.parse_args(arguments)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    started = time.monotonic()
    try:
        session = _Session(console, options.machine_type, options.nodes)
        _COMMANDS[options.command](session)
    except KeyboardInterrupt:
        console.print("interrupted; run the same command again to go on")
        return 130
    except StackError as error:
        console.print(f"[red]{error}[/] after {time.monotonic() - started:.0f} s", markup=True)
        return error.exit_code
    except (ClusterError, ProcessError, ToolchainError, ValueError) as error:
        console.print(f"error: {error}", markup=False)
        return 1
    return 0


class _Session:
    """What every command needs."""

    def __init__(self, console: Console, machine_type: str, nodes: int) -> None:
        self.console = console
        self.tools = toolchain.provide((*toolchain.ENGINE_TOOLS, *toolchain.CLUSTER_TOOLS), console)
        self.cluster = Cluster(STATE / "cluster", machine_type, nodes, self.tools)
        self._stack: LocalStack | None = None

    @property
    def stack(self) -> LocalStack:
        if self._stack is None:
            engine = Engine.provide(STATE, self.console, self.tools)
            config = {"dragonfly:readyTimeoutSeconds": READY_TIMEOUT_SECONDS}
            self._stack = LocalStack(engine, STACK, self.cluster.kubeconfig, config)
        return self._stack

    def start_cluster(self) -> None:
        started = time.monotonic()
        if self.cluster.start():
            self.console.print(f"Kubernetes started in {time.monotonic() - started:.1f} s: {self.cluster.url}")
        else:
            self.console.print(f"Kubernetes runs: {self.cluster.url}")

    def prepare(self) -> LocalStack:
        stack = self.stack
        self.start_cluster()
        stack.prepare()
        return stack


def _up(session: _Session) -> None:
    started = time.monotonic()
    stack = session.prepare()
    stack.run("up", "--yes", "--skip-preview")
    changes = stack.last_changes()
    unchanged = set(changes) <= {"same"}
    count = sum(changes.values())
    session.console.print(
        f"Nothing changed: all {count} resources are as the program says."
        if unchanged
        else f"Every workload is Ready, {time.monotonic() - started:.0f} s after `make up`."
    )
    session.console.print(
        "\nNext:\n"
        '  eval "$(make -s env)"       then pulumi and kubectl work on this stack and cluster\n'
        "  kubectl get pods            what runs\n"
        "  make preview                what a change of the program or its config would do\n"
        "  make down                   destroy the stack and stop the cluster",
        markup=False,
    )


def _preview(session: _Session) -> None:
    session.prepare().run("preview")


def _recover(session: _Session) -> None:
    stack = session.prepare()
    recovery.recover(stack.name, str(stack.engine.tools["pulumi"]), stack.environment(), stack.engine.project)


def _down(session: _Session) -> None:
    if not session.cluster.kubeconfig.exists():
        session.console.print("Nothing runs here.")
        return
    stack = session.stack
    if stack.has_resources():
        session.start_cluster()
        stack.run("destroy", "--yes", "--skip-preview")
    session.cluster.stop(remove=True)
    session.console.print("Kubernetes stopped; nothing is left running.")


def _env(session: _Session) -> None:
    stack = session.stack
    stack.prepare()
    sys.stdout.write(stack.shell_exports() + "\n")


def _bench(session: _Session) -> None:
    bench(session.stack, session.tools, session.console)


_COMMANDS: dict[str, Callable[[_Session], None]] = {
    "up": _up,
    "preview": _preview,
    "recover": _recover,
    "down": _down,
    "env": _env,
    "bench": _bench,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
