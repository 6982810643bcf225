"""A real Prometheus reads every program by what the stack declares, through the network policies."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from dragonfly.monitoring.alerts import alerts
from dragonfly.monitoring.metrics import SCRAPED, job_names
from dragonfly.monitoring.panels import panels
from dragonfly.monitoring.scope import Scope
from dragonfly.parts.labels import Component
from local.cluster.kinds import define_kinds
from local.tools import toolchain
from local.tools.built_client import LATEST_TAG
from local.tools.catalog import PROMETHEUS_OPERATOR_KINDS
from tests.engine.cloud_stacks import configure
from tests.nodes.conftest import Kubectl
from tests.nodes.installation import NAMESPACE, Installation, wait_for
from tests.nodes.prometheus_server import NEEDS_PROMETHEUS, Prometheus, prometheus_for

pytestmark = NEEDS_PROMETHEUS

WATCHERS = "monitoring"
JOBS = job_names(Installation.names)
SCOPE = Scope(NAMESPACE, Installation.names)
OURS = f'{{namespace="{NAMESPACE}",pod!=""}}'
OF_LINE_2_1 = re.compile(r"\(2\.1\)")
BEFORE_THE_FIRST_PULL = {
    ("Where images came from", "other nodes"),
    ("Where images came from", "seed peer"),
    ("Where images came from", "registries"),
    ("Not fetched from a registry by the nodes", "share of bytes"),
    ("Requests of containerd", "all"),
    ("Requests of containerd", "failed"),
    ("Time that a layer took", "mean"),
    ("Requests to registries", "all"),
    ("Requests to registries", "failed"),
}
"""What nodes that pull fill is drawn by `make pictures`, which fails where a panel stays empty."""

ALERTS = {alert.name: alert for alert in alerts(SCOPE, counts_transfers=True)}
PEERS = 2
# What docs/metrics.md says of their price follows from it.
MOST_SERIES_OF_A_PEER, MOST_OTHER_SERIES = 20, 100


@pytest.fixture(scope="module")
def prometheus(installation: Installation, kubectl: Kubectl) -> Iterator[Prometheus]:
    """The server, once the installed stack tells it what to read."""
    define_kinds(installation.api, toolchain.provide([PROMETHEUS_OPERATOR_KINDS]).values())
    configure(installation.stack, monitoring="operator", metricsFrom=f'["{WATCHERS}"]')
    installation.stack.output("up", "--yes", "--skip-preview")
    try:
        with prometheus_for(kubectl, installation.api, WATCHERS, NAMESPACE) as running:
            yield running
    finally:
        configure(installation.stack, monitoring="none", metricsFrom='["gmp-system"]')
        installation.stack.output("up", "--yes", "--skip-preview")


@pytest.fixture(scope="module")
def read(prometheus: Prometheus) -> Prometheus:
    """The same, once it has read everything."""

    def missing() -> list[str]:
        targets = prometheus.targets()
        faults = [f"{one['scrapeUrl']}: {one['health']} {one['lastError']}" for one in targets if one["health"] != "up"]
        read = {one["labels"]["job"] for one in targets}
        faults += [f"nothing of {job}" for job in JOBS.values() if job not in read]
        # Of the cluster's own exporters.
        names = ("kube_daemonset_status_desired_number_scheduled", "kubelet_volume_stats_capacity_bytes")
        return faults + [f"no {name}" for name in names if not prometheus.query(f'{name}{{namespace="{NAMESPACE}"}}')]

    wait_for(60, missing, "Prometheus reads all programs")
    return prometheus


def test_every_pod_is_read_under_its_components_name(read: Prometheus, installation: Installation) -> None:
    found = [labels for labels, up in read.query(f"up{OURS}") if up == 1]
    pods = {pod.metadata.name: pod.spec.node_name for pod in installation.pods()}
    assert {one["pod"]: one["node"] for one in found} == pods
    assert len([one for one in found if one["job"] == JOBS[Component.PEER]]) == PEERS
    assert {one["namespace"] for one in found} == {NAMESPACE}
    assert len(found) == len(pods) == len(SCRAPED) - 1 + PEERS


def test_what_is_kept_is_there_and_little_of_it(read: Prometheus, tag: str) -> None:
    samples = read.query(f"scrape_samples_post_metric_relabeling{OURS}")
    kept = {labels["pod"]: int(number) for labels, number in samples}
    offered = {labels["pod"]: int(number) for labels, number in read.query(f"scrape_samples_scraped{OURS}")}
    for pod in sorted(kept):
        print(f"{pod}: {kept[pod]} of {offered[pod]} series are kept")
    assert min(kept.values()) > 0
    peers = [number for labels, number in samples if labels["job"] == JOBS[Component.PEER]]
    assert max(peers) <= MOST_SERIES_OF_A_PEER
    assert sum(kept.values()) - sum(peers) <= MOST_OTHER_SERIES
    names = {labels["__name__"] for labels, _ in read.query(OURS)}
    assert not {name for name in names if name.endswith("_bucket")}
    assert {"mysql_up", "redis_up"} <= names
    # What is played of 2.1 tells no version.
    if tag == LATEST_TAG:
        assert {f"dragonfly_{program}_version" for program in ("manager", "scheduler", "client")} <= names


def test_nobody_is_told_of_anything_while_all_is_well(read: Prometheus) -> None:
    found = {name: read.query(alert.expression) for name, alert in ALERTS.items()}
    # Claims and caches are on this machine's own disk, however full that is.
    del found["DragonflyCacheDiskNearlyFull"], found["DragonflyDiskNearlyFull"]
    assert {name: answer for name, answer in found.items() if answer} == {}


def test_every_query_of_the_dashboard_finds_something(read: Prometheus, tag: str) -> None:
    found = {
        (panel.title, query.legend): read.query(query.expression) for panel in panels(SCOPE) for query in panel.queries
    }
    empty = {name for name, answer in found.items() if not answer}
    of_2_1 = {(title, legend) for title, legend in found if OF_LINE_2_1.search(legend)}
    print(f"{tag}: nothing in {sorted(empty)}")
    if tag == LATEST_TAG:
        # It counts nothing of these before they have happened.
        assert empty <= of_2_1 | BEFORE_THE_FIRST_PULL
    else:
        assert {title for title, _ in found.keys() - empty} >= {"Peers that answer", "MySQL", "Redis", "Memory"}


def test_a_manager_that_is_gone_is_told(read: Prometheus, installation: Installation, kubectl: Kubectl) -> None:
    down = ALERTS["DragonflyComponentDown"]
    manager = (f"--namespace={NAMESPACE}", f"deployment/{Installation.names.manager}")

    def silent() -> list[str]:
        found = {labels["job"] for labels, _ in read.query(down.expression)}
        return [] if found == {JOBS[Component.MANAGER]} else [f"told of {found}"]

    kubectl("scale", "--replicas=0", *manager)
    try:
        wait_for(60, silent, "the manager is missed")
    finally:
        kubectl("scale", "--replicas=1", *manager)
        kubectl("rollout", "status", "--timeout=60s", *manager)
