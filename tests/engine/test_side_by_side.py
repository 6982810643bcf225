"""Two instances in one cluster: on the same nodes their peers need different ports."""

from __future__ import annotations

import pytest
from kubernetes.client.api_client import ApiClient

from local.stack import StackError
from tests.engine.cluster_objects import unready_pods
from tests.engine.conftest import StackFactory

OTHER_PORTS = {
    "peerPort": 65100,
    "proxyPort": 65101,
    "uploadPort": 65102,
    "peerHealthPort": 65103,
    "peerMetricsPort": 65104,
}


def test_two_instances_run_in_two_namespaces(make_stack: StackFactory, api: ApiClient) -> None:
    first = make_stack("first", appInstanceName="dragonfly-a")
    second = make_stack("second", appInstanceName="dragonfly-b", **OTHER_PORTS)
    first.output("up", "--yes", "--skip-preview")
    second.output("up", "--yes", "--skip-preview")
    assert unready_pods(api, "first") == []
    assert unready_pods(api, "second") == []
    second.output("destroy", "--yes", "--skip-preview")
    assert unready_pods(api, "first") == []


def test_an_instance_on_taken_ports_is_told_so(make_stack: StackFactory) -> None:
    first = make_stack("owner", appInstanceName="dragonfly-c", **OTHER_PORTS)
    second = make_stack("latecomer", appInstanceName="dragonfly-d", readyTimeoutSeconds=10, **OTHER_PORTS)
    first.output("up", "--yes", "--skip-preview")
    with pytest.raises(StackError, match="free ports"):
        second.output("up", "--yes", "--skip-preview")
