"""What the status command asks of the CLI and of the API server, what it ends with, and when it gives up."""

from __future__ import annotations

import json
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from dragonfly.access.client import connect
from dragonfly.access.objects import Cluster
from dragonfly.status import __main__ as command
from tests.program.played.played_api_server import (
    NAMES,
    NAMESPACE,
    WORKLOADS,
    ApiServer,
    kubeconfig,
    stack_on,
)
from tests.program.played.played_pulumi import PlayedPulumi
from tests.program.recorded.recorded_program import ROOT

OWN = {"labelSelector": ["app.kubernetes.io/name=dragonfly-1"]}


def run(*arguments: str) -> int:
    return command.main(["--stack", "prod", *arguments])


def test_everything_is_asked_for_once_and_where_all_is_ready_the_end_is_0(
    api: ApiServer, cli: PlayedPulumi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines()[:2] == [
        "Stack prod, namespace p2p",
        f"  {NAMES.mysql:{len(NAMES.redis_claim)}}  Ready",
    ]
    options = ["--show-secrets", "--stack", "prod", "--non-interactive"]
    assert sorted(one["arguments"] for one in cli.asked) == [
        ["config", "--json", *options],
        ["stack", "export", *options],
    ]
    assert {one["folder"] for one in cli.asked} == {str(ROOT)}
    own = [*WORKLOADS, *(f"{NAMESPACE}/{kind}" for kind in ("pods", "persistentvolumeclaims", "services"))]
    own.append("/apis/networking.k8s.io/v1/namespaces/p2p/networkpolicies")
    everybodys = [NAMESPACE, f"{NAMESPACE}/events", "/api/v1/nodes"]
    assert sorted(api.asked, key=str) == sorted([*((p, OWN) for p in own), *((p, {}) for p in everybodys)], key=str)


def test_lines_are_as_long_as_the_terminal_is_wide(
    cli: PlayedPulumi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []

    def lines(self: command.Report, width: int) -> list[str]:
        found.append(width)
        return []

    monkeypatch.setattr(command.Report, "lines", lines)
    monkeypatch.setenv("COLUMNS", "77")
    run()
    # No terminal at all.
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr(sys, "__stdout__", None)
    run()
    assert found == [77, 120]


def test_programs_get_a_document_and_the_end_is_1_where_something_is_missing(
    api: ApiServer, cli: PlayedPulumi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.lists(f"{NAMESPACE}/services")
    assert run("--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["stack"], document["ready"]) == ("prod", False)
    missing = {each["name"] for each in document["objects"] if each["state"] == "missing"}
    assert missing == set(NAMES.services())


def test_of_a_namespace_that_is_not_there_nothing_more_is_asked(
    api: ApiServer, cli: PlayedPulumi, capsys: pytest.CaptureFixture[str]
) -> None:
    del api.answers[NAMESPACE]
    assert run() == 1
    assert "The namespace p2p does not exist" in capsys.readouterr().out
    assert api.asked == [(NAMESPACE, {})]


def test_who_may_see_neither_namespace_nor_nodes_nor_events_is_told_what_he_may_see(
    api: ApiServer, cli: PlayedPulumi
) -> None:
    for path in (NAMESPACE, f"{NAMESPACE}/events", "/api/v1/nodes"):
        api.answers[path] = (403, {"message": "forbidden"})
    assert run() == 0


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((403, {"message": "pods is forbidden"}), "refuses to list pods with status 403: pods is forbidden"),
        ((500, "<html>" + "x" * 300), f"refuses to list pods with status 500: <html>{'x' * 194}"),
    ],
)
def test_a_refusal_is_told_and_the_end_is_2(
    answer: tuple[int, Any], told: str, api: ApiServer, cli: PlayedPulumi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answers[f"{NAMESPACE}/pods"] = answer
    assert run() == 2
    assert capsys.readouterr().err == f"{api.url} {told}\n"


def test_logs_last_lines_are_asked_for_and_a_refusal_is_no_log(api: ApiServer) -> None:
    with connect(kubeconfig(api.url), None) as client:
        cluster = Cluster(client, "p2p", [])
        path = f"{NAMESPACE}/pods/mysql-0/log"
        for answer, line in (((200, "first\nlast\n"), "last"), ((200, ""), None), ((403, "forbidden"), None)):
            api.answers[path] = answer
            assert cluster.last_log_line("mysql-0", "mysql", previous=True) == line
    query = {"container": ["mysql"], "previous": ["true"], "tailLines": ["50"]}
    assert api.asked == [(path, query)] * 3


def test_an_error_where_a_refusal_is_tolerated_is_told_too(api: ApiServer, cli: PlayedPulumi) -> None:
    api.answers["/api/v1/nodes"] = (500, {})
    assert run() == 2


def test_a_cluster_that_is_gone_is_told(api: ApiServer, cli: PlayedPulumi, capsys: pytest.CaptureFixture[str]) -> None:
    cli.answer(stack_on("http://127.0.0.1:1"))
    assert run() == 2
    assert capsys.readouterr() == ("", "http://127.0.0.1:1 does not answer: [Errno 111] Connection refused\n")


def test_a_cluster_of_the_stack_that_was_never_made_is_told(
    cli: PlayedPulumi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"gcp:project": {"value": "p", "secret": False}, "gcp:zone": {"value": "us-west1-a", "secret": False}}
    cli.answer({"config": {"out": json.dumps(made)}, "stack export": {"out": "{}"}})
    assert run() == 2
    assert capsys.readouterr().err == "stack prod has no cluster yet; `pulumi up` makes it\n"


def test_a_stack_that_the_cli_does_not_find_is_told_in_its_words(
    cli: PlayedPulumi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.answer({"config": {"errors": "error: no stack named 'prod' found\n", "code": 255}})
    assert run() == 2
    assert capsys.readouterr().err == "`pulumi config` failed: error: no stack named 'prod' found\n"
    monkeypatch.setenv("PATH", "/nowhere")
    assert run() == 2
    assert capsys.readouterr().err == "pulumi is not on PATH\n"


@pytest.mark.parametrize(("loading", "late", "patience"), [(1.5, 0.0, 5.0), (1.5, 4.9, 0.5), (6.0, 0.0, 2.5)], ids=str)
def test_first_answer_is_waited_for_seven_seconds_in_all_and_never_less_than_three(
    cli: PlayedPulumi, monkeypatch: pytest.MonkeyPatch, loading: float, late: float, patience: float
) -> None:
    given: list[float] = []

    def no_namespace(_: Cluster, seconds: float) -> bool:
        given.append(seconds)
        return False

    # When the command begins, has asked the CLI, begins to ask the cluster, and has its client.
    clock = iter([100.0, 100.0, 100.0, 100.0 + late])
    monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=lambda: next(clock), process_time=lambda: loading))
    monkeypatch.setattr(Cluster, "has_namespace", no_namespace)
    assert run() == 1
    assert given == [pytest.approx(patience)]


def test_what_hangs_is_given_up_in_time(
    cli: PlayedPulumi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(*_: object) -> None:
        time.sleep(60)

    monkeypatch.setattr(command, "_SECONDS_TO_A_FIRST_ANSWER", 0.0)
    monkeypatch.setattr(command, "_LEAST_SECONDS", 0.4)
    monkeypatch.setattr(command, "connect", hangs)
    before = threading.enumerate()
    started = time.monotonic()
    assert run() == 2
    assert time.monotonic() - started < 5
    assert capsys.readouterr().err == "neither the cluster nor its kubeconfig's plug-in answered within 0 s\n"
    # Who waits for no answer must not hold up the process' end either.
    assert all(thread.daemon for thread in threading.enumerate() if thread not in before)
