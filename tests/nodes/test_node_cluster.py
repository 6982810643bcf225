"""Nodes that run containers: what pods find on them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.cluster.control_plane import Cluster, ClusterError
from local.nodes.containers.cgroups import Cgroups
from tests.nodes.conftest import Kubectl, kubectl_of
from tests.nodes.pods import apply, pod, service
from tests.waiting import wait_until, while_busy

START_SECONDS = 30
"""Within which a node must be Ready beside two others, tools and images built."""

OUTSIDE = "1.1.1.1"
"""An address that most machines reach."""

# Asks a kubelet for its pods without a certificate, whoever it is; prints the status of the answer.
STRANGER = """
import http.client, ssl
kubelet = http.client.HTTPSConnection("192.0.2.2", 10250, timeout=5, context=ssl._create_unverified_context())
kubelet.request("GET", "/pods")
print(kubelet.getresponse().status)
"""

SERVE = "mkdir -p /tmp/www && hostname > /tmp/www/index.html && echo serving && exec httpd -f -p 8080 -h /tmp/www"
PROBE = {"readinessProbe": {"httpGet": {"port": 8080, "path": "/"}, "periodSeconds": 1}}


@pytest.fixture(scope="module")
def client_pod(kubectl: Kubectl) -> str:
    """A pod on the first node from which the others are asked."""
    apply(kubectl, pod("client", "exec sleep infinity", nodeName="node-1"))
    return "client"


@pytest.fixture
def sh(kubectl: Kubectl, client_pod: str) -> Kubectl:
    """Runs a shell command in that pod; what it writes, error output included."""

    def run(command: str) -> str:
        return kubectl("exec", client_pod, "--", "/bin/sh", "-c", f"{{ {command}; }} 2>&1 || true")

    return run


def test_a_service_has_a_name_and_leads_to_pods_on_every_node(kubectl: Kubectl, sh: Kubectl) -> None:
    backends = [pod(f"web-{node}", SERVE, nodeName=f"node-{node}", container=PROBE) for node in (1, 2)]
    for backend in backends:
        backend["metadata"]["labels"] = {"test": "web"}
    apply(kubectl, *backends, service("web", "web"))
    address = kubectl("get", "service", "web", "--output=jsonpath={.spec.clusterIP}")
    assert address in sh("nslookup web.default.svc.cluster.local")
    answers: set[str] = set()

    def both_answered() -> bool:
        answers.add(sh("wget -q -O - http://web").strip())
        return answers >= {"web-1", "web-2"}

    wait_until(both_answered, "both pods answer", 20)
    # Over the nodes' own network, past kube-proxy.
    far = kubectl("get", "pod", "web-2", "--output=jsonpath={.status.podIP}")
    assert sh(f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {far} 8080").endswith("web-2\n")


def test_logs_and_exec_reach_pods_on_every_node(kubectl: Kubectl) -> None:
    for node in ("node-1", "node-2"):
        apply(kubectl, pod(f"talker-{node}", "echo said on $HOSTNAME; exec sleep infinity", nodeName=node))
        assert kubectl("logs", f"talker-{node}") == f"said on talker-{node}\n"
        assert kubectl("exec", "-i", f"talker-{node}", "--", "cat", text="typed") == "typed"


def test_a_claim_is_a_folder_for_the_pods_group_on_any_node_and_goes_with_the_claim(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "standard",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    secure = {
        "securityContext": {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    user = {
        "container": secure,
        "securityContext": {
            "runAsUser": 999,
            "runAsGroup": 999,
            "runAsNonRoot": True,
            "fsGroup": 999,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    }
    write, read = "echo kept > /data/file && exec sleep infinity", "cat /data/file && exec sleep infinity"
    apply(kubectl, claim, pod("writer", write, nodeName="node-1", **json.loads(json.dumps(user))))
    kubectl("delete", "pod", "writer")
    apply(kubectl, pod("reader", read, nodeName="node-2", **user))
    assert kubectl("logs", "reader") == "kept\n"
    volume = kubectl("get", "persistentvolumeclaim", "data", "--output=jsonpath={.spec.volumeName}")
    folder = cluster.state / "volumes" / volume
    assert (folder / "file").read_text() == "kept\n"
    kubectl("delete", "pod", "reader")
    kubectl("delete", "persistentvolumeclaim", "data")
    wait_until(lambda: not folder.exists(), "the folder is removed", 20)


def test_nothing_leads_out_of_the_cluster(kubectl: Kubectl, sh: Kubectl) -> None:
    assert "Network is unreachable" in sh(f"nc -w 5 {OUTSIDE} 80")
    assert "NXDOMAIN" in sh("nslookup example.com")
    apply(kubectl, service("empty", "nobody"), pod("on-node", "exec sleep infinity", hostNetwork=True))
    # kube-proxy refuses it, or kube-router, before it, lets it go to where there is no route: at once, either way.
    assert re.search("Connection refused|No route to host", sh("nc -w 5 empty 80"))
    assert "unreachable" in kubectl("exec", "on-node", "--", "/bin/sh", "-c", f"nc -w 5 {OUTSIDE} 80 2>&1 || true")


def test_kubelets_talk_only_to_whom_the_cluster_trusts(cluster: Cluster, sh: Kubectl) -> None:
    answer = sh("printf 'GET /pods HTTP/1.0\\r\\n\\r\\n' | nc -w 3 192.0.2.2 10250")
    assert "400" in answer
    holder = next(line.split()[0] for line in cluster.processes() if line.endswith("sleep infinity"))
    command = ["nsenter", f"--net=/proc/{holder}/ns/net", sys.executable, "-c", STRANGER]
    run = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert run.stdout == "401\n", run.stderr


def test_a_node_that_was_off_comes_back_with_its_pods(cluster: Cluster, kubectl: Kubectl) -> None:
    apply(kubectl, pod("survivor", SERVE, nodeName="node-2", container=PROBE))
    restarts = ("get", "pod", "survivor", "--output=jsonpath={.status.containerStatuses[0].restartCount}")
    before = kubectl(*restarts)
    cluster.stop_node("node-2")
    assert not cluster.running()
    cluster.start_node("node-2")

    def logs() -> str:
        files = sorted((cluster.state / "logs").glob("*node-2*.log"))
        return "\n".join(f"{file.name}: ... {file.read_text(errors='replace')[-400:]}" for file in files)

    wait_until(lambda: kubectl(*restarts) > before, "kubelet starts the pod again", 60, logs)
    kubectl("wait", "--for=condition=Ready", "--timeout=60s", "pod/survivor")
    assert cluster.running()


def test_an_unknown_node_cannot_be_stopped(cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match="there is no node node-9, only node-1, node-2"):
        cluster.stop_node("node-9")


def test_a_cluster_keeps_its_kind_of_nodes(cluster: Cluster) -> None:
    other = Cluster(cluster.state, node_count=2, tools={"etcd": Path("/bin/false")})
    with pytest.raises(ClusterError, match="no binary was given"):
        other.start()
    other = Cluster(cluster.state, node_count=2)
    with pytest.raises(ClusterError, match=r"has nodes of the kind containers, not kwok: `make down` first"):
        other.start()
    assert cluster.running()


def test_a_cluster_that_was_stopped_goes_on_within_the_time(small: Cluster, node_tools: dict[str, Path]) -> None:
    started = time.monotonic()
    small.start()
    assert time.monotonic() - started < while_busy(START_SECONDS)
    kubectl = kubectl_of(small, node_tools)
    apply(kubectl, pod("stays", "exec sleep infinity"))
    small.stop()
    assert Cgroups(small.state).left() == []
    assert small.start() is True
    kubectl("wait", "--for=condition=Ready", "--timeout=60s", "pod/stays")
    assert small.start() is False
