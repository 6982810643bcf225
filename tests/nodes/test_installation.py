"""What a first installation leaves running: who may sign in where, and that nothing had to be started twice."""

from __future__ import annotations

import pytest
from rich.console import Console

from bench.measurements import CHART_READY_SECONDS
from dragonfly.components.root_password import PUBLIC_PASSWORD
from dragonfly.parts import databases, ports
from tests.engine.cluster_objects import secret_values
from tests.nodes.client_pod import CallError
from tests.nodes.installation import NAMESPACE, Installation, wait_for

WRONG_PASSWORD = "not-the-Passw0rd"


def test_no_pod_is_held_back_until_another_is_ready(installation: Installation) -> None:
    # All made at once is what makes it fast, on a slow machine too; how fast, `make bench NODES=containers` tells.
    stages = installation.timeline.pods.values()
    assert max(pod["made"] for pod in stages) < min(pod["Ready"] for pod in stages)


def test_everything_is_ready_within_half_of_the_charts_time(installation: Installation) -> None:
    # Shown when it took longer: what went wrong on the way.
    Console().print(installation.timeline.table(), *installation.warnings, sep="\n", markup=False)
    assert installation.timeline.seconds_to_ready() <= CHART_READY_SECONDS / 2


def test_every_container_runs_and_none_was_started_twice(installation: Installation) -> None:
    started = {(container.name, container.node) for container in installation.at_first}
    every_node = {(name, node) for name in ("dfget", "registry-mirrors") for node in ("node-1", "node-2")}
    assert started >= every_node
    assert {name for name, _ in started - every_node} == {
        *("mysql", "mysqld-exporter", "redis", "redis-exporter"),
        *("manager", "scheduler", "seed-peer", "root-password"),
    }
    assert [container for container in installation.at_first if container.restarts > 0] == []


@pytest.mark.parametrize(("user", "output"), [("root", "dbRootPassword"), (databases.USER, "dbUserPassword")])
def test_mysql_lets_in_who_has_the_password_and_nobody_else(installation: Installation, user: str, output: str) -> None:
    client_pod = installation.client
    question = "SELECT CURRENT_USER(), DATABASE();\n"
    statements = f"USE {databases.DATABASE};\n{question}"
    assert client_pod.sql(user, installation.outputs[output], statements) == f"{user}@%\t{databases.DATABASE}\n"
    for password in ("", WRONG_PASSWORD):
        with pytest.raises(CallError, match="Access denied for user"):
            client_pod.sql(user, password, question)


def test_redis_lets_in_who_has_the_password_and_nobody_else(installation: Installation) -> None:
    client_pod = installation.client
    assert client_pod.redis(installation.outputs["redisPassword"], "PING\n") == "PONG\n"
    for password in ("", WRONG_PASSWORD):
        answer = client_pod.redis(password, "PING\n")
        assert "NOAUTH" in answer
        assert "PONG" not in answer


@pytest.mark.parametrize(
    ("service", "port", "metric"),
    [
        ("mysqld-exporter-svc", ports.MYSQLD_EXPORTER, "mysql_up 1"),
        ("redis-exporter-svc", ports.REDIS_EXPORTER, "redis_up 1"),
    ],
)
def test_exporters_tell_that_their_database_is_up(
    installation: Installation, service: str, port: int, metric: str
) -> None:
    status, body = installation.client.get(service, port, "/metrics")
    assert status == 200
    name = metric.split()[0]
    assert [line for line in body.splitlines() if line.startswith(f"{name} ")] == [metric]


def test_manager_answers_on_its_service(installation: Installation) -> None:
    status, _ = installation.client.get("manager-service", ports.MANAGER_REST, "/healthy")
    assert status == 200


def test_console_refuses_the_public_password_and_takes_the_stacks_own(installation: Installation) -> None:
    own = installation.outputs["consoleRootPassword"]
    secret = secret_values(installation.api, NAMESPACE, installation.names.manager_secret)
    assert secret == {"root-password": own}
    assert installation.client.sign_in(PUBLIC_PASSWORD) == 401
    signs_in(installation)


def signs_in(installation: Installation) -> None:
    """The console lets its user in with the stack's own password."""
    wait_for(installation.cache_seconds + 1, installation.sign_in_faults, "root signs in")


def test_job_of_the_password_stays_when_it_is_done_and_a_second_run_changes_nothing(installation: Installation) -> None:
    assert installation.job.status.succeeded == 1
    installation.stack.output("preview", "--refresh", "--expect-no-changes")
    before = _stored_password(installation)
    installation.delete_job()
    installation.stack.output("up", "--yes", "--skip-preview", "--refresh")
    again = installation.find_job()
    assert again.metadata.uid != installation.job.metadata.uid
    assert again.status.succeeded == 1
    # Salted anew at every change, to the same password too.
    assert _stored_password(installation) == before
    signs_in(installation)
    assert installation.client.sign_in(PUBLIC_PASSWORD) == 401


def _stored_password(installation: Installation) -> str:
    """What the manager has stored of root's password, in a table that each of its versions may name otherwise."""
    column = "encrypted_password"
    tables = f"SELECT TABLE_NAME FROM information_schema.COLUMNS WHERE COLUMN_NAME = '{column}' AND "
    (table,) = _as_root(installation, f"{tables} TABLE_SCHEMA = '{databases.DATABASE}';\n").split()
    stored = _as_root(installation, f"SELECT {column} FROM {databases.DATABASE}.{table} WHERE name = 'root';\n")
    assert stored
    return stored


def _as_root(installation: Installation, statements: str) -> str:
    return installation.client.sql("root", installation.outputs["dbRootPassword"], statements)
