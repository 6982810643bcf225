"""A stack of the program on the local cluster: the engine's environment, and a copy of the stack's tracked config."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import psutil
import yaml
from rich.console import Console

from dragonfly import recovery
from local.engine.abandoned_plugins import PULUMI_HOME, end_abandoned_plugins
from local.engine.plugin_choice import CLOUD_COMMANDS, GOOGLE_CLOUD, Plugin, lay_out, provide_plugins
from local.ledger.ledger import AUTHORITIES_VARIABLE, LEDGER_VARIABLE, Ledger
from local.machine.certificates import write_private
from local.machine.paths import PROJECT_FOLDER
from local.machine.processes import LESS_GARBAGE_COLLECTION
from local.tools.catalog import TOOLS

DEFAULT_STACK = "local"
"""The Makefile's."""

_BINARIES = ("pulumi", "pulumi-language-python", "kubectl")
_LEDGER = "cloud/ledger.json"


class StackError(RuntimeError):
    """The engine failed; what it printed says why."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Engine:
    """The Pulumi CLI with everything that it needs on this machine.

    Args:
        tools: binaries by name, from `local.tools.toolchain`.
        state: folder for the stacks' states, config copies and passphrase.
        plugins: what makes resources, but those of a cloud.
        project: folder of the Pulumi program.
        python: runs the program and the stand-in plug-ins.
    """

    tools: Mapping[str, Path]
    state: Path
    plugins: Sequence[Plugin] = ()
    project: Path = PROJECT_FOLDER
    python: str = sys.executable

    @classmethod
    def provide(
        cls, state: Path, console: Console, tools: Mapping[str, Path], project: Path = PROJECT_FOLDER
    ) -> Engine:
        """Make the plug-ins available to the CLI.

        Args:
            state: folder for the stacks' states, config copies and passphrase.
            console: where progress goes.
            tools: `local.tools.catalog.ENGINE_TOOLS`, perhaps among others.
            project: folder of the Pulumi program.
        """
        tools = {name: tools[name] for name in _BINARIES}
        plugins = provide_plugins(tools["pulumi"], cls(tools, state).environment(), console)
        return cls(tools, state, plugins, project)

    def environment(self, *, cloud: bool = False) -> dict[str, str]:
        """Environment variables of the CLI, besides the user's own.

        Args:
            cloud: whether Google Cloud is played for what runs in it.
        """
        # Nobody else's: states, passphrase and the cluster's keys are below it.
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._backend.mkdir(exist_ok=True)
        folders = dict.fromkeys(str(path.parent) for path in self.tools.values())
        if cloud:
            folders[str(CLOUD_COMMANDS)] = None
        return {
            "PATH": os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)]),
            PULUMI_HOME: str(self._home(cloud=cloud)),
            # Without the files of metadata, which nobody reads: one of them half written by an engine that was killed
            # makes the CLI refuse the state ("failed to load checkpoint: EOF"). The state itself is replaced whole.
            "PULUMI_BACKEND_URL": f"file://{self._backend}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self._passphrase()),
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "1",
            # A plug-in on the user's PATH would be taken before ours, with a warning and whatever its version.
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
            # The plug-ins were asked for before. Otherwise each command tries again, for three seconds where it cannot
            # succeed, and fetches the one of pulumi-gcp, which a local stack never uses.
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            # The language host that is built here does not read the virtualenv option of Pulumi.yaml.
            "PULUMI_PYTHON_CMD": self.python,
            # Empty is unset. Where it is set, each run of the program compiles the SDKs anew, for seconds.
            "PYTHONDONTWRITEBYTECODE": "",
            "PULUMI_STANDIN_PYTHON": self.python,
        }

    def end_abandoned_plugins(self) -> None:
        """Kills plug-ins whose engine was killed: what it started must not go on behind the next update's back."""
        end_abandoned_plugins([self.home, self.home_in_played_cloud])

    @property
    def home(self) -> Path:
        """The CLI's own folder, apart from the user's: a login there is not ours to change."""
        return self.state / "pulumi-home"

    @property
    def home_in_played_cloud(self) -> Path:
        """The same where Google Cloud is played, so that nothing else takes what plays it for the real plug-in."""
        return self.state / "pulumi-home-played"

    def locks(self, stack: str) -> list[Path]:
        """Files by which the CLI keeps two updates of one stack apart."""
        return sorted(self._backend.glob(f".pulumi/locks/organization/*/{stack}/*.json"))

    def has_stack(self, name: str) -> bool:
        """Whether there is a state of a stack; the CLI, which says so too, takes a quarter of a second."""
        return any(self._backend.glob(f".pulumi/stacks/*/{name}.json*"))

    @property
    def _backend(self) -> Path:
        return self.state / "backend"

    def _home(self, *, cloud: bool) -> Path:
        """Return the CLI's own folder, with the plug-ins in it."""
        home = self.home_in_played_cloud if cloud else self.home
        lay_out(home, [*self.plugins, *([GOOGLE_CLOUD] if cloud else [])])
        host = self.tools.get("pulumi-language-python")
        if host is not None:
            # Of the CLI's release or not: it takes the one beside it first.
            lay_out(home, [Plugin("python", TOOLS["language-host"].version[1:], host, "language")])
        # The CLI writes all that it does, compressed and encrypted, to a log for its makers: a tenth of its time, and
        # up to 500 MB. It has no option against that, and goes on without where it cannot.
        home.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (home / "logs").symlink_to(os.devnull)
        return home

    def _passphrase(self) -> Path:
        file = self.state / "passphrase"
        if not file.exists():
            write_private(file, secrets.token_urlsafe(32).encode())
        return file


