"""The registry mirrors that the peer's pod writes onto the nodes of an existing cluster."""

from __future__ import annotations

import json
import subprocess
import time
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dragonfly.node_mirrors import hosts_file
from dragonfly.registry_mirrors import registry_mirror
from tests.unit.gke_stack import run_gke
from tests.unit.recorded_program import Pod, RecordedProgram, run_main

EXISTING = {"dragonfly:provisionCluster": "false"}
CERTS = "/etc/containerd/certs.d"
NAMED = '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n'


@pytest.fixture(scope="module")
def program() -> RecordedProgram:
    return run_main({**EXISTING, "dragonfly:registryMirrors": json.dumps(["docker.io", "quay.io"])})


def writer(pod: Pod) -> dict[str, Any]:
    return pod.container("registry-mirrors")


# --- The container


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


# --- The files


def test_file_says_what_a_node_pool_would_be_told() -> None:
    document = tomllib.loads(hosts_file(registry_mirror("docker.io"), 65001))
    assert document["server"] == "https://registry-1.docker.io"
    assert list(document["host"]) == ["http://127.0.0.1:65001", "https://mirror.gcr.io"]
    peer = document["host"]["http://127.0.0.1:65001"]
    assert peer["capabilities"] == ["pull", "resolve"]
    assert peer["header"] == {"X-Dragonfly-Registry": "https://registry-1.docker.io"}


# --- The script, on a node made of two folders


class Node:
    def __init__(self, folder: Path, command: list[str]) -> None:
        self.config, self.hosts = folder / "containerd", folder / "hosts"
        self.config.mkdir()
        self.hosts.mkdir()
        self._command = command

    @contextmanager
    def running(self, expected: str) -> Generator[str]:
        """The container, from the first output that says what is expected until it is told to end."""
        process = subprocess.Popen(
            self._command,
            env={"PATH": "/usr/bin:/bin", "HOSTS": str(self.hosts), "CONFIG": str(self.config)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        lines: list[str] = []
        try:
            deadline = time.monotonic() + 10
            while expected not in "".join(lines) and time.monotonic() < deadline:
                lines.append(process.stdout.readline())
            yield "".join(lines)
        finally:
            process.terminate()
            assert process.wait(timeout=10) == 0
            process.stdout.close()

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.hosts)) for path in self.hosts.rglob("*"))


@pytest.fixture
def node(tmp_path: Path, program: RecordedProgram) -> Node:
    return Node(tmp_path, writer(program.pod("-dfget"))["command"])


WRITTEN = "pulls from quay.io go through the peer"


@pytest.mark.parametrize(
    "config",
    [
        NAMED,
        "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\n\tconfig_path = '/etc/containerd/certs.d'\n",
        '[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path="/etc/docker/certs.d:/etc/containerd/certs.d"\n[x]\n',
    ],
    ids=["version-2", "version-3", "several"],
)
def test_it_writes_a_file_for_each_registry_and_removes_it(node: Node, config: str) -> None:
    (node.config / "config.toml").write_text(config)
    with node.running(WRITTEN):
        assert node.files() == ["docker.io", "docker.io/hosts.toml", "quay.io", "quay.io/hosts.toml"]
        text = (node.hosts / "quay.io" / "hosts.toml").read_text()
        assert text.endswith(hosts_file(registry_mirror("quay.io"), 65001))
        assert tomllib.loads(text)["server"] == "https://quay.io"
    assert node.files() == []


def test_drop_in_config_counts_too(node: Node) -> None:
    (node.config / "config.toml").write_text('imports = ["/etc/containerd/conf.d/*.toml"]\n')
    (node.config / "conf.d").mkdir()
    (node.config / "conf.d" / "mirrors.toml").write_text(NAMED)
    with node.running(WRITTEN):
        assert "quay.io/hosts.toml" in node.files()


@pytest.mark.parametrize(
    "config",
    [
        None,
        "",
        '[plugins."io.containerd.grpc.v1.cri".registry]\n  # config_path = "/etc/containerd/certs.d"\n',
        '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/somewhere/else"\n',
        '[plugins."io.containerd.grpc.v1.cri".registry]\n[other]\n  config_path = "/etc/containerd/certs.d"\n',
    ],
    ids=["no-file", "empty", "commented-out", "elsewhere", "another-table"],
)
def test_it_says_so_where_containerd_would_ignore_the_files(node: Node, config: str | None) -> None:
    if config is not None:
        (node.config / "config.toml").write_text(config)
    with node.running("ignore mirrors") as output:
        assert "does not name /etc/containerd/certs.d as its config_path" in output
        assert node.files() == []


def test_it_leaves_files_of_others_as_they_are(node: Node) -> None:
    (node.config / "config.toml").write_text(NAMED)
    theirs = node.hosts / "docker.io" / "hosts.toml"
    theirs.parent.mkdir()
    theirs.write_text('server = "https://mine.example.com"\n')
    (node.hosts / "ghcr.io").mkdir()
    with node.running(WRITTEN) as output:
        assert f"{CERTS}/docker.io/hosts.toml is not ours" in output
    assert theirs.read_text() == 'server = "https://mine.example.com"\n'
    assert node.files() == ["docker.io", "docker.io/hosts.toml", "ghcr.io"]


def test_directory_that_was_there_stays(node: Node) -> None:
    (node.config / "config.toml").write_text(NAMED)
    (node.hosts / "quay.io").mkdir()
    with node.running(WRITTEN):
        pass
    assert node.files() == ["quay.io"]


def test_file_that_somebody_changed_is_no_longer_ours(node: Node) -> None:
    (node.config / "config.toml").write_text(NAMED)
    file = node.hosts / "quay.io" / "hosts.toml"
    with node.running(WRITTEN):
        file.write_text(file.read_text() + "# and more\n")
    assert file.read_text().endswith("# and more\n")


def test_directory_behind_a_link_is_not_followed(node: Node, tmp_path: Path) -> None:
    (node.config / "config.toml").write_text(NAMED)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (node.hosts / "docker.io").symlink_to(elsewhere)
    with node.running(WRITTEN):
        assert not list(elsewhere.iterdir())


def test_what_a_killed_one_left_is_taken_up_and_removed(node: Node) -> None:
    (node.config / "config.toml").write_text(NAMED)
    with node.running(WRITTEN):
        left = {path: (node.hosts / path).read_text() for path in node.files() if path.endswith(".toml")}
    # Of a registry that is no longer in the list, too.
    for path, text in {**left, "ghcr.io/hosts.toml": left["quay.io/hosts.toml"]}.items():
        (node.hosts / path).parent.mkdir()
        (node.hosts / path).write_text(text)
    with node.running(WRITTEN):
        assert node.files() == ["docker.io", "docker.io/hosts.toml", "quay.io", "quay.io/hosts.toml"]
    assert node.files() == []


def test_instances_know_their_own_files(program: RecordedProgram) -> None:
    another = run_main({**EXISTING, "dragonfly:appInstanceName": "another"})
    assert writer(program.pod("-dfget"))["command"][4] == "default/dragonfly-1"
    assert writer(another.pod("-dfget"))["command"][4] == "default/another"
