"""A network policy beside the program's own, which lets in somebody who measures or tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragonfly.parts.labels import instance_selector


def letting_in(name: str, app: str, namespace: str) -> Mapping[str, Any]:
    """Return the policy, for the instance's namespace.

    Args:
        name: its name.
        app: the instance's name.
        namespace: of the pods that it lets in.
    """
    who = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {
            "podSelector": {"matchLabels": instance_selector(app)},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [who]}],
        },
    }
