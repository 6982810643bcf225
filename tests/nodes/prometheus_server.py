"""A Prometheus in a pod that reads what the stack's PodMonitors tell, as the operator would configure it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import yaml
from kubernetes.client.api_client import ApiClient

from dragonfly.access.port_forward import page_of_pod
from dragonfly.parts.images import Image
from local.images.catalog import default_references
from tests.nodes.conftest import Kubectl

NAME = "prometheus"
_PROGRAM, _CONFIG = "/usr/bin/prometheus", "/etc/prometheus"
_PORT = 9090
_CALL_SECONDS = 10
_SCRAPE_SECONDS = 2


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
        "scrape_interval": f"{_SCRAPE_SECONDS}s",
        "scrape_timeout": f"{_SCRAPE_SECONDS}s",
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


def start(
    kubectl: Kubectl, api: ApiClient, namespace: str, pod_monitors: Iterable[Mapping[str, Any]], pods: Sequence[Any]
) -> Prometheus:
    """Start it in a namespace that is there."""
    config = yaml.safe_dump({"scrape_configs": [scrape_config(one, pods) for one in pod_monitors]})
    container = {
        "name": NAME,
        # Any of Debian, for which the program was linked.
        "image": default_references().reference(Image.REDIS),
        "imagePullPolicy": "IfNotPresent",
        "command": [
            _PROGRAM,
            f"--config.file={_CONFIG}/prometheus.yml",
            "--storage.tsdb.path=/data",
            f"--web.listen-address=:{_PORT}",
        ],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": _PORT}, "periodSeconds": 1},
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [
            {"name": "program", "mountPath": _PROGRAM, "readOnly": True},
            {"name": "config", "mountPath": _CONFIG},
            {"name": "data", "mountPath": "/data"},
        ],
    }
    volumes = [
        {"name": "program", "hostPath": {"path": _PROGRAM, "type": "File"}},
        {"name": "config", "configMap": {"name": NAME}},
        {"name": "data", "emptyDir": {"medium": "Memory"}},
    ]
    where = {"name": NAME, "namespace": namespace}
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": where, "data": {"prometheus.yml": config}}
    spec = {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 1}
    for one in (made, {"apiVersion": "v1", "kind": "Pod", "metadata": where, "spec": spec}):
        kubectl("apply", "-f", "-", text=json.dumps(one))
    own = f"--namespace={namespace}"
    try:
        kubectl("wait", "--for=condition=Ready", "--timeout=30s", own, f"pod/{NAME}")
    except AssertionError as error:
        raise AssertionError(kubectl("describe", "pod", own, NAME) + kubectl("logs", own, NAME)) from error
    return Prometheus(api, namespace)
