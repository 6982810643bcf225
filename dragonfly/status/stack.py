"""What the engine knows of a stack: its config, how to reach its cluster, and its passwords.

The config alone tells namespace and names: a stack whose first update failed has no outputs.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dragonfly.settings.fault import PROJECT
from dragonfly.settings.model import Settings
from dragonfly.settings.stack_config import settings_of

_PROVIDER = "pulumi:providers:kubernetes"
_CREDENTIALS = "dragonfly:credentials:Credentials"
_KEPT = "dragonfly:immutable_config:KeptConfig"
_INSTALLED = {f"{PROJECT}:namespace": "namespace", f"{PROJECT}:appInstanceName": "app_instance_name"}
"""What is installed, by the record, also where the config says something else and is refused: fields by keys."""
# By these an exported state marks a secret (sdk/go/common/resource/plugin, "4dabf18193072939515e22adb298388d").
_SIGNATURE, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
# A state in a bucket or with the Pulumi service, and a key in a cloud that decrypts it.
_CLI_SECONDS = 60


class StackUnreadableError(RuntimeError):
    """The CLI failed; the message says what it printed."""


# Its fields hold secrets, which no message may show.
@dataclass(frozen=True, repr=False)
class Stack:
    """One stack.

    Attributes:
        name: its name.
        settings: its config.
        kubeconfig: the kubeconfig that its last update used, contents or path; None for the ambient one.
        context: of that kubeconfig; None for its current one.
        has_provider: whether an update went so far as to know the cluster.
        secrets: the passwords of the installation, those that it was given and those that it made.
    """

    name: str
    settings: Settings
    kubeconfig: str | None
    context: str | None
    has_provider: bool
    secrets: frozenset[str]


def read_stack(name: str, pulumi: str, project: Path) -> Stack:
    """Ask the CLI for a stack's config and state. What is secret comes through a pipe and stays in memory.

    Args:
        name: the stack's name.
        pulumi: the CLI's path, or `pulumi`.
        project: the program's folder.

    Raises:
        StackUnreadableError: there is no such stack, or what it holds cannot be decrypted.
        SettingsError: the config has faults.
    """

    def ask(*command: str) -> Future[str]:
        return both.submit(_run, [pulumi, *command, "--show-secrets", "--stack", name, "--non-interactive"], project)

    with ThreadPoolExecutor() as both:
        config, export = ask("config", "--json"), ask("stack", "export")
        return stack_of(name, json.loads(config.result()), json.loads(export.result()), os.environ)


def stack_of(
    name: str, config: Mapping[str, Any], exported: Mapping[str, Any], environment: Mapping[str, str]
) -> Stack:
    """Put together what the CLI said.

    Args:
        name: the stack's name.
        config: by full key, as `pulumi config --json --show-secrets` prints it.
        exported: as `pulumi stack export --show-secrets` prints it.
        environment: environment variables, where the Google Cloud provider looks for a project or zone too.

    Raises:
        SettingsError: the config has faults.
    """
    values = {key: str(entry["value"]) for key, entry in config.items()}
    secret_keys = frozenset(key for key, entry in config.items() if entry["secret"])
    settings = settings_of(values, secret_keys, stack=name, environment=environment)
    deployment = cast("Mapping[str, Any]", exported.get("deployment") or {})
    # One that has been replaced waits to be deleted.
    everything = cast("list[dict[str, Any]]", deployment.get("resources") or [])
    resources = [each for each in everything if not each.get("delete")]
    kept: list[dict[str, Any]] = [each["inputs"]["config"] for each in resources if each["type"] == _KEPT]
    settings = settings.model_copy(
        update={setting: record[key] for record in kept for key, setting in _INSTALLED.items() if key in record}
    )
    provider = next((each for each in resources if each["type"] == _PROVIDER), None)
    inputs: dict[str, Any] = provider.get("inputs") or {} if provider else {}
    made: list[dict[str, Any]] = [each.get("outputs") or {} for each in resources if each["type"] == _CREDENTIALS]
    chosen = (
        settings.db_root_password,
        settings.db_user_password,
        settings.db_exporter_password,
        settings.redis_password,
    )
    kubeconfig = _plain(inputs.get("kubeconfig"))
    if kubeconfig is None and settings.kubeconfig is not None:
        kubeconfig = settings.kubeconfig.get_secret_value()
    return Stack(
        name=name,
        settings=settings,
        kubeconfig=kubeconfig,
        context=inputs.get("context") or settings.kube_context,
        has_provider=provider is not None,
        secrets=frozenset(
            [
                *(str(_plain(value)) for outputs in made for value in outputs.values() if value),
                *(password.get_secret_value() for password in chosen if password is not None),
            ]
        ),
    )


def _plain(value: Any) -> Any:
    """Return a property of an exported state, without the mark of a secret."""
    if not isinstance(value, dict):
        return value
    marked = cast("dict[str, Any]", value)
    return json.loads(marked["plaintext"]) if marked.get(_SIGNATURE) == _SECRET else marked


def _run(command: Sequence[str], project: Path) -> str:
    what = f"`pulumi {command[1]}`"
    try:
        done = subprocess.run(
            command,
            cwd=project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_CLI_SECONDS,
        )
    except FileNotFoundError:
        raise StackUnreadableError(f"{command[0]} is not on PATH") from None
    except subprocess.TimeoutExpired:
        raise StackUnreadableError(f"{what} did not answer within {_CLI_SECONDS} s") from None
    if done.returncode != 0:
        raise StackUnreadableError(f"{what} failed: {done.stderr.strip()}")
    return done.stdout
