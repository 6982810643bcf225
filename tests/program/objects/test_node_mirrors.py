"""The container that writes registry mirrors onto the nodes of an existing cluster; `tests/scripts` runs its script."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from dragonfly.components.node_mirrors import hosts_file
from dragonfly.parts.registry_mirrors import registry_mirror
from tests.program.recorded.gke_stack import run_gke
from tests.program.recorded.recorded_program import Pod, RecordedProgram, run_main

EXISTING = {"dragonfly:provisionCluster": "false"}
CERTS = "/etc/containerd/certs.d"


@pytest.fixture(scope="module")
def program() -> RecordedProgram:
    return run_main({**EXISTING, "dragonfly:registryMirrors": json.dumps(["docker.io", "quay.io"])})


def writer(pod: Pod) -> dict[str, Any]:
    return pod.container("registry-mirrors")


def test_only_the_peer_has_it(program: RecordedProgram) -> None:
    found = [pod.workload.kind for pod in program.pods if writer_or_none(pod)]
    assert found == ["DaemonSet"]


def writer_or_none(pod: Pod) -> dict[str, Any] | None:
    return next((one for one in pod.containers if one["name"] == "registry-mirrors"), None)


def test_nodes_of_an_own_cluster_have_the_mirrors_by_themselves() -> None:
    assert not any(writer_or_none(pod) for pod in run_gke().pods)


def test_no_mirrors_no_container() -> None:
    program = run_main({**EXISTING, "dragonfly:registryMirrors": "[]"})
    assert not any(writer_or_none(pod) for pod in program.pods)


def test_it_has_no_privilege_beyond_one_directory(program: RecordedProgram) -> None:
    pod = program.pod("-dfget")
    assert writer(pod)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": False,
        "runAsUser": 0,
        "runAsGroup": 0,
    }
    host_paths = {one["name"]: one["hostPath"]["path"] for one in pod.spec["volumes"] if "hostPath" in one}
    writable = [host_paths[one["name"]] for one in writer(pod)["volumeMounts"] if not one.get("readOnly")]
    assert writable == [CERTS]
    assert set(host_paths.values()) == {CERTS, "/etc/containerd"}


def test_peer_itself_sees_nothing_of_the_node_and_is_nobody_there(program: RecordedProgram) -> None:
    pod = program.pod("-dfget")
    host_volumes = {one["name"] for one in pod.spec["volumes"] if "hostPath" in one}
    assert not host_volumes & {one["name"] for one in pod.container("dfget")["volumeMounts"]}
    assert pod.spec["securityContext"]["runAsNonRoot"] is True
    assert "runAsNonRoot" not in pod.container("dfget")["securityContext"]
    assert "hostPID" not in pod.spec


def test_it_takes_next_to_nothing(program: RecordedProgram) -> None:
    assert writer(program.pod("-dfget"))["resources"] == {
        "requests": {"cpu": "5m", "memory": "8Mi"},
        "limits": {"cpu": "100m", "memory": "32Mi"},
    }


def test_it_needs_no_image_of_its_own(program: RecordedProgram) -> None:
    pod = program.pod("-dfget")
    assert writer(pod)["image"] == pod.container("dfget")["image"]


def test_directory_follows_the_config() -> None:
    path = "/var/lib/rancher/k3s/agent/etc/containerd/certs.d"
    pod = run_main({**EXISTING, "dragonfly:registryConfigPath": path}).pod("-dfget")
    assert [one["hostPath"]["path"] for one in pod.spec["volumes"] if "hostPath" in one] == [
        path,
        path[: -len("/certs.d")],
    ]
    assert path in writer(pod)["command"]


@pytest.mark.parametrize(
    "path", ["/", "/etc", "/etc/passwd", "containerd/certs.d", "/etc/containerd/../x", "/etc/containerd"]
)
def test_no_other_directory_of_the_node_can_be_named(path: str) -> None:
    recorded = run_main({**EXISTING, "dragonfly:registryConfigPath": path})
    assert "registryConfigPath" in str(recorded.error)


def test_file_says_what_a_node_pool_would_be_told() -> None:
    document = tomllib.loads(hosts_file(registry_mirror("docker.io"), 65001))
    assert document["server"] == "https://registry-1.docker.io"
    assert list(document["host"]) == ["http://127.0.0.1:65001", "https://mirror.gcr.io"]
    peer = document["host"]["http://127.0.0.1:65001"]
    assert peer["capabilities"] == ["pull", "resolve"]
    assert peer["header"] == {"X-Dragonfly-Registry": "https://registry-1.docker.io"}


def test_instances_know_their_own_files(program: RecordedProgram) -> None:
    another = run_main({**EXISTING, "dragonfly:appInstanceName": "another"})
    assert writer(program.pod("-dfget"))["command"][4] == "default/dragonfly-1"
    assert writer(another.pod("-dfget"))["command"][4] == "default/another"
