"""How much of what the nodes pulled came from other nodes: since the programs started, or in the last hour.

Since they started, the schedulers have counted what the nodes fetched from where, and the seed peer what it gave them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dragonfly.access.objects import Object, listed
from dragonfly.access.port_forward import PageUnreadableError
from dragonfly.monitoring.metrics import TRAFFIC, Fetcher, Source
from dragonfly.monitoring.scope import CloudCluster, Scope
from dragonfly.parts.labels import COMPONENT_LABEL, Component

Page = Callable[[str, Component], str]
"""Reads the metrics of a pod, by its name and its component."""

Query = Callable[[str], float]
"""Asks a Prometheus for the one number that PromQL finds; 0 where it finds nothing."""

_TRAFFIC = re.compile(rf"^{TRAFFIC}\{{(?P<labels>[^}}]*)\}} (?P<bytes>\S+)", re.MULTILINE)
# Of 2.5 (its client, dragonfly-client-metric).
_UPLOADED = re.compile(r"^dragonfly_client_upload_traffic (?P<bytes>\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_UNITS = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_AGES = (("day", 86400), ("hour", 3600), ("minute", 60))


@dataclass(frozen=True)
class Sharing:
    """What was shared.

    Attributes:
        from_peers: bytes that nodes had from other nodes or from the seed peer.
        from_registries: bytes that nodes fetched from registries themselves.
        seed_peer_from_registries: bytes that the seed peer fetched there for all.
        from_seed_peer: bytes that the seed peer gave, of those from peers; None where it does not count them.
        seconds: since the scheduler started that counts for the longest; 0 where none could be asked.
        seed_peer_seconds: since the seed peer started.
        faults: why somebody could not be asked.
    """

    from_peers: int = 0
    from_registries: int = 0
    seed_peer_from_registries: int = 0
    seconds: int = 0
    faults: tuple[str, ...] = ()
    from_seed_peer: int | None = None
    seed_peer_seconds: int = 0


def sharing(pods: Sequence[Object], page: Page, now: datetime) -> Sharing | None:
    """Ask the schedulers and the seed peer; None where no scheduler runs.

    Args:
        pods: of the instance.
        page: reads the metrics of one.
        now: the time.
    """
    if not any(_running(pods, Component.SCHEDULER)):
        return None
    counted: dict[tuple[str, bool], int] = {}
    ages: list[int] = []
    faults: list[str] = []
    for text, seconds in _read(pods, Component.SCHEDULER, page, now, faults):
        ages.append(seconds)
        for source, by_node, size in _traffic(text):
            counted[source, by_node] = counted.get((source, by_node), 0) + size
    given, seed_peer_seconds = None, 0
    for text, seconds in _read(pods, Component.SEED_PEER, page, now, faults):
        if uploaded := _UPLOADED.search(text):
            given, seed_peer_seconds = int(float(uploaded["bytes"])), seconds
            break
    return Sharing(
        counted.get((Source.PEERS, True), 0),
        counted.get((Source.REGISTRIES, True), 0),
        counted.get((Source.REGISTRIES, False), 0),
        max(ages, default=0),
        tuple(faults),
        given,
        seed_peer_seconds,
    )


def shared_in_the_last_hour(scope: Scope, cluster_name: str | None, query: Query) -> Sharing | None:
    """Ask a Prometheus.

    Args:
        scope: the installation, in any cluster.
        cluster_name: Google's name of its cluster, where it is known.
        query: asks it.

    Returns:
        What was shared; None where it has read no scheduler of the installation.
    """
    clusters = _clusters(scope, query)
    if clusters > 1 and cluster_name:
        scope = replace(scope, cluster=CloudCluster(cluster_name))
        clusters = _clusters(scope, query)
    if not clusters:
        return None
    if clusters > 1:
        what = f"{scope.job(Component.SCHEDULER)} in {scope.namespace} of {clusters:.0f} clusters"
        return Sharing(faults=(f"--prometheus has read {what}, and would add them up",))

    def traffic(source: Source, fetcher: Fetcher) -> int:
        return int(query(f"sum(increase({scope.traffic(fetcher, source)}[1h]))"))

    given = f"sum(increase(dragonfly_client_upload_traffic{{{scope.labels(Component.SEED_PEER)}}}[1h]))"
    return Sharing(
        traffic(Source.PEERS, Fetcher.NODE),
        traffic(Source.REGISTRIES, Fetcher.NODE),
        traffic(Source.REGISTRIES, Fetcher.SEED_PEER),
        from_seed_peer=int(query(given)),
    )


def _clusters(scope: Scope, query: Query) -> float:
    """Return in how many clusters the Prometheus has read it: one of Google's has those of a project, or of several."""
    read = f"count_over_time(up{{{scope.labels(Component.SCHEDULER)}}}[1h])"
    return query(f"count(count by (project_id, cluster, location) ({read}))")