def make_arguments(stack: str) -> str:
    """Return what follows a target of the Makefile that is to work on a stack."""
    return "" if stack == DEFAULT_STACK else f" STACK={stack}"


def ledgers(state: Path) -> list[Ledger]:
    """Return the ledgers of all stacks of a state folder that have anything in the stand-in cloud."""
    return [Ledger(file) for file in sorted(state.glob(f"stacks/*/{_LEDGER}"))]


@dataclass(frozen=True)
class LocalStack:
    """One stack on one cluster.

    Args:
        engine: the CLI.
        name: the stack's name; `Pulumi.<name>.yaml` is copied when the project has it.
        kubeconfig: of the cluster; None for a stack that makes its own in the stand-in cloud.
        config: keys and plain values that the copy gets besides.
    """

    engine: Engine
    name: str
    kubeconfig: Path | None
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def config_file(self) -> Path:
        """The copy of the stack's config. The tracked file never changes, and no secret can get into it."""
        return self._folder / f"Pulumi.{self.name}.yaml"

    @property
    def ledger(self) -> Ledger:
        """What the stack has in the stand-in cloud."""
        return Ledger(self._folder / _LEDGER)

    @property
    def own_kubeconfig(self) -> Path:
        """Where `write_kubeconfig` puts that of the stack's own cluster."""
        return self._folder / "kubeconfig"

    @property
    def _folder(self) -> Path:
        return self.engine.state / "stacks" / self.name

    def environment(self) -> dict[str, str]:
        """Environment variables with which `pulumi` and `kubectl` work on this stack and cluster."""
        return {
            **self.engine.environment(cloud=self.kubeconfig is None),
            "PULUMI_STACK": self.name,
            # Every command of the CLI takes its options from the environment too.
            "PULUMI_OPTION_CONFIG_FILE": str(self.config_file),
            "KUBECONFIG": str(self.kubeconfig or self.own_kubeconfig),
            LEDGER_VARIABLE: str(self.ledger.path),
            **({} if self.kubeconfig else {AUTHORITIES_VARIABLE: str(self.ledger.authorities)}),
        }

    def project_config(self) -> dict[str, Any]:
        """Return what the copy says under the project's own keys, without the project's name; after `prepare`."""
        name = cast("dict[str, Any]", yaml.safe_load((self.engine.project / "Pulumi.yaml").read_text()))["name"]
        document = cast("dict[str, Any]", yaml.safe_load(self.config_file.read_text()) or {})
        keys = cast("dict[str, Any]", document.get("config") or {})
        return {key.removeprefix(f"{name}:"): value for key, value in keys.items() if key.startswith(f"{name}:")}

    def prepare(self) -> None:
        """Make the stack and its config copy, unless they exist."""
        tracked = self.engine.project / f"Pulumi.{self.name}.yaml"
        self._folder.mkdir(parents=True, exist_ok=True)
        # The CLI writes a new stack's salt beside the project file, which therefore stands in the copy's folder too.
        shutil.copyfile(self.engine.project / "Pulumi.yaml", self._folder / "Pulumi.yaml")
        if not self.config_file.exists():
            document = cast("dict[str, Any]", yaml.safe_load(tracked.read_text())) if tracked.exists() else {}
            document.setdefault("config", {}).update(self.config)
            self.config_file.write_text(yaml.safe_dump(document, sort_keys=False))
        if self.engine.has_stack(self.name):
            return
        environment = self._process_environment()
        del environment["PULUMI_STACK"], environment["PULUMI_OPTION_CONFIG_FILE"]
        self._checked(["stack", "init", self.name, "--cwd", str(self._folder), "--no-select"], environment)

    def run(self, *arguments: str) -> None:
        """Run the CLI in the foreground, with its own output.

        Raises:
            StackError: it failed.
        """
        # Ctrl-C reaches the CLI too, which then ends in order; we wait for it instead of dying first.
        interrupts: list[int] = []
        before = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
        try:
            code = self.start(*arguments).wait()
        finally:
            signal.signal(signal.SIGINT, before)
        if interrupts:
            raise KeyboardInterrupt
        if code != 0:
            raise StackError(f"pulumi {arguments[0]} failed{self._lock_holder()}", abs(code))

    def _lock_holder(self) -> str:
        """Return what to do when another update holds the stack's lock, for the end of a message."""
        for lock in self.engine.locks(self.name):
            holder = int(json.loads(lock.read_text())["pid"])
            if psutil.pid_exists(holder):
                return f": another update of this stack runs, process {holder}"
            return f": the last update was killed; run `make recover{make_arguments(self.name)}`"
        return ""

    def start(self, *arguments: str, stdout: IO[bytes] | int | None = None) -> subprocess.Popen[bytes]:
        """Start the CLI and do not wait for it.

        Args:
            arguments: of the CLI.
            stdout: where both of its outputs go; where ours go when not given.
        """
        return subprocess.Popen(
            self._command(arguments),
            cwd=self.engine.project,
            env=self._process_environment(),
            stdout=stdout,
            stderr=None if stdout is None else subprocess.STDOUT,
        )

    def recover(self) -> None:
        """Brings the stack back after its update was killed.

        Raises:
            RecoveryError: a step failed; what the CLI printed says why.
        """
        self.engine.end_abandoned_plugins()
        recovery.recover(self.name, str(self.engine.tools["pulumi"]), self.environment(), self.engine.project)

    def output(self, *arguments: str) -> str:
        """Run the CLI and return what it prints.

        Raises:
            StackError: it failed; the message holds its error output.
        """
        return self._checked(arguments, self._process_environment())

    def has_resources(self) -> bool:
        """Whether the stack's state holds anything that `pulumi destroy` would delete."""
        if not self.engine.has_stack(self.name):
            return False
        deployment = json.loads(self.output("stack", "export"))["deployment"]
        resources = cast("list[dict[str, Any]]", deployment.get("resources") or [])
        return any(resource["type"] != "pulumi:pulumi:Stack" for resource in resources)

    def write_kubeconfig(self) -> None:
        """Write the kubeconfig of the stack's own cluster, as the stack's output has it, for kubectl.

        Raises:
            StackError: the stack has no such output.
        """
        text = self.output("stack", "output", "kubeconfig", "--show-secrets")
        write_private(self.own_kubeconfig, text.encode())

    def last_changes(self) -> dict[str, int]:
        """Numbers of resources by what the last update did to them: `same`, `create`, `update`, ..."""
        history = json.loads(self.output("stack", "history", "--json", "--page-size", "1"))
        return cast("dict[str, int]", history[0].get("resourceChanges") or {}) if history else {}

    def shell_exports(self) -> str:
        """Return the environment as commands for `eval` in a POSIX shell."""
        return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in self.environment().items())

    def _process_environment(self) -> dict[str, str]:
        return {**os.environ, **LESS_GARBAGE_COLLECTION, **self.environment()}

    def _command(self, arguments: Iterable[str]) -> list[str]:
        return [str(self.engine.tools["pulumi"]), *arguments]

    def _checked(self, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
        done = subprocess.run(
            self._command([*arguments, "--non-interactive"]),
            cwd=self.engine.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"pulumi {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}", done.returncode)
        return done.stdout
