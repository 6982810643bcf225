"""How often and how patiently kubelet asks each container."""

from __future__ import annotations

from typing import Any

import pytest

from tests.program.recorded.recorded_program import JOB, RecordedProgram

WAYS = ("grpc", "tcpSocket", "httpGet", "exec")
# Period, failures in a row and the time that an answer may take, in seconds.
POLICY = {"startupProbe": (1, 1800, 1), "readinessProbe": (5, 3, 3), "livenessProbe": (10, 6, 5)}


def _probes(program: RecordedProgram, kind: str) -> dict[str, dict[str, Any]]:
    containers = [one for pod in program.pods if pod.workload.kind != JOB for one in pod.containers]
    return {one["name"]: one[kind] for one in containers if kind in one}


@pytest.mark.parametrize("kind", POLICY)
def test_one_policy_for_all(program: RecordedProgram, kind: str) -> None:
    probes = _probes(program, kind)
    assert len(probes) >= 6
    for name, probe in probes.items():
        (way,) = (key for key in probe if key in WAYS)
        period, failures, timeout = POLICY[kind]
        expected = {"periodSeconds": period, "failureThreshold": failures, "timeoutSeconds": timeout}
        assert {key: value for key, value in probe.items() if key != way} == expected, name


def test_databases_are_asked_in_their_own_way(program: RecordedProgram) -> None:
    # MySQL opens its port when it serves. Redis opens it while it still reads its data; only a PONG tells, and a slow
    # one is no reason for a restart.
    script = 'test "$(REDISCLI_AUTH="$(cat /run/secrets/redis/password)" redis-cli -p 6379 ping)" = PONG'
    ping = {"command": ["sh", "-c", script]}
    for kind in POLICY:
        assert _probes(program, kind)["mysql"]["tcpSocket"] == {"port": 3306}
    for kind in ("startupProbe", "readinessProbe"):
        assert _probes(program, kind)["redis"]["exec"] == ping
    assert _probes(program, "livenessProbe")["redis"]["tcpSocket"] == {"port": 6379}


def test_exporters_answer_at_their_root(program: RecordedProgram) -> None:
    probes = _probes(program, "livenessProbe")
    assert probes["mysqld-exporter"]["httpGet"] == {"path": "/", "port": 9104}
    assert probes["redis-exporter"]["httpGet"] == {"path": "/", "port": 9121}
