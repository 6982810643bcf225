"""What the API server's own Pod Security Admission says of every pod that the program declares."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, cast

import pytest
from kubernetes import client
from kubernetes.client.api_client import ApiClient

from tests.program.objects.test_pod_security_exceptions import documented
from tests.program.recorded.gke_stack import run_gke
from tests.program.recorded.known_stacks import CONFIGURED_CONFIG, DEFAULT_CONFIG, LINE_2_5_CONFIG, SECRET_KEYS
from tests.program.recorded.recorded_program import Pod, RecordedProgram, run_main
from tests.waiting import wait_until

NAMESPACE = "restricted"
PEER = "dfget"
WITH_MIRRORS = {"dragonfly:provisionCluster": "false"}

EXCEPTIONS = {
    "host namespaces": "host network",
    "hostPort": "host network",
    "restricted volume types": "directory of the node",
    "hostPath volumes": "directory of the node",
    "runAsNonRoot != true": "runs as root",
    "runAsUser=0": "runs as root",
}
"""Of the page, by what the API server says (k8s.io/pod-security-admission/policy)."""

NOT_JUDGED = {"every taint tolerated", "directory of the node, read-only"}
"""Of the page: a toleration is no matter of it, and a mount is none besides its volume."""


@pytest.fixture(scope="module")
def restricted(api: ApiClient) -> Iterator[str]:
    """A namespace that takes no other pods."""
    core: Any = client.CoreV1Api(api)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    core.create_namespace({"metadata": {"name": NAMESPACE, "labels": labels}})
    accounts = core.list_namespaced_service_account
    wait_until(lambda: bool(accounts(NAMESPACE).items), "the namespace has its service account", 20)
    yield NAMESPACE
    core.delete_namespace(NAMESPACE)


def refusal(api: ApiClient, namespace: str, pod: Pod) -> str:
    """What is said of a pod, which is not made; empty where it is taken."""
    core: Any = client.CoreV1Api(api)
    # The class is another object's matter.
    spec = {key: value for key, value in pod.spec.items() if key != "priorityClassName"}
    # The engine's protocol has no whole numbers.
    whole = json.loads(json.dumps(spec), parse_float=lambda text: int(float(text)))
    manifest = {"metadata": {"name": "judged", "labels": pod.labels}, "spec": whole}
    try:
        core.create_namespaced_pod(namespace, manifest, dry_run="All")
    except client.ApiException as error:
        return str(cast("Any", error).body)
    return ""


def exceptions_in(said: str) -> set[str]:
    """The page's words for what a refusal names."""
    (listed,) = re.findall(r"violates PodSecurity \\\"restricted:latest\\\": (.*?)\",\"reason", said)
    # What it says in brackets has commas of its own.
    faults = re.sub(r"\([^()]*(?:\([^()]*\)[^()]*)*\)", "", listed).split(", ")
    return {EXCEPTIONS[each.strip()] for each in faults}


@pytest.mark.parametrize(
    "run",
    [
        lambda: run_main(DEFAULT_CONFIG),
        lambda: run_main(CONFIGURED_CONFIG, SECRET_KEYS),
        lambda: run_main(LINE_2_5_CONFIG),
        lambda: run_main(WITH_MIRRORS),
        run_gke,
        lambda: run_gke(tag="2.5.1", seedPeerCacheSize="100Gi", metricsExporterEnabled="true"),
    ],
    ids=["default", "configured", "2.5", "mirrors", "gke", "gke-2.5"],
)
def test_the_api_server_takes_all_but_the_peers_and_refuses_these_for_what_the_page_tells(
    api: ApiClient, restricted: str, run: Any
) -> None:
    program: RecordedProgram = run().completed()
    has_writer = any(len(pod.containers) > 1 for pod in program.pods if pod.workload.object_name.endswith(PEER))
    expected = {
        exception
        for workload, container, exception in documented()
        if workload == PEER and (container == "all" or has_writer)
    }
    refused = {
        pod.workload.object_name.removeprefix(f"{program.app}-"): said
        for pod in program.pods
        if (said := refusal(api, restricted, pod))
    }
    assert set(refused) == {PEER}
    assert exceptions_in(refused[PEER]) == expected - NOT_JUDGED
