"""An API server that answers with documents: for what reads, and what sends little."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dragonfly.parts.labels import COMPONENT_LABEL
from dragonfly.parts.names import Names
from dragonfly.parts.traffic import policy_names

NAMES = Names("dragonfly-1")
NAMESPACE = "/api/v1/namespaces/p2p"
WORKLOADS = {
    "/apis/apps/v1/namespaces/p2p/deployments": [NAMES.manager],
    "/apis/apps/v1/namespaces/p2p/statefulsets": [NAMES.mysql, NAMES.redis, NAMES.scheduler, NAMES.seed_peer],
    "/apis/apps/v1/namespaces/p2p/daemonsets": [NAMES.peer],
    "/apis/batch/v1/namespaces/p2p/jobs": [NAMES.root_password_job],
}
# How often a server looks whether it is to end.
_POLL_SECONDS = 0.02


class ApiServer:
    """The server.

    Attributes:
        url: where.
        answers: status and document by path.
        asked: paths and queries, in order.
        changed: paths of what was to be changed, and to what, None where it was to be deleted, in order.
    """

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.changed: list[tuple[str, Any]] = []
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                api.asked.append((parts.path, parse_qs(parts.query)))
                status, document = api.answers.get(parts.path, (404, {"message": "not found"}))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(document.encode() if isinstance(document, str) else json.dumps(document).encode())

            def do_PATCH(self) -> None:
                assert self.headers["Content-Type"] == "application/merge-patch+json"
                text = self.rfile.read(int(self.headers["Content-Length"]))
                api.changed.append((self.path, json.loads(text)))
                self.do_GET()

            def do_DELETE(self) -> None:
                api.changed.append((self.path, None))
                self.do_GET()

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=[_POLL_SECONDS], daemon=True).start()

    def lists(self, path: str, *items: dict[str, Any]) -> None:
        self.answers[path] = (200, {"items": list(items)})


def kubeconfig(url: str) -> str:
    """Return one with a single context `c`, which leads to a server."""
    return json.dumps(
        {
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }
    )


@contextmanager
def installed_api_server() -> Generator[ApiServer]:
    """Run a server that has, in the namespace p2p, an installation with nothing left to wish for."""
    server = ApiServer()
    server.answers[NAMESPACE] = (200, {"metadata": {}})
    for path, names in WORKLOADS.items():
        server.lists(path, *(workload(name, is_job=path.endswith("jobs")) for name in names))
    server.lists(
        f"{NAMESPACE}/persistentvolumeclaims",
        *({"metadata": {"name": name}, "status": {"phase": "Bound"}} for name in NAMES.claims()),
    )
    server.lists(f"{NAMESPACE}/services", *({"metadata": {"name": name}} for name in NAMES.services()))
    server.lists(
        "/apis/networking.k8s.io/v1/namespaces/p2p/networkpolicies",
        *({"metadata": {"name": name}} for name in policy_names(NAMES).values()),
    )
    for path in (f"{NAMESPACE}/pods", f"{NAMESPACE}/events", "/api/v1/nodes"):
        server.lists(path)
    try:
        yield server
    finally:
        server.server.shutdown()
        server.server.server_close()


def workload(name: str, *, is_job: bool = False, ready: int = 1) -> dict[str, Any]:
    """Return a workload of one replica, or a Job that is done."""
    replicas = {"updatedReplicas": 1, "replicas": 1, "readyReplicas": ready}
    status = {"conditions": [{"type": "Complete", "status": "True"}]} if is_job else replicas
    return {
        "metadata": {"labels": {COMPONENT_LABEL: "a"}, "name": name},
        "spec": {"replicas": 1},
        "status": status,
    }


def stack_on(url: str, **config: str) -> dict[str, dict[str, Any]]:
    """Return what the played CLI says of a stack whose kubeconfig leads to a server.

    Args:
        url: the server's.
        config: keys of the stack besides.
    """
    values = {"provisionCluster": "false", "namespace": "p2p", **config}
    entries: dict[str, Any] = {f"dragonfly:{key}": {"value": value, "secret": False} for key, value in values.items()}
    entries["dragonfly:kubeconfig"] = {"value": kubeconfig(url), "secret": True}
    return {"config": {"out": json.dumps(entries)}, "stack export": {"out": '{"deployment": {}}'}}
