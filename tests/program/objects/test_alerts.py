"""Each alert fires when what it is about happens, and is silent otherwise: by Prometheus' own evaluation."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from dragonfly.monitoring.alerts import alerts
from dragonfly.monitoring.metrics import SCRAPED
from dragonfly.monitoring.panels import panels
from dragonfly.monitoring.scope import CloudCluster, Scope
from dragonfly.parts.names import Names
from tests.nodes.alert_faults import FAULTS
from tests.program.recorded.alert_rules_file import FILE, alert_rules_file, declared_rules
from tests.program.recorded.gke_stack import run_gke
from tests.program.recorded.recorded_program import Resource

SCOPE = Scope("p2p", Names("dragonfly-1"))
ON_GKE = Scope("p2p", Names("dragonfly-1"), CloudCluster("dragonfly-cluster", "us-west1-a"))
ALERTS = {alert.name: alert for alert in alerts(SCOPE, counts_transfers=True)}
NEEDS_PROMTOOL = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs prometheus: `make test-packages`")
# Of the cluster's own exporters, which the program does not declare.
OF_OTHERS = {
    "up",
    "kube_daemonset_status_desired_number_scheduled",
    "kube_daemonset_status_number_ready",
    "kube_daemonset_status_updated_number_scheduled",
    "kubernetes_io:pod_volume_utilization",
    "kubelet_volume_stats_available_bytes",
    "kubelet_volume_stats_capacity_bytes",
}
_OPERATORS = {"or", "and", "unless", "offset"}
_FUNCTIONS = {"absent", "count", "increase", "max", "rate", "sum", "topk", "vector", *_OPERATORS}
POLICY = "gcp:monitoring/alertPolicy:AlertPolicy"


def job(component: str) -> str:
    return f'namespace="p2p",job="dragonfly-1-{component}"'


def up(*down: str) -> dict[str, str]:
    jobs = ("manager", "scheduler", "seed-peer", "mysql", "redis")
    return {f"up{{{job(each)}}}": "0x60" if each in down else "1x60" for each in jobs}


def traffic(source: str, bytes_a_minute: float, who: str = "normal") -> dict[str, str]:
    name = f'dragonfly_scheduler_traffic{{{job("scheduler")},type="{source}",host_type="{who}"}}'
    return {name: f"0+{bytes_a_minute:.0f}x60"}


def claim(left: float) -> dict[str, str]:
    of_one = '{namespace="p2p",persistentvolumeclaim="dragonfly-1-mysql-pvc-dragonfly-1-mysql-0"}'
    return {
        f"kubelet_volume_stats_available_bytes{of_one}": f"{left}x60",
        f"kubelet_volume_stats_capacity_bytes{of_one}": "100x60",
    }


def sign_ins(code: int, a_minute: int) -> dict[str, str]:
    labels = f'{job("manager")},url="/api/v1/users/signin",code="{code}"'
    return {f"manager_requests_total{{{labels}}}": f"0+{a_minute}x60"}


def refused_as(host: str) -> str:
    return f'manager_requests_total{{{job("manager")},pod="m",url="/api/v1/users/signin",code="401",host="{host}"}}'


READ_ONE = f'up{{{job("manager")},pod="m"}}'
READ = {READ_ONE: "1x60"}


def cache(used: int) -> dict[str, str]:
    of_one = f'{{{job("dfget")},pod="p"}}'
    return {
        f"dragonfly_client_disk_usage_space_total{of_one}": f"{used}x60",
        f"dragonfly_client_disk_space_total{of_one}": "100x60",
    }


def missing(peers: int, updated: str = "90x60") -> dict[str, str]:
    of_ours = '{namespace="p2p",daemonset="dragonfly-1-dfget"}'
    return {
        f"kube_daemonset_status_desired_number_scheduled{of_ours}": "90x60",
        f"kube_daemonset_status_number_ready{of_ours}": f"{90 - peers}x60",
        f"kube_daemonset_status_updated_number_scheduled{of_ours}": updated,
    }


def nodes_come_and_go(old: int) -> dict[str, str]:
    """Every other minute there is a node more; some pods are of before a rollout that comes no further."""
    of_ours = '{namespace="p2p",daemonset="dragonfly-1-dfget"}'
    return {
        f"kube_daemonset_status_{which}{of_ours}": f"{f'{least} {least + 1} ' * 30}{least}"
        for which, least in {
            "desired_number_scheduled": 90,
            "number_ready": 89,
            "updated_number_scheduled": 90 - old,
        }.items()
    }


GB = 10**9


@dataclass(frozen=True)
class Case:
    """What is measured for an hour, and of what the alert tells then.

    Attributes:
        alert: its name.
        series: values a minute by series, as promtool takes them.
        fires: how often it fires after that hour.
        said: a part of the summary.
    """

    id: str
    alert: str
    series: Mapping[str, str]
    fires: int = 0
    said: str = ""


CASES = (
    Case("all up", "DragonflyComponentDown", up()),
    Case("one down", "DragonflyComponentDown", up("scheduler"), 1, "Nothing answers for dragonfly-1-scheduler."),
    # As after a pod is gone: there is no target any more.
    Case("all gone", "DragonflyComponentDown", {"up{namespace='other',job='dragonfly-1-redis'}": "1x60"}, 5),
    Case("down for a moment", "DragonflyComponentDown", {**up("redis"), f"up{{{job('redis')}}}": "1x57 0 0 0"}),
    Case("peers everywhere", "DragonflyPeersMissing", missing(0)),
    Case("two peers missing", "DragonflyPeersMissing", missing(2), 1, "2 nodes have no peer of dragonfly-1-dfget"),
    Case("peers roll", "DragonflyPeersMissing", missing(9, "0+1x60")),
    Case("peers stop rolling", "DragonflyPeersMissing", missing(9, "0+1x30 30x30"), 1, "9 nodes have no peer"),
    # A node that comes or goes is no rollout, and hides none that comes no further.
    Case("nodes come and go", "DragonflyPeersMissing", nodes_come_and_go(0), 1, "1 nodes have no peer"),
    Case("nodes come and go, peers stop rolling", "DragonflyPeersMissing", nodes_come_and_go(60), 1, "1 nodes have"),
    Case("databases there", "DragonflyDatabaseAway", {f"mysql_up{{{job('mysql')}}}": "1x60"}),
    Case("mysql away", "DragonflyDatabaseAway", {f"mysql_up{{{job('mysql')}}}": "0x60"}, 1, "dragonfly-1-mysql does"),
    Case("redis away", "DragonflyDatabaseAway", {f"redis_up{{{job('redis')}}}": "0x60"}, 1, "dragonfly-1-redis does"),
    Case("shared", "DragonflyNothingShared", {**traffic("REMOTE_PEER", 9 * GB), **traffic("BACK_TO_SOURCE", GB)}),
    Case(
        "not shared",
        "DragonflyNothingShared",
        {**traffic("REMOTE_PEER", GB), **traffic("BACK_TO_SOURCE", 3 * GB)},
        1,
        "75% of what nodes pulled came from registries, by dragonfly-1-scheduler.",
    ),
    Case("next to nothing pulled", "DragonflyNothingShared", traffic("BACK_TO_SOURCE", GB / 1000)),
    # What a seed peer is for.
    Case(
        "the seed peer fetches",
        "DragonflyNothingShared",
        {**traffic("BACK_TO_SOURCE", 9 * GB, "super"), **traffic("REMOTE_PEER", GB)},
    ),
    Case("cache half full", "DragonflyCacheDiskNearlyFull", cache(50)),
    Case("cache full", "DragonflyCacheDiskNearlyFull", cache(85), 1, "The disk with the cache of p is 85% full"),
    Case(
        "another database of the namespace away", "DragonflyDatabaseAway", {'mysql_up{namespace="p2p",job="x"}': "0x60"}
    ),
    Case("disk half full", "DragonflyDiskNearlyFull", claim(50)),
    Case(
        "disk full",
        "DragonflyDiskNearlyFull",
        claim(5),
        1,
        "The disk of dragonfly-1-mysql-pvc-dragonfly-1-mysql-0 is 95% full",
    ),
    Case("people sign in", "DragonflySignInsFail", {**sign_ins(200, 30), **sign_ins(401, 1)}),
    Case("somebody guesses", "DragonflySignInsFail", sign_ins(401, 6), 1, "60 sign-ins"),
    # As a counter is: it is there with its first value, and not before.
    Case("somebody begins to guess", "DragonflySignInsFail", {refused_as("a"): "_x55 60x5", **READ}, 1, "60 sign-ins"),
    Case(
        "somebody guesses under many names",
        "DragonflySignInsFail",
        {**{refused_as(f"h{number}"): "_x55 1x5" for number in range(40)}, **READ},
        1,
        "40 sign-ins to the console failed within ten minutes, by dragonfly-1-manager",
    ),
    # Nobody knows since when it has counted.
    Case("read for the first time", "DragonflySignInsFail", {refused_as("a"): "_x55 500x5", READ_ONE: "_x55 1x5"}),
    Case(
        "not read ten minutes ago",
        "DragonflySignInsFail",
        {refused_as("a"): "500x40 _x14 500x6", READ_ONE: "1x40 _x14 1x6"},
    ),
    Case("somebody has guessed before", "DragonflySignInsFail", {refused_as("a"): "60x60", **READ}),
    Case("the manager was started again", "DragonflySignInsFail", {refused_as("a"): "500x55 1x5", **READ}),
)


@NEEDS_PROMTOOL
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_an_alert_fires_when_it_is_so_and_only_then(case: Case, tmp_path: Path, declared: Resource) -> None:
    found = fired(tmp_path, json.loads(json.dumps(declared.spec["groups"])), case.alert, case.series)
    assert found.count("Labels:") - 1 == case.fires, found
    assert case.said in found


@NEEDS_PROMTOOL
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@pytest.mark.parametrize("cluster", ["dragonfly-cluster", "another-cluster"])
def test_so_do_google_clouds_of_their_own_cluster(case: Case, cluster: str, tmp_path: Path) -> None:
    rules = [
        {"alert": condition["alertRule"], "expr": condition["query"], "for": condition["duration"]}
        for condition in (prometheus_condition(policy) for policy in policies())
    ]
    groups = [{"name": "policies", "rules": rules}]
    found = fired(tmp_path, groups, case.alert, as_google_has_them(case.series, cluster))
    # Of another cluster's metrics nothing is ours: all are gone.
    elsewhere = 5 if case.alert == "DragonflyComponentDown" else 0
    assert found.count("Labels:") - 1 == (case.fires if cluster == "dragonfly-cluster" else elsewhere), found


def as_google_has_them(series: Mapping[str, str], cluster: str) -> dict[str, str]:
    """Name series as those of a cluster are named among all of a project."""
    found: dict[str, str] = {}
    for name, values in series.items():
        if name.startswith("kubelet_volume_stats_available"):
            pod = 'namespace_name="p2p",pod_name="dragonfly-1-mysql-0",volume_name="data"'
            labels = f'monitored_resource="k8s_pod",cluster_name="{cluster}",location="us-west1-a",{pod}'
            left = float(values.partition("x")[0])
            found[f"kubernetes_io:pod_volume_utilization{{{labels}}}"] = f"{1 - left / 100}x60"
        elif not name.startswith("kubelet"):
            found[name.replace("{", f'{{cluster="{cluster}",location="us-west1-a",', 1)] = values
    return found


def policies() -> list[Resource]:
    """The alert policies of a stack on Google Cloud."""
    return [one for one in run_gke(namespace="p2p", tag="2.5.1").resources if one.type == POLICY]


def prometheus_condition(policy: Resource) -> dict[str, Any]:
    (condition,) = policy.manifest["conditions"]
    return condition["conditionPrometheusQueryLanguage"]


def fired(folder: Path, groups: object, alert: str, series: Mapping[str, str]) -> str:
    """Return what promtool says that fires after an hour."""
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": groups}))
    # What promtool is to compare with is what it says it found: it has no other way to tell.
    test: dict[str, Any] = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": "60m", "alertname": alert, "exp_alerts": [{"exp_labels": {"no": "one"}}]}],
    }
    return promtool(folder, test)


def promtool(folder: Path, test: Mapping[str, Any]) -> str:
    """Return what promtool says that it got, of a test that expects something else."""
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "FAILED" in done.stdout + done.stderr, done.stdout + done.stderr
    return re.sub(r"\s+", " ", done.stdout + done.stderr)


@pytest.fixture(scope="module")
def declared() -> Resource:
    """The object with all alerts, as a stack in an existing cluster declares it."""
    return declared_rules("p2p")


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    assert (
        {case.alert for case in CASES if case.fires} == {case.alert for case in CASES if not case.fires} == set(ALERTS)
    )


def test_each_alert_has_a_fault_that_is_made_on_real_nodes() -> None:
    assert {fault.alert for fault in FAULTS} == set(ALERTS)


def test_the_alerts_are_declared_as_they_are_told(declared: Resource) -> None:
    (group,) = declared.spec["groups"]
    assert [rule["alert"] for rule in group["rules"]] == list(ALERTS)
    for rule in group["rules"]:
        alert = ALERTS[rule["alert"]]
        assert rule["expr"] == alert.expression
        assert rule["labels"] == {"severity": alert.severity}
        assert rule["annotations"]["description"] == alert.remedy
        assert "{value}" not in rule["annotations"]["summary"]


def test_the_file_of_rules_is_what_the_program_declares() -> None:
    assert FILE.read_text() == alert_rules_file(), "run `make metrics-table`"
    assert [rule["alert"] for rule in yaml.safe_load(FILE.read_text())["groups"][0]["rules"]] == list(ALERTS)


def test_what_a_release_line_does_not_export_is_not_declared() -> None:
    later = {name for name, alert in ALERTS.items() if alert.exporter.endswith("of 2.5")}
    assert later
    assert {alert.name for alert in alerts(SCOPE, counts_transfers=False)} == ALERTS.keys() - later
    assert {one.name for one in run_gke(namespace="p2p").resources if one.type == POLICY} == ALERTS.keys() - later
    assert {one.name for one in policies()} == ALERTS.keys()


@pytest.mark.parametrize(
    "expression",
    [
        *(alert.expression for scope in (SCOPE, ON_GKE) for alert in alerts(scope, counts_transfers=True)),
        *(query.expression for panel in panels(SCOPE) for query in panel.queries),
    ],
)
def test_what_is_asked_for_is_kept(expression: str) -> None:
    bare = re.sub(r"\{[^}]*\}|\[\w+\]|(by|on) \([^)]*\)", "", expression)
    named = {name for names in re.findall(r'__name__=~"([^"]*)"', expression) for name in names.split("|")}
    names = named | set(re.findall(r"[a-z_:]{2,}", bare)) - _FUNCTIONS
    kept = [name for scraped in SCRAPED.values() for name in (*scraped.keep, *(name for name, _ in scraped.keep_at))]
    assert names
    assert {name for name in names - OF_OTHERS if not any(re.fullmatch(each, name) for each in kept)} == set()
