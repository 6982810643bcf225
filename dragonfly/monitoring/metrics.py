"""What Prometheus reads of each component, how often, and what it keeps of it.

What is kept is paid for: Google counts every sample, and an own Prometheus has every series in memory. Names are those
of upstream's documentation ("Prometheus Metrics") and of the exporters; what a release line lacks costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dragonfly.parts.labels import Component
from dragonfly.parts.names import Names, workload_names


class Monitoring(StrEnum):
    """Who reads the metrics."""

    MANAGED = "managed"
    """Google's managed Prometheus, whose collectors are on every node of a GKE cluster."""

    OPERATOR = "operator"
    """A Prometheus that the Prometheus Operator configures."""

    NONE = "none"


MANAGED_COLLECTORS: Final = "gmp-system"
"""The namespace of Google's collectors (Google Cloud documentation, "Managed collection")."""


@dataclass(frozen=True)
class Scraped:
    """What is read of one component.

    Attributes:
        port: name of the container's port.
        interval_seconds: from one reading to the next.
        keep: names of the metrics that are kept, as regular expressions.
        keep_at: the same of metrics with a label `url`, of which one value alone is kept. Who may ask for it can still
            make series by other labels.
    """

    port: str
    interval_seconds: int
    keep: tuple[str, ...]
    keep_at: tuple[tuple[str, str], ...] = ()

    @property
    def relabeling(self) -> dict[str, object]:
        """What drops all others, as Prometheus takes it: the expression has to match the whole."""
        labels, expression = ["__name__"], "|".join(self.keep)
        if self.keep_at:
            # Joined by a semicolon; of most metrics nothing stands behind it.
            labels.append("url")
            expression = "|".join([f"(?:{expression});", *(f"{name};{url}" for name, url in self.keep_at)])
        return {"action": "keep", "sourceLabels": labels, "regex": expression}


SIGN_IN: Final = "/api/v1/users/signin"
"""Where the manager's console signs somebody in."""

TRAFFIC: Final = "dragonfly_scheduler_traffic"
"""Counts bytes that a client has fetched, by their source and by who fetched them (upstream, scheduler/metrics)."""


class Source(StrEnum):
    """Where bytes came from: values of the label `type`."""

    PEERS = "REMOTE_PEER"
    REGISTRIES = "BACK_TO_SOURCE"


class Fetcher(StrEnum):
    """Who fetched them: values of the label `host_type`."""

    NODE = "normal"
    SEED_PEER = "super"


_PROCESS = ("process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total")

# No histogram, which is 27 series for each of its labels' values, and nothing with labels that a pull itself names, of
# which whoever reaches a peer makes as many as they like.
_PEER = (
    # 2.5: the Rust client.
    "dragonfly_client_version",
    "dragonfly_client_(download|upload)_traffic",
    "dragonfly_client_backend_request(_failure)?_total",
    "dragonfly_client_proxy_request(_failure|_via_dfdaemon)?_total",
    "dragonfly_client_disk(_usage)?_space_total",
    # 2.1: dfget.
    "dragonfly_dfdaemon_version",
    "dragonfly_dfdaemon_proxy_request(_via_dragonfly|_not_via_dragonfly)?_total",
    "dragonfly_dfdaemon_peer_task(_failed)?_total",
    "dragonfly_dfdaemon_seed_peer_download(_failure_total|_traffic|_total)",
    *_PROCESS,
)

SCRAPED: Final[Mapping[Component, Scraped]] = {
    Component.MANAGER: Scraped(
        "metrics",
        30,
        ("dragonfly_manager_.*_total", "dragonfly_manager_version", *_PROCESS),
        (("manager_requests_total", SIGN_IN),),
    ),
    # `host_traffic`, `announce_host` and the like have a label for every node.
    Component.SCHEDULER: Scraped(
        "metrics",
        30,
        (
            "dragonfly_scheduler_version",
            TRAFFIC,
            "dragonfly_scheduler_(register_peer|download_peer|download_peer_back_to_source)(_started|_finished)?"
            "(_failure)?_total",
            "dragonfly_scheduler_(register_peer_task|download)(_failure)?_total",
            "dragonfly_scheduler_concurrent_schedule_total",
            "dragonfly_scheduler_download_peer_duration_milliseconds_(sum|count)",
            *_PROCESS,
        ),
    ),
    Component.SEED_PEER: Scraped("metrics", 30, _PEER),
    # There may be a thousand of them.
    Component.PEER: Scraped("metrics", 60, _PEER),
    Component.MYSQL: Scraped(
        "mysqld-exporter",
        30,
        (
            "mysql_up",
            "mysql_version_info",
            "mysql_global_status_(uptime|queries|slow_queries|threads_connected|aborted_connects)",
            "mysql_global_status_innodb_buffer_pool_bytes_(data|dirty)",
            "mysql_global_variables_max_connections",
        ),
    ),
    Component.REDIS: Scraped(
        "redis-exporter",
        30,
        (
            "redis_up",
            "redis_instance_info",
            "redis_memory_(used|max)_bytes",
            "redis_(connected|rejected)_(clients|connections_total)",
            "redis_commands_processed_total",
            "redis_keyspace_(hits|misses)_total",
            "redis_rdb_last_bgsave_status",
            "redis_aof_last_write_status",
        ),
    ),
}
"""What is read of each component that serves metrics."""


def job_names(names: Names) -> dict[Component, str]:
    """Return what Prometheus calls each component, in the label `job`, and how the object is called that says so to it.

    Args:
        names: of the instance's objects.
    """
    return {component: name for component, name in workload_names(names).items() if component in SCRAPED}
