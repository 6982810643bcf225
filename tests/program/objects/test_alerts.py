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

from dragonfly.monitoring.alerts import Alert, alerts
from dragonfly.monitoring.metrics import SCRAPED
from dragonfly.parts.names import Names
from tests.program.recorded.known_stacks import DEFAULT_CONFIG
from tests.program.recorded.recorded_program import Resource, run_main

NAMES = Names("dragonfly-1")
ALERTS = {alert.name: alert for alert in alerts("p2p", NAMES)}
NEEDS_PROMTOOL = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs prometheus: `make test-packages`")
# Of the cluster's own exporters, which the program does not declare.
OF_OTHERS = {
    "kube_daemonset_status_number_unavailable",
    "kubelet_volume_stats_available_bytes",
    "kubelet_volume_stats_capacity_bytes",
}
_FUNCTIONS = {"absent", "increase", "sum", "by", "or", "and", "unless", "offset", "namespace", "job", "up"}


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
    return f'manager_requests_total{{{job("manager")},url="/api/v1/users/signin",code="401",host="{host}"}}'


def cache(used: int) -> dict[str, str]:
    of_one = f'{{{job("dfget")},pod="p"}}'
    return {
        f"dragonfly_client_disk_usage_space_total{of_one}": f"{used}x60",
        f"dragonfly_client_disk_space_total{of_one}": "100x60",
    }


def unavailable(peers: int) -> dict[str, str]:
    return {'kube_daemonset_status_number_unavailable{namespace="p2p",daemonset="dragonfly-1-dfget"}': f"{peers}x60"}


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
    Case("peers everywhere", "DragonflyPeersMissing", unavailable(0)),
    Case("two peers missing", "DragonflyPeersMissing", unavailable(2), 1, "2 nodes have no peer"),
    Case("databases there", "DragonflyDatabaseAway", {f"mysql_up{{{job('mysql')}}}": "1x60"}),
    Case("mysql away", "DragonflyDatabaseAway", {f"mysql_up{{{job('mysql')}}}": "0x60"}, 1, "dragonfly-1-mysql does"),
    Case("redis away", "DragonflyDatabaseAway", {f"redis_up{{{job('redis')}}}": "0x60"}, 1, "dragonfly-1-redis does"),
    Case("shared", "DragonflyNothingShared", {**traffic("REMOTE_PEER", 9 * GB), **traffic("BACK_TO_SOURCE", GB)}),
    Case(
        "not shared",
        "DragonflyNothingShared",
        {**traffic("REMOTE_PEER", GB), **traffic("BACK_TO_SOURCE", 3 * GB)},
        1,
        "75% of what nodes pulled",
    ),
    Case("next to nothing pulled", "DragonflyNothingShared", traffic("BACK_TO_SOURCE", GB / 1000)),
    # What a seed peer is for.
    Case(
        "the seed peer fetches",
        "DragonflyNothingShared",
        {**traffic("BACK_TO_SOURCE", 9 * GB, "super"), **traffic("REMOTE_PEER", GB)},
    ),
    Case("cache half full", "DragonflyCacheNearlyFull", cache(50)),
    Case("cache full", "DragonflyCacheNearlyFull", cache(85), 1, "85% full"),
    Case(
        "another database of the namespace away", "DragonflyDatabaseAway", {'mysql_up{namespace="p2p",job="x"}': "0x60"}
    ),
    Case("disk half full", "DragonflyDiskNearlyFull", claim(50)),
    Case("disk full", "DragonflyDiskNearlyFull", claim(5), 1, "dragonfly-1-mysql-pvc-dragonfly-1-mysql-0 has 5% left"),
    Case("people sign in", "DragonflySignInsFail", {**sign_ins(200, 30), **sign_ins(401, 1)}),
    Case("somebody guesses", "DragonflySignInsFail", sign_ins(401, 6), 1, "60 sign-ins"),
    # As a counter is: it is there with its first value, and not before.
    Case("somebody begins to guess", "DragonflySignInsFail", {refused_as("a"): "_x55 60x5"}, 1, "60 sign-ins"),
    Case(
        "somebody guesses under many names",
        "DragonflySignInsFail",
        {refused_as(f"h{number}"): "_x55 1x5" for number in range(40)},
        1,
        "40 sign-ins",
    ),
    Case("somebody has guessed before", "DragonflySignInsFail", {refused_as("a"): "60x60"}),
    Case("the manager was started again", "DragonflySignInsFail", {refused_as("a"): "500x55 1x5"}),
)


@NEEDS_PROMTOOL
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_an_alert_fires_when_it_is_so_and_only_then(case: Case, tmp_path: Path, declared: Resource) -> None:
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": json.loads(json.dumps(declared.spec["groups"]))}))
    # What promtool is to compare with is what it says it found: it has no other way to tell.
    test: dict[str, Any] = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "alert_rule_test": [
            {"eval_time": "60m", "alertname": case.alert, "exp_alerts": [{"exp_labels": {"no": "one"}}]}
        ],
    }
    found = promtool(tmp_path, test)
    assert found.count("Labels:") - 1 == case.fires, found
    assert case.said in found


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
    config = {
        "dragonfly:monitoring": "operator",
        "dragonfly:metricsFrom": json.dumps(["monitoring"]),
        "dragonfly:namespace": "p2p",
    }
    (found,) = run_main({**DEFAULT_CONFIG, **config}).completed().of_kind("PrometheusRule")
    return found


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    assert (
        {case.alert for case in CASES if case.fires} == {case.alert for case in CASES if not case.fires} == set(ALERTS)
    )


def test_the_alerts_are_declared_as_they_are_told(declared: Resource) -> None:
    (group,) = declared.spec["groups"]
    assert [rule["alert"] for rule in group["rules"]] == list(ALERTS)
    for rule in group["rules"]:
        alert = ALERTS[rule["alert"]]
        assert rule["expr"] == alert.expression
        assert rule["labels"] == {"severity": alert.severity}
        assert rule["annotations"] == {"summary": alert.summary, "description": alert.remedy}


@pytest.mark.parametrize("alert", ALERTS.values(), ids=lambda alert: alert.name)
def test_what_an_alert_looks_at_is_kept(alert: Alert) -> None:
    bare = re.sub(r"\{[^}]*\}|\[\w+\]", "", alert.expression)
    names = set(re.findall(r"[a-z_]{2,}", bare)) - _FUNCTIONS
    kept = [name for scraped in SCRAPED.values() for name in (*scraped.keep, *(name for name, _ in scraped.keep_at))]
    assert {name for name in names - OF_OTHERS if not any(re.fullmatch(each, name) for each in kept)} == set()
