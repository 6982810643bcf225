"""Two instances in one cluster: on the same nodes their peers need different ports."""

from __future__ import annotations

import pytest
from kubernetes.client.api_client import ApiClient

from local.engine.stack import StackError
from tests.engine.cluster_objects import unready_pods
from tests.engine.conftest import StackFactory
from tests.engine.status_command import status

OTHER_PORTS = {
    "peerPort": 65100,
    "proxyPort": 65101,
    "uploadPort": 65102,
    "peerHealthPort": 65103,
    "peerMetricsPort": 65104,
}

SOON_SECONDS = 10
"""Within which every pod is Ready that finds its ports free; the others are given up."""


def test_two_instances_run_in_two_namespaces_once_their_ports_differ(make_stack: StackFactory, api: ApiClient) -> None:
    first = make_stack("first", appInstanceName="dragonfly-a")
    second = make_stack("second", appInstanceName="dragonfly-b", readyTimeoutSeconds=SOON_SECONDS)
    first.output("up", "--yes", "--skip-preview")
    with pytest.raises(StackError):
        second.output("up", "--yes", "--skip-preview")
    told = status(second)
    assert told.code == 1
    # Each peer waits for a node of its own, and all for the same reason.
    assert "dragonfly-b-dfget not Ready 0 of 3 3 pods: no node takes it: 0/3 nodes are available: " in told.words
    assert "free ports" in told.words
    assert all(key in told.words.partition("-> take ports")[2] for key in OTHER_PORTS)
    other = {**OTHER_PORTS, "readyTimeoutSeconds": 60}
    second.output("config", "set-all", *(f"--plaintext=dragonfly:{key}={value}" for key, value in other.items()))
    second.output("up", "--yes", "--skip-preview")
    assert unready_pods(api, "first") == []
    assert unready_pods(api, "second") == []
    second.output("destroy", "--yes", "--skip-preview")
    assert unready_pods(api, "first") == []
