"""What Google Cloud is told to tell of an installation, and whom."""

from __future__ import annotations

import json
import re

import pytest

from dragonfly.monitoring.alerts import alerts
from dragonfly.monitoring.panels import panels
from dragonfly.monitoring.scope import CloudCluster, Scope
from dragonfly.parts.names import Names
from tests.program.recorded.gke_stack import all_dependencies, cluster, configured_gke, only, run_gke
from tests.program.recorded.recorded_program import WORKLOADS, RecordedProgram, Resource

CHANNEL = "gcp:monitoring/notificationChannel:NotificationChannel"
POLICY, DASHBOARD = "gcp:monitoring/alertPolicy:AlertPolicy", "gcp:monitoring/dashboard:Dashboard"
SCOPE = Scope("default", Names("dragonfly-1"), CloudCluster("dragonfly-cluster", "us-west1-a"))
ALERTS = alerts(SCOPE, counts_transfers=True)


def of_type(recorded: RecordedProgram, type_: str) -> list[Resource]:
    return [one for one in recorded.resources if one.type == type_]


def test_there_is_a_policy_for_each_alert() -> None:
    policies = {one.name: one.manifest for one in of_type(run_gke(tag="2.5.1"), POLICY)}
    assert policies.keys() == {alert.name for alert in ALERTS}
    for alert in ALERTS:
        (condition,) = policies[alert.name]["conditions"]
        asked = condition["conditionPrometheusQueryLanguage"]
        assert (asked["query"], asked["duration"]) == (alert.expression, f"{60 * alert.minutes}s")
        assert policies[alert.name]["severity"] == alert.severity.upper()
        # Nothing is measured before the installation, and of some things nothing ever.
        assert asked["disableMetricValidation"] is True
        told = policies[alert.name]["documentation"]["content"]
        assert alert.remedy in told
        assert set(re.findall(r"\$\{[^}]*\}", told)) == {
            "${metric.label.value}" if name == "value" else f"${{metric_or_resource.label.{name}}}"
            for name in re.findall(r"\{(\w+)\}", alert.summary)
        }


def test_nobody_is_told_of_what_is_not_there_yet() -> None:
    recorded = run_gke()
    installed = {one.urn for one in recorded.resources if one.kind in (*WORKLOADS, "PodMonitoring")}
    assert len(installed) > len(WORKLOADS)
    for one in [*of_type(recorded, POLICY), *of_type(recorded, DASHBOARD)]:
        assert installed <= all_dependencies(recorded, one), one.name


def test_a_channel_is_made_for_an_address_and_taken_where_it_is_there() -> None:
    recorded = configured_gke()
    (channel,) = of_type(recorded, CHANNEL)
    assert channel.manifest["labels"] == {"email_address": "on-call@example.com"}
    for policy in of_type(recorded, POLICY):
        made, there = policy.manifest["notificationChannels"]
        assert there == "projects/my-project/notificationChannels/1"
        assert made != there
        assert channel.urn in policy.dependencies
    assert of_type(run_gke(), CHANNEL) == []


def test_the_dashboard_shows_every_panel_of_this_installation() -> None:
    board = json.loads(only(run_gke(), DASHBOARD).manifest["dashboardJson"])
    tiles = board["mosaicLayout"]["tiles"]
    assert [tile["widget"]["title"] for tile in tiles] == [panel.title for panel in panels(SCOPE)]
    shown = [
        data["timeSeriesQuery"]["prometheusQuery"] for tile in tiles for data in tile["widget"]["xyChart"]["dataSets"]
    ]
    assert shown == [query.expression for panel in panels(SCOPE) for query in panel.queries]
    assert all('cluster="dragonfly-cluster",location="us-west1-a"' in query for query in shown)


@pytest.mark.parametrize("monitoring", ["none", "operator"])
def test_nothing_of_it_where_somebody_else_reads_the_metrics(monitoring: str) -> None:
    recorded = run_gke(monitoring=monitoring, metricsFrom=json.dumps(["monitoring"]))
    assert [one for one in recorded.resources if one.type.startswith("gcp:monitoring/")] == []
    assert cluster(recorded)["monitoringConfig"]["enableComponents"] == ["SYSTEM_COMPONENTS"]


def test_gke_exports_what_the_alerts_look_at() -> None:
    # "kube state metrics" of GKE, of which each component is switched on by itself; the rest comes with the system's.
    assert cluster(run_gke())["monitoringConfig"]["enableComponents"] == ["SYSTEM_COMPONENTS", "DAEMONSET"]
    exported = ("desired_number_scheduled", "number_ready", "updated_number_scheduled")
    of_daemon_sets = {f"kube_daemonset_status_{name}" for name in exported}
    asked = {name for alert in ALERTS for name in re.findall(r"kube\w+:?\w*(?=\{)", alert.expression)}
    assert asked == {*of_daemon_sets, "kubernetes_io:pod_volume_utilization"}
