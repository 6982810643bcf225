"""The commands of `python -m local`, on one stack and the cluster of this checkout."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from rich.console import Console

from dragonfly.lines.known_lines import line_fault, line_of
from dragonfly.recovery import RecoveryError
from local.api.kubeconfig import connect
from local.cluster.control_plane import NODE_KINDS, Cluster, ClusterError, started_kind
from local.engine.stack import DEFAULT_STACK, Engine, LocalStack, StackError, ledgers, make_arguments
from local.images.archive import provide_archives
from local.images.catalog import configured_names, default_tag
from local.images.debian_root import DebianRootError
from local.machine.paths import PROJECT_FOLDER
from local.machine.processes import ProcessError
from local.nodes.containers.container_nodes import ContainerNodes
from local.nodes.image_supply import what_is_missing
from local.nodes.kwok import KwokNodes
from local.nodes.objects import node_name
from local.nodes.pod_readiness import PodsNotReadyError, wait_for_pods
from local.standins.cloud.clusters import Clusters
from local.tools import toolchain
from local.tools.building.tool import ToolchainError
from local.tools.catalog import ENGINE_TOOLS

STATE = PROJECT_FOLDER / ".local"
_CLUSTER = "cluster"
CLOUD_PROJECT = "played-on-this-machine"
"""Project of the stand-in cloud."""

READY_TIMEOUT_SECONDS = {KwokNodes.name: 25, ContainerNodes.name: 120}
"""Pods on kwok's nodes are Ready within seconds or never; `pulumi up` then ends with the reason within a minute. Where
containers run, a database makes its files and a small machine has everything to do at once."""

_COUNTS = {KwokNodes.name: 3, ContainerNodes.name: 2}
"""Nodes at first. With containers, each has its peer and its daemons on the same few processors, and two are enough to
see images go from node to node."""


def main(arguments: list[str], command: Callable[[Session], None] | None = None, prog: str = "python -m local") -> int:
    """Run one command; return the process' exit code.

    Args:
        arguments: its options, after its name.
        command: one that is not named in the arguments.
        prog: what the process is called.
    """
    parser = argparse.ArgumentParser(prog=prog)
    if command is None:
        parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("--stack", default=DEFAULT_STACK, help="name of the stack; Pulumi.<name>.yaml is its config")
    parser.add_argument("--machine-type", help="GKE machine type of the nodes, e2-standard-4 at first")
    parser.add_argument("--nodes", choices=sorted(NODE_KINDS), help="kind of the nodes, kwok at first")
    parser.add_argument("--node-count", type=int, help="number of nodes, at first 3 of kwok's and 2 with containers")
    options = parser.parse_args(arguments)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    started = time.monotonic()
    try:
        nodes = Nodes.remembered(STATE)
        name = None if command else options.command
        if name == "down":
            nodes = nodes.with_changes(None, started_kind(STATE / _CLUSTER), None)
        else:
            nodes = nodes.with_changes(options.machine_type, options.nodes, options.node_count)
        session = Session(console, options.stack, nodes, starts=name != "stop")
        (command or COMMANDS[options.command])(session)
    except KeyboardInterrupt:
        console.print("interrupted; run the same command again to go on")
        return 130
    except StackError as error:
        console.print(f"[red]{error}[/] after {time.monotonic() - started:.0f} s", markup=True)
        return error.exit_code
    except (
        ClusterError,
        DebianRootError,
        PodsNotReadyError,
        ProcessError,
        RecoveryError,
        ToolchainError,
        ValueError,
    ) as error:
        console.print(f"error: {error}", markup=False)
        return 1
    return 0


@dataclass(frozen=True)
class Nodes:
    """Kind, size and number of the local nodes, which stay until `make up` is told otherwise or `make down` is done."""

    machine_type: str = "e2-standard-4"
    count: int = 3
    kind: str = KwokNodes.name

    @classmethod
    def remembered(cls, state: Path) -> Nodes:
        """Those of the last start, or the default."""
        file = state / "nodes.json"
        return cls(**json.loads(file.read_text())) if file.exists() else cls()

    def with_changes(self, machine_type: str | None, kind: str | None, count: int | None) -> Nodes:
        """Return the same with what the command line says otherwise; another kind starts with its own number."""
        kind = kind or self.kind
        usual = self.count if kind == self.kind else _COUNTS[kind]
        return Nodes(machine_type or self.machine_type, usual if count is None else count, kind)

    def remember(self, state: Path) -> None:
        """Keep them for the next command."""
        (state / "nodes.json").write_text(json.dumps(asdict(self)))

    @staticmethod
    def forget(state: Path) -> None:
        """Forget them: the next start is like the first."""
        (state / "nodes.json").unlink(missing_ok=True)


class Session:
    """What every command needs.

    Attributes:
        console: where progress goes.
        nodes: kind, size and number of the local nodes.
        in_cloud: whether the stack makes a cluster of its own, in the stand-in cloud, instead of using the local one.
        tools: binaries by name.
        cluster: of this checkout.
        stack_name: of the stack.
        cluster_is_new: whether it had no data when it was started.
        restarted_at: when the nodes of a cluster that had data were started again.
    """

    def __init__(self, console: Console, stack: str, nodes: Nodes, *, starts: bool) -> None:
        self.console = console
        self.nodes = nodes
        self.in_cloud = _provisions_cluster(stack)
        if self.in_cloud:
            console.print("Google Cloud is played on this machine: nothing real is made, and nothing is billed.")
        if starts and not self.in_cloud:
            # Before minutes are spent on building what then cannot be used.
            self._cluster(nodes, None).check()
        kinds = NODE_KINDS[KwokNodes.name if self.in_cloud else nodes.kind]
        self.tools = toolchain.provide((*ENGINE_TOOLS, *kinds.tools), console)
        self.cluster = self._cluster(nodes, self.tools)
        self.stack_name = stack
        self.cluster_is_new = False
        self.restarted_at: datetime.datetime | None = None
        self._stack: LocalStack | None = None

    @staticmethod
    def _cluster(nodes: Nodes, tools: Mapping[str, Path] | None) -> Cluster:
        return Cluster(STATE / _CLUSTER, nodes.machine_type, nodes.count, tools, node_kind=nodes.kind)

    @property
    def stack(self) -> LocalStack:
        """The stack, with its engine."""
        if self._stack is None:
            engine = Engine.provide(STATE, self.console, self.tools)
            config: dict[str, Any] = {"dragonfly:readyTimeoutSeconds": READY_TIMEOUT_SECONDS[self.nodes.kind]}
            kubeconfig = self.cluster.kubeconfig
            if self.in_cloud:
                config["gcp:project"], kubeconfig = CLOUD_PROJECT, None
            self._stack = LocalStack(engine, self.stack_name, kubeconfig, config)
        return self._stack

    def start_cluster(self) -> None:
        """Start the cluster, unless it runs; of a stack that makes its own, those that should run."""
        if self.in_cloud:
            for cluster_id in Clusters(self.stack.ledger).resume():
                self.console.print(f"started again: {cluster_id}")
            return
        started = time.monotonic()
        self.cluster_is_new = not self.cluster.has_data()
        now = datetime.datetime.now(datetime.UTC)
        if self.cluster.start():
            self.restarted_at = None if self.cluster_is_new else now
            self.console.print(f"Kubernetes started in {time.monotonic() - started:.1f} s: {self.cluster.url}")
        else:
            self.console.print(f"Kubernetes runs: {self.cluster.url}")
        self.nodes.remember(STATE)

    def prepare(self) -> LocalStack:
        """Start the cluster and return the stack, which is made unless it exists."""
        stack = self.stack
        self.start_cluster()
        stack.prepare()
        return stack

    def tell_missing_images(self) -> None:
        """Tell of images that the nodes lack, before pods wait for them until `readyTimeoutSeconds` are over."""
        if self.in_cloud or self.nodes.kind != ContainerNodes.name:
            return
        config = self.stack.project_config()
        self.give_images_of(str(config.get("tag", default_tag())))
        wanted = configured_names(config)
        missing = what_is_missing(self.cluster, map(node_name, range(self.nodes.count)), wanted)
        if missing:
            self.console.print(missing, markup=False)

    def give_images_of(self, tag: str) -> None:
        """Give running nodes the images of a release line that they were not started with."""
        if line_fault(tag) is None and line_of(tag) is not line_of(default_tag()):
            self.cluster.give_images(provide_archives(self.console, tag))

    def wait_after_restart(self) -> bool:
        """Wait for pods whose containers have been started again; the engine looks only at what it changes.

        Returns:
            Whether there were any. Played ones are not started.
        """
        if self.restarted_at is None or self.nodes.kind != ContainerNodes.name:
            return False
        namespace = self.stack.output("stack", "output", "namespace").strip()
        with connect(self.cluster.kubeconfig) as client:
            wait_for_pods(client, namespace, self.restarted_at, READY_TIMEOUT_SECONDS[self.nodes.kind], self.console)
        return True

    def refresh(self) -> list[str]:
        """Return the option that compares the state with the cluster first, where that is not the one it knew."""
        return ["--refresh"] if self.cluster_is_new and self.stack.has_resources() else []


def _up(session: Session) -> None:
    started = time.monotonic()
    stack = session.prepare()
    session.tell_missing_images()
    with _told_why_not(session):
        stack.run("up", "--yes", "--skip-preview", *session.refresh())
        restarted = session.wait_after_restart()
    if session.in_cloud:
        stack.write_kubeconfig()
    changes = stack.last_changes()
    unchanged = set(changes) <= {"same"}
    count = sum(changes.values())
    if unchanged:
        session.console.print(f"Nothing changed: all {count} resources are as the program says.")
    if restarted:
        session.console.print("The nodes were started again, and all containers with them.")
    if restarted or not unchanged:
        session.console.print(f"Every workload is Ready, {time.monotonic() - started:.0f} s after `make up`.")
    arguments = make_arguments(session.stack_name)
    hints = {
        f'eval "$(make -s env{arguments})"': "then pulumi and kubectl work on this stack and cluster",
        f"make status{arguments}": "whether all of it is Ready, and how to reach the console",
        f"make preview{arguments}": "what a change of the program or its config would do",
        f"make down{arguments}": "destroy the stack and stop the cluster",
    }
    width = max(map(len, hints))
    lines = [f"  {command:{width}}  {meaning}" for command, meaning in hints.items()]
    session.console.print("\n".join(["\nNext:", *lines]), markup=False)


@contextmanager
def _told_why_not(session: Session) -> Generator[None]:
    """Print what runs and why something does not, where the engine only says that it does not."""
    try:
        yield
    except (StackError, PodsNotReadyError):
        done = _run_on_stack("status", session, stderr=subprocess.PIPE)
        # Of a config's faults, for example, which the engine has listed already, this is the number.
        if done.stderr:
            session.console.print(done.stderr.partition("\n")[0], markup=False)
        raise


def _run_on_stack(command: str, session: Session, stderr: int | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"dragonfly.{command}", "--stack", session.stack_name],
        cwd=PROJECT_FOLDER,
        env={**os.environ, **session.stack.environment()},
        stderr=stderr,
        text=True,
        check=False,
    )


def _prepared_where_it_runs(session: Session) -> None:
    if not session.in_cloud and not session.cluster.kubeconfig.exists():
        raise ClusterError(f"no cluster runs here; `make up{make_arguments(session.stack_name)}` starts one")
    session.stack.prepare()


def _status(session: Session) -> None:
    _prepared_where_it_runs(session)
    sys.exit(_run_on_stack("status", session).returncode)


def _console(session: Session) -> None:
    _prepared_where_it_runs(session)
    # Ctrl-C is meant for it, and is how it ends.
    with suppress(KeyboardInterrupt):
        sys.exit(_run_on_stack("console", session).returncode)


def _preview(session: Session) -> None:
    session.prepare().run("preview", *session.refresh())


def _recover(session: Session) -> None:
    session.prepare().recover()


def _down(session: Session) -> None:
    stack = session.stack
    stack.engine.end_abandoned_plugins()
    if stack.has_resources():
        session.start_cluster()
        stack.run("destroy", "--yes", "--skip-preview", *session.refresh())
    if session.in_cloud:
        _report_bill(session)
        return
    session.cluster.stop(remove=True)
    Nodes.forget(STATE)
    session.console.print("Kubernetes stopped; nothing is left running.")


def _report_bill(session: Session) -> None:
    ledger = session.stack.ledger
    left = ledger.billed()
    if left:
        raise StackError("the cloud still holds, and would bill for:\n" + "\n".join(f"  {name}" for name in left), 1)
    session.console.print(f"The cloud's ledger is empty: nothing would be billed. {ledger.path}")


def _stop(session: Session) -> None:
    # Without the plug-ins, which a stack's engine looks for and may build: their folders are known.
    Engine({}, STATE).end_abandoned_plugins()
    session.cluster.stop()
    for ledger in ledgers(STATE):
        Clusters(ledger).stop_all()


def _provisions_cluster(stack: str) -> bool:
    """Whether the stack's config, or the project's default, asks for a cluster of its own."""
    key = "provisionCluster"
    project = cast("dict[str, Any]", yaml.safe_load((PROJECT_FOLDER / "Pulumi.yaml").read_text()))
    default = bool(project["config"][key]["default"])
    file = PROJECT_FOLDER / f"Pulumi.{stack}.yaml"
    written = cast("dict[str, dict[str, Any]]", yaml.safe_load(file.read_text())) if file.exists() else {}
    return bool(written.get("config", {}).get(f"{project['name']}:{key}", default))


def _env(session: Session) -> None:
    stack = session.stack
    stack.prepare()
    sys.stdout.write(stack.shell_exports() + "\n")


COMMANDS: dict[str, Callable[[Session], None]] = {
    "up": _up,
    "preview": _preview,
    "recover": _recover,
    "status": _status,
    "console": _console,
    "down": _down,
    "stop": _stop,
    "env": _env,
}
