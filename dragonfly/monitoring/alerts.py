"""What somebody is told of who runs an installation, as PromQL over the metrics that are kept.

Each says which program exports what it looks at: where that program is not, the alert never fires.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dragonfly.monitoring.metrics import SIGN_IN, Fetcher, Source
from dragonfly.monitoring.scope import Scope
from dragonfly.parts.labels import Component
from dragonfly.parts.names import DATA_VOLUME


class Severity(StrEnum):
    """How soon somebody has to look."""

    CRITICAL = "critical"
    """Pulls, preheats or the console fail now, or will soon."""

    WARNING = "warning"
    """It works, but not as it was meant to."""


@dataclass(frozen=True)
class Alert:
    """One alert.

    Attributes:
        name: its name.
        expression: PromQL, which finds something when it is to fire.
        minutes: how long it must find something before it fires.
        severity: how soon somebody has to look.
        summary: what is wrong; names of the labels of what was found stand in braces, and `value` for the number.
        remedy: what to do.
        exporter: which program exports the metrics.
        shown_as: Prometheus' function that writes the number for people.
        beyond: how much is too much, for people; empty where anything is.
    """

    name: str
    expression: str
    minutes: int
    severity: Severity
    summary: str
    remedy: str
    exporter: str
    shown_as: str = "humanize"
    beyond: str = ""


_DOWN = (Component.MANAGER, Component.SCHEDULER, Component.SEED_PEER, Component.MYSQL, Component.REDIS)

# Without it a single layer would decide.
_LEAST_BYTES = 10**9
_MOST_FROM_REGISTRIES, _FULLEST_CACHE_DISK, _FULLEST_DISK = 0.5, 0.8, 0.9
_MOST_SIGN_INS = 20


def alerts(scope: Scope, *, counts_transfers: bool) -> list[Alert]:
    """Return the alerts of an installation whose metrics somebody exports.

    Args:
        scope: the installation.
        counts_transfers: whether its release line exports what clients have fetched and keep, and who signed in.
    """
    return [*_of_every_line(scope), *(_of_transfers(scope) if counts_transfers else [])]


def _of_transfers(scope: Scope) -> list[Alert]:
    def increased(*sources: Source) -> str:
        return f"sum by (namespace, job) (increase({scope.traffic(Fetcher.NODE, *sources)}[10m]))"

    from_registries, pulled = increased(Source.REGISTRIES), increased(*Source)
    manager = scope.labels(Component.MANAGER)
    refused = f"manager_requests_total{{{scope.labels(Component.MANAGER, url=SIGN_IN, code='401')}}}"
    clients = scope.labels(Component.SEED_PEER, Component.PEER)
    return [
        Alert(
            "DragonflyNothingShared",
            f"{from_registries} / {pulled} > {_MOST_FROM_REGISTRIES} and {pulled} > {_LEAST_BYTES}",
            10,
            Severity.WARNING,
            "{value} of what nodes pulled came from registries, by {job}.",
            "see whether the seed peer runs, and whether the peers find it",
            "the scheduler of 2.5",
            "humanizePercentage",
            f"{_MOST_FROM_REGISTRIES:.0%} of what was pulled in ten minutes, of {_LEAST_BYTES / 1e9:.0f} GB at least",
        ),
        Alert(
            "DragonflyCacheDiskNearlyFull",
            # The whole file system's, mostly a node's own disk. At nine tenths kubelet ends pods.
            f"dragonfly_client_disk_usage_space_total{{{clients}}} / dragonfly_client_disk_space_total{{{clients}}}"
            f" > {_FULLEST_CACHE_DISK}",
            15,
            Severity.WARNING,
            "The disk with the cache of {pod} is {value} full.",
            "larger disks of the nodes, `nodeDiskSize` on a GKE cluster of the stack: a cache keeps to its own size; "
            "for a seed peer with a disk of its own, a larger `seedPeerCacheSize`",
            "the client of 2.5",
            "humanizePercentage",
            f"{_FULLEST_CACHE_DISK:.0%}",
        ),
        Alert(
            "DragonflySignInsFail",
            # What was not there ten minutes ago, though the manager was read, counts whole: whoever guesses under
            # another name each time makes series that never increase. Google leaves out a series' first value.
            f"sum by (namespace, job) (({refused} - {refused} offset 10m >= 0)"
            f" or (({refused} unless {refused} offset 10m) and on (namespace, pod) (up{{{manager}}} offset 10m == 1)))"
            f" > {_MOST_SIGN_INS}",
            0,
            Severity.WARNING,
            "{value} sign-ins to the console failed within ten minutes, by {job}.",
            "look who reaches it: `consoleFrom`, and whatever leads there from outside",
            "the manager of 2.5",
            beyond=f"{_MOST_SIGN_INS} within ten minutes",
        ),
    ]


def _of_every_line(scope: Scope) -> list[Alert]:
    peers = scope.labels(daemonset=scope.names.peer)
    wanted, ready, updated = (
        f"kube_daemonset_status_{which}{{{peers}}}"
        for which in ("desired_number_scheduled", "number_ready", "updated_number_scheduled")
    )
    return [
        Alert(
            "DragonflyComponentDown",
            # What is gone has no `up` at all.
            f"sum by (namespace, job) (up{{{scope.labels(*_DOWN)}}}) == 0 or "
            + " or ".join(f"absent(up{{{scope.labels(component)}}})" for component in _DOWN),
            5,
            Severity.CRITICAL,
            "Nothing answers for {job}.",
            "`status` tells why; where it finds all Ready, Prometheus does not reach it: `metricsFrom`; nodes go on "
            "pulling, from the registries where need be",
            "Prometheus itself",
        ),
        Alert(
            "DragonflyPeersMissing",
            # GKE does not export how many are unavailable. A rollout over many nodes takes longer than is waited: it is
            # told of when it has as many old pods left as ten minutes ago, however many nodes come and go.
            f"{wanted} - {ready} > 0 unless ({wanted} - {updated} < {wanted} offset 10m - {updated} offset 10m)",
            15,
            Severity.WARNING,
            "{value} nodes have no peer of {daemonset} that is Ready and pull from the registries.",
            "`status` names the nodes and the reasons",
            "kube-state-metrics",
        ),
        Alert(
            "DragonflyDatabaseAway",
            f"mysql_up{{{scope.labels(Component.MYSQL)}}} == 0 or redis_up{{{scope.labels(Component.REDIS)}}} == 0",
            2,
            Severity.CRITICAL,
            "{job} does not answer its exporter.",
            "`kubectl logs` of its pod; `status` tells whether it restarts",
            "the two exporters",
        ),
        _disk_nearly_full(scope),
    ]


def _disk_nearly_full(scope: Scope) -> Alert:
    if scope.cluster is None:
        claims = scope.labels() + f',persistentvolumeclaim=~"{"|".join(scope.names.claims())}"'
        left, whole = (f"kubelet_volume_stats_{which}_bytes{{{claims}}}" for which in ("available", "capacity"))
        expression = f"1 - {left} / {whole} > {_FULLEST_DISK}"
        exporter, which = "kubelet", "persistentvolumeclaim"
    else:
        # GKE sends it in any case, and for nothing (Google Cloud documentation, "GKE system metrics").
        pods = f"{scope.names.mysql}-0|{scope.names.redis}-0"
        labels = (
            f'monitored_resource="k8s_pod",cluster_name="{scope.cluster.name}",location="{scope.cluster.location}",'
            f'namespace_name="{scope.namespace}",pod_name=~"{pods}",volume_name="{DATA_VOLUME}"'
        )
        expression = f"kubernetes_io:pod_volume_utilization{{{labels}}} > {_FULLEST_DISK}"
        exporter, which = "GKE", "pod_name"
    return Alert(
        "DragonflyDiskNearlyFull",
        expression,
        15,
        Severity.CRITICAL,
        f"The disk of {{{which}}} is {{value}} full.",
        "a larger `dbPersistentDiskSize` or `redisPersistentDiskSize`: it grows without a restart, where its "
        "StorageClass allows that",
        exporter,
        "humanizePercentage",
        f"{_FULLEST_DISK:.0%}",
    )
