"""What tells an operator's Prometheus where the metrics are, in a cluster with its kinds and in one without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.api_client import ApiClient

from local.cluster.kinds import define_kinds
from local.tools import toolchain
from local.tools.catalog import PROMETHEUS_OPERATOR_KINDS
from tests.engine.cloud_stacks import configure, failure_of
from tests.engine.cluster_objects import generations
from tests.engine.conftest import StackFactory

OPERATOR = {"monitoring": "operator", "metricsFrom": '["monitoring"]'}
COMPONENTS = ("manager", "scheduler", "seed-peer", "dfget", "mysql", "redis")


@pytest.fixture(scope="module")
def kinds() -> list[Path]:
    """The definitions of the operator's own release."""
    return list(toolchain.provide([PROMETHEUS_OPERATOR_KINDS]).values())


def pod_monitors(api: ApiClient, namespace: str) -> dict[str, Any]:
    custom: Any = client.CustomObjectsApi(api)
    found = custom.list_namespaced_custom_object("monitoring.coreos.com", "v1", namespace, "podmonitors")
    return {one["metadata"]["name"]: one for one in found["items"]}


def dashboards(api: ApiClient, namespace: str) -> list[str]:
    core: Any = client.CoreV1Api(api)
    found = core.list_namespaced_config_map(namespace, label_selector="grafana_dashboard=1")
    return [one.metadata.name for one in found.items]


def rules(api: ApiClient, namespace: str) -> list[Any]:
    custom: Any = client.CustomObjectsApi(api)
    return custom.list_namespaced_custom_object("monitoring.coreos.com", "v1", namespace, "prometheusrules")["items"]


def test_an_installed_stack_gets_them_once_the_cluster_has_the_kind(
    make_stack: StackFactory, api: ApiClient, kinds: list[Path]
) -> None:
    stack = make_stack("watched")
    stack.output("up", "--yes", "--skip-preview")
    before = generations(api, stack.name)

    configure(stack, **OPERATOR)
    for command in (("preview",), ("up", "--yes", "--skip-preview")):
        printed = failure_of(stack, *command)
        assert "the cluster has no kind PodMonitor of monitoring.coreos.com/v1" in printed
        assert "pulumi config set dragonfly:monitoring none" in printed

    define_kinds(api, kinds)
    configure(stack, monitoringLabels='{"release": "prometheus"}')
    stack.output("up", "--yes", "--skip-preview")
    stack.output("preview", "--expect-no-changes")
    found = pod_monitors(api, stack.name)
    assert found.keys() == {f"dragonfly-1-{component}" for component in COMPONENTS}
    # The real definition takes all of it: what a schema does not know is dropped without a word.
    for one in found.values():
        (endpoint,) = one["spec"]["podMetricsEndpoints"]
        assert endpoint.keys() == {"port", "interval", "relabelings", "metricRelabelings"}
        assert one["metadata"]["labels"]["release"] == "prometheus"
    (rule,) = rules(api, stack.name)
    assert {one["alert"] for group in rule["spec"]["groups"] for one in group["rules"]} >= {"DragonflyComponentDown"}
    assert dashboards(api, stack.name) == ["dragonfly-1-dashboard"]
    # No pod is replaced for it.
    assert generations(api, stack.name) == before

    configure(stack, monitoring="none", monitoringLabels="{}")
    stack.output("up", "--yes", "--skip-preview")
    assert pod_monitors(api, stack.name) == {}
    assert rules(api, stack.name) == dashboards(api, stack.name) == []
    assert generations(api, stack.name) == before
