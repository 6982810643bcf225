"""How much of what the nodes pulled came from other nodes, by what the schedulers have counted since they started."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from dragonfly.access.objects import Object, listed
from dragonfly.access.port_forward import PageUnreadableError
from dragonfly.parts.labels import COMPONENT_LABEL, Component

Page = Callable[[str], str]
"""Reads a scheduler's metrics, by the name of its pod."""

# Upstream, scheduler/metrics: bytes by where they came from and by who fetched them, `super` for a seed peer.
_TRAFFIC = re.compile(r"^dragonfly_scheduler_traffic\{(?P<labels>[^}]*)\} (?P<bytes>\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_NODE = "normal"
_FROM_PEERS, _FROM_REGISTRIES = "REMOTE_PEER", "BACK_TO_SOURCE"
_UNITS = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_AGES = (("day", 86400), ("hour", 3600), ("minute", 60))


@dataclass(frozen=True)
class Sharing:
    """What was shared.

    Attributes:
        from_peers: bytes that nodes had from other nodes or from the seed peer.
        from_registries: bytes that nodes fetched from registries themselves.
        seed_peer_from_registries: bytes that the seed peer fetched there for all.
        seconds: since the scheduler started that counts for the longest; 0 where none could be asked.
        faults: why schedulers could not be asked.
    """

    from_peers: int = 0
    from_registries: int = 0
    seed_peer_from_registries: int = 0
    seconds: int = 0
    faults: tuple[str, ...] = ()


def sharing(pods: Sequence[Object], page: Page, now: datetime) -> Sharing | None:
    """Ask the schedulers; None where none runs.

    Args:
        pods: of the instance.
        page: reads the metrics of one.
        now: the time.
    """
    running = dict(_running_schedulers(pods))
    if not running:
        return None
    counted: dict[tuple[str, bool], int] = {}
    ages: list[int] = []
    faults: list[str] = []
    for name, started in running.items():
        try:
            text = page(name)
        except PageUnreadableError as error:
            faults.append(str(error))
            continue
        ages.append(int((now - datetime.fromisoformat(started)).total_seconds()))
        for source, by_node, size in _traffic(text):
            counted[source, by_node] = counted.get((source, by_node), 0) + size
    return Sharing(
        counted.get((_FROM_PEERS, True), 0),
        counted.get((_FROM_REGISTRIES, True), 0),
        counted.get((_FROM_REGISTRIES, False), 0),
        max(ages, default=0),
        tuple(faults),
    )


def shared_in_words(found: Sharing) -> str | None:
    """Return what people read of it; None where no scheduler could be asked, by a user who may not, for example.

    Args:
        found: what was shared.
    """
    if not found.seconds:
        return None
    pulled = found.from_peers + found.from_registries
    since = f"in the {_age(found.seconds)} since the scheduler started"
    if not pulled:
        return f"nothing was pulled through the peers {since}"
    left = _size(found.from_registries + found.seed_peer_from_registries)
    return (
        f"{100 * found.from_peers // pulled} % of {_size(pulled)} came from other nodes or the seed peer {since}; "
        f"{left} came from registries"
    )


def _running_schedulers(pods: Sequence[Object]) -> Iterator[tuple[str, str]]:
    for pod in pods:
        if pod["metadata"].get("labels", {}).get(COMPONENT_LABEL) != Component.SCHEDULER:
            continue
        for status in listed(pod, "containerStatuses"):
            if (running := status["state"].get("running")) is not None:
                yield pod["metadata"]["name"], running["startedAt"]


def _traffic(text: str) -> Iterator[tuple[str, bool, int]]:
    for line in _TRAFFIC.finditer(text):
        labels = dict(_LABEL.findall(line["labels"]))
        yield labels.get("type", ""), labels.get("host_type") == _NODE, int(float(line["bytes"]))


def _size(size: int) -> str:
    unit, scale = next(((unit, scale) for unit, scale in _UNITS if size >= scale), ("bytes", 1))
    return f"{size} bytes" if scale == 1 else f"{size / scale:.1f} {unit}"


def _age(seconds: int) -> str:
    unit, scale = next(((unit, scale) for unit, scale in _AGES if seconds >= 2 * scale), ("second", 1))
    number = seconds // scale
    return f"{number} {unit}{'' if number == 1 else 's'}"
