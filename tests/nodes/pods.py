"""Pods of the test image, and Services before them."""

from __future__ import annotations

import json
from typing import Any

from tests.nodes.busybox_image import IMAGE
from tests.nodes.conftest import Kubectl


def pod(name: str, command: str, **spec: Any) -> dict[str, Any]:
    """A pod of the test image that runs a shell command."""
    container = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", command],
        **spec.pop("container", {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"test": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container], **spec},
    }


def service(name: str, selector: str) -> dict[str, Any]:
    """A Service on port 80 for the pods of a label, which listen on 8080."""
    spec = {"selector": {"test": selector}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def apply(kubectl: Kubectl, *manifests: dict[str, Any]) -> None:
    """Create objects and wait for the pods among them to be Ready."""
    kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}))
    pods = [f"pod/{manifest['metadata']['name']}" for manifest in manifests if manifest["kind"] == "Pod"]
    if pods:
        kubectl("wait", "--for=condition=Ready", "--timeout=60s", *pods)
