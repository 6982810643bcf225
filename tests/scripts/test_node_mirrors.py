"""The script that writes registry mirrors onto a node, run by a real shell on a node made of two folders."""

from __future__ import annotations

import subprocess
import time
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from dragonfly.components.node_mirrors import NodeMirrors, hosts_file
from dragonfly.parts.registry_mirrors import registry_mirror

CERTS = "/etc/containerd/certs.d"
NAMED = f'[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "{CERTS}"\n'
PORT = 65001


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
def node(tmp_path: Path) -> Node:
    mirrors = [registry_mirror("docker.io"), registry_mirror("quay.io")]
    container = NodeMirrors(mirrors, PORT, CERTS).container("example.com/client:v2.1.0", "default/dragonfly-1")
    return Node(tmp_path, cast("list[str]", container.command))


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
        assert text.endswith(hosts_file(registry_mirror("quay.io"), PORT))
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


@pytest.mark.parametrize(
    ("hosts", "leads"),
    [
        # As GKE writes it, told by `containerdConfig`.
        (("http://127.0.0.1:65001", "https://mirror.gcr.io"), True),
        (("https://mirror.gcr.io", "http://127.0.0.1:65001"), False),
        (("http://127.0.0.1:65009",), False),
        (("https://mine.example.com",), False),
    ],
)
def test_a_file_of_others_that_leads_to_the_peer_is_told_as_such(
    node: Node, hosts: tuple[str, ...], leads: bool
) -> None:
    (node.config / "config.toml").write_text(NAMED)
    theirs = node.hosts / "docker.io" / "hosts.toml"
    theirs.parent.mkdir()
    text = "server = 'https://docker.io'\n\n[host]\n"
    for host in hosts:
        text += f"  [host.'{host}']\n    capabilities = ['pull', 'resolve']\n"
        if host.startswith("http:"):
            header = "X-Dragonfly-Registry = ['https://registry-1.docker.io']"
            text += f"    dial_timeout = '1s'\n    [host.'{host}'.header]\n      {header}\n"
    theirs.write_text(text)
    with node.running(WRITTEN) as output:
        assert ("pulls from docker.io go through the peer, by a hosts.toml that is not ours" in output) == leads
        assert ("docker.io/hosts.toml is not ours: left as it is" in output) != leads
    assert theirs.read_text() == text


def test_without_the_peers_header_a_file_of_others_does_not_lead_to_the_registry(node: Node) -> None:
    (node.config / "config.toml").write_text(NAMED)
    theirs = node.hosts / "docker.io" / "hosts.toml"
    theirs.parent.mkdir()
    theirs.write_text("[host.'http://127.0.0.1:65001']\n")
    with node.running(WRITTEN) as output:
        assert "docker.io/hosts.toml is not ours: left as it is" in output


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
