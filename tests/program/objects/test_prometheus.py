"""What tells a Prometheus where the metrics are: for both kinds, what is selected is there to be read."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from dragonfly.monitoring.metrics import SCRAPED
from dragonfly.parts.labels import COMPONENT_LABEL, Component
from dragonfly.parts.traffic import METRICS_PORTS
from tests.program.recorded.gke_stack import run_gke
from tests.program.recorded.known_stacks import DEFAULT_CONFIG
from tests.program.recorded.recorded_program import WORKLOADS, RecordedProgram, Resource, run_main

OPERATOR = {"dragonfly:monitoring": "operator", "dragonfly:metricsFrom": json.dumps(["monitoring"])}
KINDS = ("PodMonitoring", "PodMonitor")
# Some that are paid for, of either release line, and some that have a label for every node or a series for every size.
KEPT = {
    Component.MANAGER: (
        "dragonfly_manager_search_scheduler_cluster_total",
        "manager_requests_total;/api/v1/users/signin",
    ),
    Component.SCHEDULER: ("dragonfly_scheduler_traffic", "dragonfly_scheduler_download_peer_finished_failure_total"),
    Component.SEED_PEER: ("dragonfly_client_backend_request_total", "dragonfly_dfdaemon_seed_peer_download_traffic"),
    Component.PEER: ("dragonfly_client_download_traffic", "dragonfly_dfdaemon_proxy_request_via_dragonfly_total"),
    Component.MYSQL: ("mysql_up", "mysql_global_status_threads_connected"),
    Component.REDIS: ("redis_up", "redis_memory_used_bytes", "redis_connected_clients"),
}
NOT_KEPT = {
    # Whoever asks for another path makes a series.
    Component.MANAGER: ("manager_requests_total;/api/v1/users/signin/1", "manager_requests_total;/x"),
    Component.SCHEDULER: ("dragonfly_scheduler_host_traffic", "dragonfly_scheduler_announce_host_total"),
    Component.PEER: (
        "dragonfly_client_download_task_duration_milliseconds_bucket",
        "dragonfly_client_download_task_total",
        "grpc_server_handled_total",
    ),
}


@pytest.fixture(scope="module", params=["managed", "operator"])
def watched(request: pytest.FixtureRequest) -> RecordedProgram:
    """A stack that either kind of Prometheus reads, of either line."""
    if request.param == "managed":
        return run_gke(tag="2.5.1")
    return run_main({**DEFAULT_CONFIG, **OPERATOR}).completed()


def read_by(program: RecordedProgram) -> dict[Component, tuple[Resource, dict[str, Any]]]:
    """Each object with its only endpoint."""
    found: dict[Component, tuple[Resource, dict[str, Any]]] = {}
    for one in program.of_kind(*KINDS):
        (endpoint,) = one.spec.get("endpoints") or one.spec["podMetricsEndpoints"]
        found[Component(one.metadata["labels"][COMPONENT_LABEL])] = one, endpoint
    return found


def test_every_component_that_serves_metrics_is_read_and_no_other(watched: RecordedProgram) -> None:
    assert set(read_by(watched)) == {*METRICS_PORTS, Component.PEER} == set(SCRAPED)


@pytest.mark.parametrize("component", SCRAPED)
def test_what_is_selected_are_the_pods_that_listen_there(watched: RecordedProgram, component: Component) -> None:
    one, endpoint = read_by(watched)[component]
    selected = one.spec["selector"]["matchLabels"].items()
    templates = [each.spec["template"] for each in watched.of_kind(*WORKLOADS)]
    (pod,) = [pod for pod in templates if selected <= pod["metadata"]["labels"].items()]
    assert pod["metadata"]["labels"][COMPONENT_LABEL] == component
    listened = {
        port["name"]: port["containerPort"]
        for container in pod["spec"]["containers"]
        for port in container.get("ports", [])
    }
    assert listened[endpoint["port"]] == METRICS_PORTS.get(component, 65004)


@pytest.mark.parametrize("component", SCRAPED)
def test_what_is_kept_is_what_somebody_looks_at(watched: RecordedProgram, component: Component) -> None:
    _, endpoint = read_by(watched)[component]
    (rule,) = endpoint.get("metricRelabeling") or endpoint["metricRelabelings"]
    assert rule["action"] == "keep"

    def kept(name: str) -> bool:
        # A metric's name, and the value of its label `url` behind a semicolon; anchored, as Prometheus does it.
        name, _, url = name.partition(";")
        labels = {"__name__": name, "url": url}
        return bool(re.fullmatch(rule["regex"], ";".join(labels[label] for label in rule["sourceLabels"])))

    assert [name for name in KEPT[component] if not kept(name)] == []
    assert [name for name in NOT_KEPT.get(component, ()) if kept(name)] == []


def test_both_kinds_call_it_the_same(watched: RecordedProgram) -> None:
    for component, (one, endpoint) in read_by(watched).items():
        if one.kind == "PodMonitoring":
            # There it is the object's name.
            assert "node" in one.spec["targetLabels"]["metadata"]
            continue
        relabeled = {rule["targetLabel"]: rule for rule in endpoint["relabelings"]}
        assert relabeled["job"] == {"targetLabel": "job", "replacement": one.object_name}, component
        assert relabeled["node"]["sourceLabels"] == ["__meta_kubernetes_pod_node_name"]


def test_a_thousand_peers_are_read_once_a_minute(watched: RecordedProgram) -> None:
    assert {component: endpoint["interval"] for component, (_, endpoint) in read_by(watched).items()} == {
        component: "60s" if component is Component.PEER else "30s" for component in SCRAPED
    }


def test_managed_where_the_program_makes_the_cluster_and_nothing_elsewhere() -> None:
    assert {one.kind for one in run_gke().of_kind(*KINDS)} == {"PodMonitoring"}
    assert run_main(DEFAULT_CONFIG).completed().of_kind(*KINDS) == []
    assert run_gke(monitoring="none").of_kind(*KINDS) == []


def test_an_operators_objects_have_the_labels_that_its_prometheus_selects_by() -> None:
    config = {**DEFAULT_CONFIG, **OPERATOR, "dragonfly:monitoringLabels": json.dumps({"release": "prometheus"})}
    found = run_main(config).completed().of_kind("PodMonitor", "PrometheusRule")
    assert len(found) == len(SCRAPED) + 1
    for one in found:
        assert one.metadata["labels"]["release"] == "prometheus"


def test_googles_collectors_are_let_in_whomever_else_the_config_names() -> None:
    program = run_gke(metricsFrom=json.dumps(["team"]))
    (policy,) = [one for one in program.of_kind("NetworkPolicy") if one.object_name.endswith("-scheduler")]
    (sources,) = [rule["from"] for rule in policy.spec["ingress"] if "from" in rule]
    (namespaces,) = [source["namespaceSelector"]["matchExpressions"] for source in sources]
    assert namespaces[0]["values"] == ["team", "gmp-system"]


def test_only_the_first_waits_for_the_kind_and_no_pod_for_any() -> None:
    program = run_gke()
    waiting = [one.name for one in program.of_kind("PodMonitoring") if "has-kind" in one.create_hooks]
    assert waiting == ["manager-metrics"]
    (first,) = [one.urn for one in program.of_kind("PodMonitoring") if one.name in waiting]
    # Alert policies and the dashboard wait for the whole installation.
    waits = [one for one in program.resources if first in one.dependencies and not one.type.startswith("gcp:")]
    assert {one.name for one in waits} == {
        f"{component.short_name}-metrics" for component in SCRAPED if component is not Component.MANAGER
    }
