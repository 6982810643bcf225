"""Brings a stack back whose update was killed: `.venv/bin/python -m dragonfly.recovery --stack NAME`.

A killed engine leaves its lock behind, and creations of which the state does not know whether they happened. Such an
object must be neither forgotten, since making it again fails with "already exists", nor believed in. So every pending
creation, in the cluster or in Google Cloud, is entered into the state under the ID that the object has if it exists,
and the refresh that follows drops those that do not. (The CLI's own `--import-pending-creates`, v3.259, only forgets
them.)
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from dragonfly.google.attribution_label import attributed
from dragonfly.google.resource_ids import NAMED_BY_GOOGLE, google_id

_CREATING = "creating"
_KUBERNETES = "kubernetes:"
# In the state of a resource that is deleted before its replacement is made.
_REPLACED = "pendingReplacement"
_REMOVES_POOL = "removeDefaultNodePool"


class RecoveryError(RuntimeError):
    """A command of the CLI failed; what it printed says why."""


def recover(stack: str, pulumi: str, environment: Mapping[str, str], project: Path) -> None:
    """Releases the lock, enters pending creations into the state, and compares the state with the cluster.

    Args:
        stack: the stack's name.
        pulumi: the CLI's path, or `pulumi`.
        environment: variables for the CLI besides this process' own.
        project: the program's folder.

    Raises:
        RecoveryError: a step failed.
    """

    def run(*arguments: str, text: str | None = None, capture: bool = False) -> str:
        done = subprocess.run(
            [pulumi, *arguments, "--stack", stack],
            cwd=project,
            env={**os.environ, **environment},
            input=text,
            stdout=subprocess.PIPE if capture else None,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RecoveryError(f"pulumi {' '.join(arguments)} failed; see above")
        return done.stdout or ""

    run("cancel", "--yes")
    exported = cast("dict[str, Any]", json.loads(run("stack", "export", capture=True)))
    if enter_pending_creations(exported["deployment"]):
        # What the state holds in encrypted form stays encrypted on its way out and in.
        run("stack", "import", text=json.dumps(exported))
    if unnamed := unnamed_creations(exported["deployment"]):
        sys.stderr.write(
            f"Google Cloud may have made {', '.join(unnamed)} before the update was killed, under names that nobody "
            "was told. The next update makes them anew, and what is there twice has to be deleted by hand: "
            "https://console.cloud.google.com/monitoring\n"
        )
    run("refresh", "--yes", "--skip-preview", "--clear-pending-creates")


def enter_pending_creations(deployment: dict[str, Any]) -> int:
    """Turn pending creations into resources, for a refresh to confirm or to drop.

    Random values stay pending: nothing can depend on one whose creation did not end, so that it is simply forgotten.

    Args:
        deployment: the deployment of an exported state; changed in place.

    Returns:
        The number of resources entered.
    """
    pending = cast("list[dict[str, Any]]", deployment.get("pending_operations") or [])
    entered = 0
    for operation in list(pending):
        resource = cast("dict[str, Any]", operation["resource"])
        identifier = object_id(resource)
        if operation["type"] == _CREATING and identifier is not None:
            _enter(deployment["resources"], {**resource, "id": identifier, "outputs": _outputs(resource)})
            pending.remove(operation)
            entered += 1
    return entered


def unnamed_creations(deployment: Mapping[str, Any]) -> list[str]:
    """Return Pulumi's names of the pending creations whose IDs Google Cloud makes up.

    Args:
        deployment: the deployment of an exported state.
    """
    pending = cast("list[dict[str, Any]]", deployment.get("pending_operations") or [])
    return [
        str(operation["resource"]["urn"]).rpartition("::")[2]
        for operation in pending
        if operation["type"] == _CREATING and operation["resource"]["type"].startswith(NAMED_BY_GOOGLE)
    ]


def _enter(resources: list[dict[str, Any]], new: dict[str, Any]) -> None:
    """Put a resource where the engine would have put it: a state with two of one URN cannot be imported.

    Args:
        resources: the deployment's; changed in place.
        new: the resource.
    """
    for index, old in enumerate(resources):
        if old["urn"] != new["urn"] or old.get("delete"):
            continue
        # What depends on a resource stands behind it in the state.
        if old.get(_REPLACED):
            # The old one went first, and only its entry is left.
            resources[index] = new
        else:
            # The old one waits to be deleted until the new one is there.
            resources[index : index + 1] = [new, {**old, "delete": True}]
        return
    resources.append(new)


def _outputs(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a resource is believed to be until the refresh has read it."""
    inputs = cast("Mapping[str, Any]", resource["inputs"])
    outputs = {**inputs, **attributed(str(resource["type"]), inputs)}
    if _REMOVES_POOL in outputs:
        # The plug-in removes the default pool as the last step of the cluster's creation, and a read does not tell
        # whether it did. Where the state says that it was not asked to, the next update asks.
        outputs[_REMOVES_POOL] = False
    return outputs


def object_id(resource: Mapping[str, Any]) -> str | None:
    """Return the ID of a Kubernetes object or a Google Cloud resource in a state, or None for any other resource.

    Args:
        resource: a resource of an exported deployment.
    """
    type_token = str(resource["type"])
    inputs = cast("Mapping[str, Any]", resource.get("inputs", {}))
    if not type_token.startswith(_KUBERNETES):
        return google_id(type_token, inputs)
    metadata = cast("Mapping[str, str]", inputs.get("metadata", {}))
    if "name" not in metadata:
        return None
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else metadata["name"]


def main(arguments: list[str]) -> int:
    """Run the command line; return the process' exit code."""
    parser = argparse.ArgumentParser(prog="python -m dragonfly.recovery", description=__doc__)
    parser.add_argument("--stack", required=True, help="name of the stack")
    options = parser.parse_args(arguments)
    try:
        recover(options.stack, "pulumi", {}, Path(__file__).resolve().parent.parent)
    except RecoveryError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("The state agrees with the cluster again; `pulumi up` goes on.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
