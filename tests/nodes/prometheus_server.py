"""A Prometheus in a pod that reads what the stack's PodMonitors tell, as the operator would configure it.

As kube-prometheus-stack has it, it reads kube-state-metrics, which runs beside it, and every kubelet too.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from kubernetes import client
from kubernetes.client.api_client import ApiClient

from dragonfly.access.port_forward import page_of_pod
from dragonfly.parts.images import Image
from local.images.catalog import default_references
from local.tools import toolchain
from local.tools.catalog import KUBE_STATE_METRICS
from tests.nodes.conftest import Kubectl

NEEDS_PROMETHEUS = pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs it: `make test-packages`")
"""Mark of tests of one."""

NAME = "prometheus"
_PROGRAM, _CONFIG = "/usr/bin/prometheus", "/etc/prometheus"
_PORT, _STATE_PORT, _KUBELET_PORT = 9090, 8080, 10250
_CALL_SECONDS = 10
_OF = "tests/of-namespace"
# Answers of two seconds were seen where other tests run beside these.
_SCRAPE_SECONDS = 5


def scrape_config(pod_monitor: Mapping[str, Any], pods: Iterable[Any]) -> dict[str, Any]:
    """Return what the operator makes of a PodMonitor (prometheus-operator, pkg/prometheus/promcfg.go), read more often.

    Args:
        pod_monitor: as the API server gives it, with one endpoint.
        pods: of its namespace. Debian's Prometheus is built without the discovery of Kubernetes' pods.
    """
    metadata, spec = pod_monitor["metadata"], pod_monitor["spec"]
    (endpoint,) = spec["podMetricsEndpoints"]
    kept = [
        {"action": "keep", "source_labels": [f"__meta_kubernetes_pod_label_{label}"], "regex": re.escape(value)}
        for label, value in _sanitized(spec["selector"]["matchLabels"])
    ]
    port = {"action": "keep", "source_labels": ["__meta_kubernetes_pod_container_port_name"], "regex": endpoint["port"]}
    own = [
        {"source_labels": [f"__meta_kubernetes_{source}"], "target_label": target}
        for source, target in (("namespace", "namespace"), ("pod_container_name", "container"), ("pod_name", "pod"))
    ]
    return {
        "job_name": f"podMonitor/{metadata['namespace']}/{metadata['name']}/0",
        "static_configs": [target for pod in pods for target in _discovered(pod)],
        "relabel_configs": [*kept, port, *own, *map(_rule, endpoint["relabelings"])],
        "metric_relabel_configs": [*map(_rule, endpoint["metricRelabelings"])],
    }


def _discovered(pod: Any) -> Iterator[dict[str, Any]]:
    """Return a target for each port of a pod, as the discovery of pods does (Prometheus, "kubernetes_sd_config")."""
    for container in pod.spec.containers:
        ports: list[Any] = container.ports or []
        for port in ports:
            about: dict[str, str] = {
                "namespace": pod.metadata.namespace,
                "pod_name": pod.metadata.name,
                "pod_node_name": pod.spec.node_name,
                "pod_container_name": container.name,
                "pod_container_port_name": port.name,
                **{f"pod_label_{label}": value for label, value in _sanitized(pod.metadata.labels)},
            }
            labels = {f"__meta_kubernetes_{name}": value for name, value in about.items()}
            yield {"targets": [f"{pod.status.pod_ip}:{port.container_port}"], "labels": labels}


def _sanitized(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(re.sub("[^a-zA-Z0-9_]", "_", key), value) for key, value in labels.items()]


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {re.sub("([A-Z])", lambda capital: f"_{capital[1].lower()}", key): value for key, value in rule.items()}


@dataclass(frozen=True)
class Prometheus:
    """The server.

    Attributes:
        api: of the cluster.
        namespace: where it runs.
    """

    api: ApiClient
    namespace: str

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of what an expression finds now."""
        answer = json.loads(self._page(f"/api/v1/query?query={quote(expression)}"))
        assert answer["status"] == "success", answer
        return [(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]

    def range(self, expression: str, since: float, step_seconds: int) -> list[dict[str, Any]]:
        """Return labels and values of what an expression has found since a moment of the clock."""
        span = f"start={since}&end={time.time()}&step={step_seconds}"
        return json.loads(self._page(f"/api/v1/query_range?query={quote(expression)}&{span}"))["data"]["result"]

    def targets(self) -> list[dict[str, Any]]:
        """Return what it reads, and how the last reading ended."""
        return json.loads(self._page("/api/v1/targets?state=active"))["data"]["activeTargets"]

    def _page(self, path: str) -> str:
        return page_of_pod(self.api, self.namespace, NAME, _PORT, path, _CALL_SECONDS)


@contextmanager
def prometheus_for(kubectl: Kubectl, api: ApiClient, namespace: str, watched: str) -> Generator[Prometheus]:
    """Run it for an installation that has PodMonitors.

    It does not look for pods: one that comes later is not read.

    Args:
        kubectl: on the cluster.
        api: of the cluster.
        namespace: where it runs, which is made for it and goes with it.
        watched: the installation's.
    """
    kubectl("create", "namespace", namespace)
    try:
        _start(kubectl, api, namespace, watched)
        yield Prometheus(api, namespace)
    finally:
        kubectl("delete", "clusterroles,clusterrolebindings", f"--selector={_OF}={namespace}")
        kubectl("delete", "namespace", namespace)


def _start(kubectl: Kubectl, api: ApiClient, namespace: str, watched: str) -> None:
    custom: Any = client.CustomObjectsApi(api)
    monitors = custom.list_namespaced_custom_object("monitoring.coreos.com", "v1", watched, "podmonitors")["items"]
    core: Any = client.CoreV1Api(api)
    pods = core.list_namespaced_pod(watched, label_selector="!batch.kubernetes.io/job-name").items
    state_program = str(toolchain.provide([KUBE_STATE_METRICS])[KUBE_STATE_METRICS])
    resources = ["--resources=daemonsets", f"--namespaces={watched}", f"--port={_STATE_PORT}"]
    _run(
        kubectl,
        _pod(namespace, KUBE_STATE_METRICS, state_program, resources, "/healthz", _STATE_PORT),
        _allowed(namespace, KUBE_STATE_METRICS, {"apiGroups": ["apps"], "resources": ["daemonsets"]}),
    )
    state = core.read_namespaced_pod(KUBE_STATE_METRICS, namespace)
    nodes = core.list_node().items
    addresses = [address.address for node in nodes for address in node.status.addresses if address.type == "InternalIP"]
    jobs = [*(scrape_config(one, pods) for one in monitors), _of_state(state.status.pod_ip), _of_kubelets(addresses)]
    often = {"scrape_interval": f"{_SCRAPE_SECONDS}s", "scrape_timeout": f"{_SCRAPE_SECONDS}s"}
    data = {"prometheus.yml": yaml.safe_dump({"global": often, "scrape_configs": jobs})}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": namespace}, "data": data}
    kubectl("apply", "-f", "-", text=json.dumps(config))
    options = [f"--config.file={_CONFIG}/prometheus.yml", "--storage.tsdb.path=/data"]
    pod = _pod(namespace, NAME, _PROGRAM, [*options, f"--web.listen-address=:{_PORT}"], "/-/ready", _PORT)
    pod["spec"]["containers"][0]["volumeMounts"] += [
        {"name": "config", "mountPath": _CONFIG},
        {"name": "data", "mountPath": "/data"},
    ]
    pod["spec"]["volumes"] += [
        {"name": "config", "configMap": {"name": NAME}},
        {"name": "data", "emptyDir": {"medium": "Memory"}},
    ]
    _run(kubectl, pod, _allowed(namespace, NAME, {"apiGroups": [""], "resources": ["nodes/metrics"]}))


def _of_state(address: str) -> dict[str, Any]:
    return {
        "job_name": KUBE_STATE_METRICS,
        # Its metrics' labels are of what they are about, and stay.
        "honor_labels": True,
        "static_configs": [{"targets": [f"{address}:{_STATE_PORT}"]}],
    }


def _of_kubelets(addresses: Iterable[str]) -> dict[str, Any]:
    return {
        "job_name": "kubelet",
        "scheme": "https",
        "tls_config": {"insecure_skip_verify": True},
        "authorization": {"credentials_file": "/var/run/secrets/kubernetes.io/serviceaccount/token"},
        "honor_labels": True,
        "static_configs": [{"targets": [f"{address}:{_KUBELET_PORT}" for address in addresses]}],
        "metric_relabel_configs": [
            {"action": "keep", "source_labels": ["__name__"], "regex": "kubelet_volume_stats_.*"}
        ],
    }


def _pod(namespace: str, name: str, program: str, options: Sequence[str], ready: str, port: int) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": name,
        # Any of Debian, for which the program was linked.
        "image": default_references().reference(Image.REDIS),
        "imagePullPolicy": "IfNotPresent",
        "command": [program, *options],
        "readinessProbe": {"httpGet": {"path": ready, "port": port}, "periodSeconds": 1},
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [{"name": "program", "mountPath": program, "readOnly": True}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "serviceAccountName": name,
            "containers": [container],
            "volumes": [{"name": "program", "hostPath": {"path": program, "type": "File"}}],
            "terminationGracePeriodSeconds": 1,
        },
    }


def _allowed(namespace: str, name: str, rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a service account that may read something, of the whole cluster."""
    group, role = "rbac.authorization.k8s.io", f"{namespace}-{name}"
    metadata = {"name": role, "labels": {_OF: namespace}}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": metadata,
            "rules": [{**rule, "verbs": ["get", "list", "watch"]}],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    ]


def _run(kubectl: Kubectl, pod: Mapping[str, Any], others: Iterable[Mapping[str, Any]]) -> None:
    """Make a pod and what it needs, and wait until it is Ready."""
    items = [*others, pod]
    kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    name, own = pod["metadata"]["name"], f"--namespace={pod['metadata']['namespace']}"
    try:
        kubectl("wait", "--for=condition=Ready", "--timeout=30s", own, f"pod/{name}")
    except AssertionError as error:
        raise AssertionError(kubectl("describe", "pod", own, name) + kubectl("logs", own, name)) from error