def shared_in_words(found: Sharing) -> str | None:
    """Return what people read of what was counted since the programs started.

    None where no scheduler could be asked, by a user who may not, for example.

    Args:
        found: what was shared.
    """
    if not found.seconds:
        return None
    age, seed_peer_age = _age(found.seconds), _age(found.seed_peer_seconds)
    # They count since other moments where one of them was started again.
    seed_peer_when = "" if seed_peer_age == age else f" in its own {seed_peer_age}"
    return _in_words(found, f"in the {age} since the scheduler started", seed_peer_when)


def last_hour_in_words(found: Sharing) -> str:
    """Return what people read of what a Prometheus has seen.

    Args:
        found: what was shared.
    """
    return _in_words(found, "in the last hour", "")


def _in_words(found: Sharing, when: str, seed_peer_when: str) -> str:
    pulled = found.from_peers + found.from_registries
    if not pulled:
        return f"nothing was pulled through the peers {when}"
    left = _size(found.from_registries + found.seed_peer_from_registries)
    seed_peer = (
        "" if found.from_seed_peer is None else f"; the seed peer gave {_size(found.from_seed_peer)}{seed_peer_when}"
    )
    return (
        f"{100 * found.from_peers // pulled} % of {_size(pulled)} came from other nodes or the seed peer {when}"
        f"{seed_peer}; {left} came from registries"
    )


def _read(
    pods: Sequence[Object], component: Component, page: Page, now: datetime, faults: list[str]
) -> Iterator[tuple[str, int]]:
    """Yield what each pod of a component tells, and for how many seconds it has run; note who cannot be asked."""
    for name, started in dict(_running(pods, component)).items():
        try:
            text = page(name, component)
        except PageUnreadableError as error:
            faults.append(str(error))
            continue
        yield text, int((now - datetime.fromisoformat(started)).total_seconds())


def _running(pods: Sequence[Object], component: Component) -> Iterator[tuple[str, str]]:
    for pod in pods:
        if pod["metadata"].get("labels", {}).get(COMPONENT_LABEL) != component:
            continue
        for status in listed(pod, "containerStatuses"):
            if (running := status["state"].get("running")) is not None:
                yield pod["metadata"]["name"], running["startedAt"]


def _traffic(text: str) -> Iterator[tuple[str, bool, int]]:
    for line in _TRAFFIC.finditer(text):
        labels = dict(_LABEL.findall(line["labels"]))
        yield labels.get("type", ""), labels.get("host_type") == Fetcher.NODE, int(float(line["bytes"]))


def _size(size: int) -> str:
    unit, scale = next(((unit, scale) for unit, scale in _UNITS if size >= scale), ("bytes", 1))
    return f"{size} bytes" if scale == 1 else f"{size / scale:.1f} {unit}"


def _age(seconds: int) -> str:
    unit, scale = next(((unit, scale) for unit, scale in _AGES if seconds >= 2 * scale), ("second", 1))
    number = seconds // scale
    return f"{number} {unit}{'' if number == 1 else 's'}"
