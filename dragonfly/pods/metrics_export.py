"""Export of an exporter's metrics to Cloud Monitoring, as the guide's METRICS_EXPORTER_ENABLED asks for."""

from __future__ import annotations

from pulumi_kubernetes.core import v1 as core

from dragonfly.parts.container_resources import RESOURCES
from dragonfly.parts.images import Image, Images
from dragonfly.pods.security import EXPORTER_UID, container_security_context

_PREFIX = "custom.googleapis.com"


def prometheus_to_sd(component: str, exporter_port: int, images: Images) -> core.ContainerArgs:
    """Return the prometheus-to-sd sidecar of a pod.

    Args:
        component: first part of every metric's name, `mysql` or `redis`.
        exporter_port: where the pod's Prometheus exporter listens.
        images: the installation's images.
    """
    return core.ContainerArgs(
        name="prometheus-to-sd",
        image=images.reference(Image.METRICS_EXPORTER),
        command=[
            "/monitor",
            f"--stackdriver-prefix={_PREFIX}",
            f"--source={component}:http://localhost:{exporter_port}/metrics",
            "--pod-id=$(POD_NAME)",
            "--namespace-id=$(POD_NAMESPACE)",
            "--monitored-resource-type-prefix=k8s_",
        ],
        env=[_pod_field("POD_NAME", "metadata.name"), _pod_field("POD_NAMESPACE", "metadata.namespace")],
        resources=RESOURCES[Image.METRICS_EXPORTER].requirements(),
        security_context=container_security_context(EXPORTER_UID),
    )


def _pod_field(name: str, path: str) -> core.EnvVarArgs:
    return core.EnvVarArgs(
        name=name, value_from=core.EnvVarSourceArgs(field_ref=core.ObjectFieldSelectorArgs(field_path=path))
    )
