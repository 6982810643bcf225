"""What a person does to the stand-in cloud by hand: `python -m local.standins.cloud --ledger FILE COMMAND`.

Without `--ledger` it is the one of the environment, which `eval "$(make -s env STACK=dev)"` sets.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from local.cluster.control_plane import ClusterError
from local.ledger.ledger import CLUSTER, Ledger, NoLedgerError
from local.standins.cloud.clusters import Clusters


class UnknownClusterError(ValueError):
    """There is no cluster of that name."""


def delete_cluster(ledger: Ledger, name: str) -> None:
    """Delete a cluster as somebody does who knows nothing of the stack. Disks stay.

    Args:
        ledger: the cloud's.
        name: the cluster's name.

    Raises:
        UnknownClusterError: there is none.
    """
    cluster_id = _cluster_id(ledger, name)
    Clusters(ledger).remove(cluster_id)
    with ledger.change() as entries:
        entries.remove(cluster_id)


def stop_cluster(ledger: Ledger, name: str) -> None:
    """Make a cluster's control plane unreachable; the cloud still has it.

    Args:
        ledger: the cloud's.
        name: the cluster's name.

    Raises:
        UnknownClusterError: there is none.
    """
    Clusters(ledger).control_plane(_cluster_id(ledger, name)).stop()


def start_cluster(ledger: Ledger, name: str) -> None:
    """Make a cluster's control plane reachable again.

    Args:
        ledger: the cloud's.
        name: the cluster's name.

    Raises:
        UnknownClusterError: there is none.
    """
    Clusters(ledger).start(_cluster_id(ledger, name))


def _cluster_id(ledger: Ledger, name: str) -> str:
    clusters = ledger.read().of_type(CLUSTER)
    for entry in clusters:
        if entry.name == name:
            return entry.id
    known = ", ".join(entry.name for entry in clusters) or "none"
    raise UnknownClusterError(f"there is no cluster {name!r}; there are: {known}")


def _show(ledger: Ledger, _name: str) -> None:
    for entry_id in ledger.billed():
        sys.stdout.write(f"{entry_id}\n")


_COMMANDS: dict[str, Callable[[Ledger, str], None]] = {
    "list": _show,
    "delete-cluster": delete_cluster,
    "stop-cluster": stop_cluster,
    "start-cluster": start_cluster,
}


def main(arguments: list[str]) -> int:
    """Run one command; return the process' exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.standins.cloud", description=__doc__)
    parser.add_argument("--ledger", type=Path, help="the cloud's ledger")
    parser.add_argument("command", choices=sorted(_COMMANDS))
    parser.add_argument("cluster", nargs="?", default="", help="name of the cluster, for all commands but list")
    options = parser.parse_args(arguments)
    try:
        ledger = Ledger(options.ledger) if options.ledger else Ledger.of_environment()
        _COMMANDS[options.command](ledger, options.cluster)
    except (NoLedgerError, UnknownClusterError, ClusterError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
