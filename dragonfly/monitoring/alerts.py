"""What somebody is told of who runs an installation, as PromQL over the metrics that are kept.

Each says which program exports what it looks at: where that program is not, the alert never fires.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dragonfly.monitoring.metrics import SIGN_IN, job_names
from dragonfly.parts.labels import Component
from dragonfly.parts.names import Names


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
        summary: what is wrong, in Prometheus' template language.
        remedy: what to do.
        exporter: which program exports the metrics.
    """

    name: str
    expression: str
    minutes: int
    severity: Severity
    summary: str
    remedy: str
    exporter: str

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of the alert, by which an Alertmanager sends it to somebody."""
        return {"severity": self.severity.value}


_DOWN = (Component.MANAGER, Component.SCHEDULER, Component.SEED_PEER, Component.MYSQL, Component.REDIS)

# Without it a single layer would decide.
_LEAST_BYTES = 10**9
_MOST_SIGN_INS = 20


def alerts(namespace: str, names: Names) -> list[Alert]:
    """Return all alerts of an installation.

    Args:
        namespace: where it is.
        names: of its objects.
    """
    here, jobs = f'namespace="{namespace}"', job_names(names)
    scheduler = f'{here},job="{jobs[Component.SCHEDULER]}"'
    traffic = f"increase(dragonfly_scheduler_traffic{{{scheduler},%s}}[10m])"
    from_registries = "sum by (namespace, job) (" + traffic % 'host_type="normal",type="BACK_TO_SOURCE"' + ")"
    pulled = "sum by (namespace, job) (" + traffic % 'host_type="normal",type=~"BACK_TO_SOURCE|REMOTE_PEER"' + ")"
    refused = f'manager_requests_total{{{here},job="{jobs[Component.MANAGER]}",url="{SIGN_IN}",code="401"}}'
    claims = "|".join(names.claims())
    of_claims = f'{here},persistentvolumeclaim=~"{claims}"'
    clients = f'{here},job=~"{jobs[Component.SEED_PEER]}|{jobs[Component.PEER]}"'
    return [
        Alert(
            "DragonflyComponentDown",
            # What is gone has no `up` at all.
            f'sum by (namespace, job) (up{{{here},job=~"{"|".join(jobs[component] for component in _DOWN)}"}}) == 0 or '
            + " or ".join(f'absent(up{{{here},job="{jobs[component]}"}})' for component in _DOWN),
            5,
            Severity.CRITICAL,
            "Nothing answers for {{ $labels.job }}.",
            "`status` tells why; nodes go on pulling, from the registries where need be",
            "Prometheus itself",
        ),
        Alert(
            "DragonflyPeersMissing",
            f'kube_daemonset_status_number_unavailable{{{here},daemonset="{names.peer}"}} > 0',
            15,
            Severity.WARNING,
            "{{ $value }} nodes have no peer that is Ready and pull from the registries.",
            "`status` names the nodes and the reasons",
            "kube-state-metrics",
        ),
        Alert(
            "DragonflyDatabaseAway",
            f'mysql_up{{{here},job="{jobs[Component.MYSQL]}"}} == 0'
            f' or redis_up{{{here},job="{jobs[Component.REDIS]}"}} == 0',
            2,
            Severity.CRITICAL,
            "{{ $labels.job }} does not answer its exporter.",
            "`status` shows the last line of its log",
            "the two exporters",
        ),
        Alert(
            "DragonflyNothingShared",
            f"{from_registries} / {pulled} > 0.5 and {pulled} > {_LEAST_BYTES}",
            10,
            Severity.WARNING,
            "{{ $value | humanizePercentage }} of what nodes pulled came from registries.",
            "see whether the seed peer runs, and whether the peers find it",
            "the scheduler of 2.5",
        ),
        Alert(
            "DragonflyCacheNearlyFull",
            # At nine tenths kubelet ends pods.
            f"dragonfly_client_disk_usage_space_total{{{clients}}} / dragonfly_client_disk_space_total{{{clients}}}"
            " > 0.8",
            15,
            Severity.WARNING,
            "The disk with the cache of {{ $labels.pod }} is {{ $value | humanizePercentage }} full.",
            "larger disks of the nodes: `nodeDiskSize` on a GKE cluster of the stack; for the seed peer "
            "`seedPeerCacheSize`",
            "the client of 2.5",
        ),
        Alert(
            "DragonflyDiskNearlyFull",
            f"kubelet_volume_stats_available_bytes{{{of_claims}}} / kubelet_volume_stats_capacity_bytes{{{of_claims}}}"
            " < 0.1",
            15,
            Severity.CRITICAL,
            "{{ $labels.persistentvolumeclaim }} has {{ $value | humanizePercentage }} left.",
            "a larger `dbPersistentDiskSize` or `redisPersistentDiskSize`: it grows without a restart",
            "kubelet",
        ),
        Alert(
            "DragonflySignInsFail",
            # What was not there ten minutes ago counts whole: whoever guesses under another name each time makes series
            # that never increase.
            f"sum by (namespace, job) (({refused} - {refused} offset 10m >= 0)"
            f" or ({refused} unless {refused} offset 10m)) > {_MOST_SIGN_INS}",
            0,
            Severity.WARNING,
            "{{ $value | humanize }} sign-ins to the console failed within ten minutes.",
            "look who reaches it: `consoleFrom`, and whatever leads there from outside",
            "the manager of 2.5",
        ),
    ]
