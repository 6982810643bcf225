"""What a dashboard of an installation shows, as PromQL over the metrics that are kept.

One dashboard is for both release lines: a query finds nothing where the line does not export what it is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dragonfly.monitoring.metrics import Fetcher, Source
from dragonfly.monitoring.scope import Scope
from dragonfly.parts.labels import Component


class Unit(StrEnum):
    """What a panel's values are, as UCUM has it (Google Cloud documentation, `unitOverride`)."""

    BYTES = "By"
    BYTES_PER_SECOND = "By/s"
    MILLISECONDS = "ms"
    PER_SECOND = "1/s"
    NUMBER = "1"
    SHARE = "10^2.%"


@dataclass(frozen=True)
class Query:
    """One query of a panel.

    Attributes:
        expression: PromQL.
        legend: what its line is called; names of labels stand in braces where it finds several.
    """

    expression: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: above it.
        unit: of all its values.
        queries: what is drawn.
    """

    title: str
    unit: Unit
    queries: tuple[Query, ...]


# The shortest that holds two readings of a peer, and one that failed.
_RATE = "[5m]"


def panels(scope: Scope) -> list[Panel]:
    """Return the panels of an installation, in the order in which they are looked at."""
    peers, seed_peer = scope.labels(Component.PEER), scope.labels(Component.SEED_PEER)
    scheduler = scope.labels(Component.SCHEDULER)
    clients = scope.labels(Component.SEED_PEER, Component.PEER)

    def fetched(*sources: Source) -> str:
        return f"sum(rate({scope.traffic(Fetcher.NODE, *sources)}{_RATE}))"

    mysql, redis = scope.labels(Component.MYSQL), scope.labels(Component.REDIS)
    everything = scope.labels(Component.MANAGER, Component.SCHEDULER, Component.SEED_PEER, Component.PEER)
    return [
        Panel(
            "Where images came from",
            Unit.BYTES_PER_SECOND,
            (
                Query(_rate("dragonfly_client_upload_traffic", peers), "other nodes"),
                Query(_rate("dragonfly_client_upload_traffic", seed_peer), "seed peer"),
                Query(
                    _rate("dragonfly_client_download_traffic", f'{clients},type="{Source.REGISTRIES}"'),
                    "registries",
                ),
                Query(
                    _rate("dragonfly_dfdaemon_seed_peer_download_traffic", f'{seed_peer},type="back_to_source"'),
                    "registries (2.1)",
                ),
            ),
        ),
        Panel(
            "Not fetched from a registry by the nodes",
            Unit.SHARE,
            (
                Query(
                    # Where nothing was shared there is no series of it.
                    f"({fetched(Source.PEERS)} or vector(0)) / {fetched(*Source)}",
                    "share of bytes",
                ),
            ),
        ),
        _counted(
            "Requests of containerd",
            peers,
            ("dragonfly_client_proxy_request_total", "all"),
            ("dragonfly_client_proxy_request_failure_total", "failed"),
            ("dragonfly_dfdaemon_proxy_request_total", "all (2.1)"),
            ("dragonfly_dfdaemon_peer_task_failed_total", "failed (2.1)"),
        ),
        Panel(
            "Time that a layer took",
            Unit.MILLISECONDS,
            (
                Query(
                    " / ".join(
                        f"sum(rate(dragonfly_scheduler_download_peer_duration_milliseconds_{part}"
                        f"{{{scheduler}}}{_RATE}))"
                        for part in ("sum", "count")
                    ),
                    "mean",
                ),
            ),
        ),
        _counted(
            "Requests to registries",
            clients,
            ("dragonfly_client_backend_request_total", "all"),
            ("dragonfly_client_backend_request_failure_total", "failed"),
        ),
        Panel("Peers that answer", Unit.NUMBER, (Query(f"sum(up{{{peers}}})", "peers"),)),
        Panel(
            "Fullest disks with a cache",
            Unit.SHARE,
            (
                Query(
                    f"topk(5, max by (pod) (dragonfly_client_disk_usage_space_total{{{clients}}})"
                    f" / max by (pod) (dragonfly_client_disk_space_total{{{clients}}}))",
                    "{pod}",
                ),
            ),
        ),
        _counted(
            "MySQL",
            mysql,
            ("mysql_global_status_queries", "queries"),
            ("mysql_global_status_slow_queries", "slow queries"),
        ),
        _counted("Redis", redis, ("redis_commands_processed_total", "commands")),
        Panel(
            "Connections to the databases",
            Unit.NUMBER,
            (
                Query(f"sum(mysql_global_status_threads_connected{{{mysql}}})", "MySQL"),
                Query(f"sum(redis_connected_clients{{{redis}}})", "Redis"),
            ),
        ),
        Panel(
            "Memory",
            Unit.BYTES,
            (
                Query(f"max by (job) (process_resident_memory_bytes{{{everything}}})", "{job}, its largest"),
                Query(f"sum(redis_memory_used_bytes{{{redis}}})", "Redis, its data"),
            ),
        ),
        Panel(
            "Versions",
            Unit.NUMBER,
            tuple(
                Query(_by_version(names, scope.labels(*of)), f"{of[0].short_name} {{git_version}}")
                for names, *of in (
                    ("dragonfly_manager_version", Component.MANAGER),
                    ("dragonfly_scheduler_version", Component.SCHEDULER),
                    ("dragonfly_client_version|dragonfly_dfdaemon_version", Component.PEER, Component.SEED_PEER),
                )
            ),
        ),
    ]


def _counted(title: str, labels: str, *counters: tuple[str, str]) -> Panel:
    """Return a panel of how often something happens, by counters and what each is called."""
    return Panel(title, Unit.PER_SECOND, tuple(Query(_rate(counter, labels), legend) for counter, legend in counters))


def _rate(counter: str, labels: str) -> str:
    return f"sum(rate({counter}{{{labels}}}{_RATE}))"


def _by_version(names: str, labels: str) -> str:
    return f'count by (git_version) ({{__name__=~"{names}",{labels}}})'
