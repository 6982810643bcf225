"""The loopback ports of all clusters of this user, whether they run or stand still.

A cluster keeps its ports, so that kubeconfigs handed out stay valid from start to start. The file with them is in the
cluster's own folder; a link to it in the cache, which all checkouts share, keeps others from taking them meanwhile.
Where the file is gone, however that came, the ports are free again.
"""

from __future__ import annotations

import hashlib
import json
import random
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, cast

from local.machine.certificates import write_private
from local.machine.file_lock import file_lock
from local.machine.paths import cache_folder

LOOPBACK: Final = "127.0.0.1"

RANGE = range(20000, 32000)
"""Below the ports that Linux gives to outgoing connections (32768 on), so that none of these takes one of ours between
stop and start."""


class NoFreePortsError(RuntimeError):
    """All ports are taken."""


@dataclass(frozen=True)
class Ports:
    """The ports of one cluster's servers."""

    etcd: int
    etcd_peer: int
    api_server: int
    controllers: int
    scheduler: int

    def all(self) -> tuple[int, ...]:
        """Return all of them."""
        return tuple(cast("dict[str, int]", asdict(self)).values())


def kept_ports(file: Path) -> Ports | None:
    """Return the ports that a cluster has, or None when it has none.

    Args:
        file: where the cluster keeps them.
    """
    try:
        return Ports(**cast("dict[str, int]", json.loads(file.read_text())))
    except (OSError, ValueError, TypeError):
        return None


def reserve_ports(file: Path) -> Ports:
    """Return the ports that a cluster has, or new ones if it has none or one of them is in use.

    Args:
        file: where the cluster keeps them; its folder exists. None of the cluster's servers runs.

    Raises:
        NoFreePortsError: there are not enough.
    """
    folder = cache_folder() / "ports"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / hashlib.sha256(bytes(file)).hexdigest()[:16]
    with file_lock(folder / "lock"):
        taken = _ports_of_others(folder, link)
        # First, so that a crash leaves no ports that nobody knows of.
        link.unlink(missing_ok=True)
        link.symlink_to(file)
        ports = kept_ports(file)
        if ports is None or not all(port not in taken and _is_free(port) for port in ports.all()):
            candidates = (port for port in random.sample(RANGE, len(RANGE)) if port not in taken and _is_free(port))
            try:
                ports = Ports(*(next(candidates) for _ in range(5)))
            except (StopIteration, RuntimeError):
                raise NoFreePortsError(
                    f"no five free ports between {RANGE.start} and {RANGE.stop} on {LOOPBACK}"
                ) from None
            write_private(file, json.dumps(asdict(ports)).encode())
    return ports


def _ports_of_others(folder: Path, own: Path) -> set[int]:
    taken: set[int] = set()
    for link in folder.iterdir():
        if not link.is_symlink() or link == own:
            continue
        if link.exists():
            ports = kept_ports(link)
            taken.update(ports.all() if ports else ())
        else:
            link.unlink()
    return taken


def _is_free(port: int) -> bool:
    with socket.socket() as attempt:
        # As the servers do: a port whose last connections are only fading out is free.
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
