"""Image pulls of a node's containerd go through its peer, and do without the peer when it is not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from local.cluster.control_plane import Cluster
from local.machine.processes import ProcessError
from tests.engine.status_command import status
from tests.nodes.conftest import Kubectl
from tests.nodes.local_registry import LocalRegistry
from tests.nodes.mirrored_stack import NEEDS_REGISTRY, MirroredStack
from tests.nodes.node_images import NODES, on_node
from tests.nodes.own_stack import NAMES, own_stack
from tests.nodes.pods import apply, pod
from tests.nodes.trusted_peers import trust, wait_for_pods
from tests.waiting import wait_until

pytestmark = NEEDS_REGISTRY

FIRST_PORT = 64100
PEERS = f"daemonset/{NAMES.peer}"
PROXY_PORT = FIRST_PORT + 1
HOSTS = "/etc/containerd/certs.d"
SIZE = 8 << 20
"""Bytes of each image that no node has."""

BLOBS = 2
"""That a node fetches of such an image: its config, and the layer with these bytes."""

METRICS_PORT = FIRST_PORT + 4
PROXY_COUNTERS = ("via_dragonfly", "not_via_dragonfly")
"""Of a peer's proxy (Dragonfly documentation, "Prometheus Metrics"); peers give each other what they load "via
Dragonfly", which is the layers and the config of an image."""


class Asked(NamedTuple):
    """Numbers of requests to a peer's proxy.

    Attributes:
        blobs: that peers give each other.
        others: that it passes on, such as those for manifests.
    """

    blobs: int
    others: int


class Mirrored(MirroredStack):
    """The stack of these tests."""

    def pull(self, name: str, node: str) -> str:
        """Run a pod whose image only the registry has; returns what kubelet says of the pull."""
        return self.run(name, self.push(name, SIZE), node)

    def asked_of_peer(self, node: str) -> Asked:
        """What a node's peer has been asked for since it started."""
        values = self.metrics(self.peer(node), METRICS_PORT)
        return Asked(*(int(values[f"dragonfly_dfdaemon_proxy_request_{how}_total"]) for how in PROXY_COUNTERS))

    def has_mirror(self, node: str) -> bool:
        """Whether a file tells the node's containerd of its peer."""
        try:
            return on_node(self.cluster, node, "cat", f"{HOSTS}/{self.registry.name}/hosts.toml") != ""
        except ProcessError:
            return False


@pytest.fixture(scope="module")
def mirrored(
    cluster: Cluster,
    kubectl: Kubectl,
    images: list[Path],
    registry: LocalRegistry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mirrored]:
    folder = tmp_path_factory.mktemp("mirrored")
    with own_stack(cluster, kubectl, folder, "mirrored", FIRST_PORT, registryMirrors=[registry.name]) as stack:
        trust(stack, registry, PEERS)
        made = Mirrored(stack, registry, cluster, images[0], PROXY_PORT)
        for node in NODES:
            wait_until(lambda node=node: made.has_mirror(node), f"the mirror of {node} is written", 30)
        yield made


@pytest.mark.parametrize("node", NODES)
def test_a_pull_goes_through_the_nodes_own_peer(mirrored: Mirrored, node: str) -> None:
    (other,) = set(NODES) - {node}
    own_before, other_before = mirrored.asked_of_peer(node), mirrored.asked_of_peer(other)
    assert "Successfully pulled" in mirrored.pull(f"through-{node}", node)
    own = mirrored.asked_of_peer(node)
    assert own.blobs == own_before.blobs + BLOBS
    assert own.others > own_before.others
    assert mirrored.asked_of_peer(other) == other_before


def test_a_pull_succeeds_with_the_peer_stopped_and_goes_through_it_again_later(mirrored: Mirrored) -> None:
    node = NODES[0]
    scheduler = f"statefulset/{NAMES.scheduler}"
    # A peer that finds no scheduler waits, and listens nowhere.
    mirrored.stack.kubectl("scale", scheduler, "--replicas=0")
    wait_until(lambda: not mirrored.stack.pods("scheduler"), "the scheduler is gone", 60)
    mirrored.stack.kubectl("exec", mirrored.peer(node), "--container=dfget", "--", "sh", "-c", "kill 1")
    wait_until(lambda: not mirrored.proxy_open(node), "the peer is gone", 30)
    try:
        assert "Successfully pulled" in mirrored.pull("stopped", node)
        assert not mirrored.proxy_open(node)
        assert mirrored.has_mirror(node)
    finally:
        mirrored.stack.kubectl("scale", scheduler, "--replicas=1")
    wait_until(lambda: mirrored.proxy_open(node), "the peer is back", 60)
    wait_for_pods(mirrored.stack, PEERS)
    mirrored.pull("again", node)
    assert mirrored.asked_of_peer(node).blobs == BLOBS


def told_of_nodes(mirrored: Mirrored) -> dict[str, str | None]:
    """Of each node, what the status command says is wrong with its mirrors."""
    return {each["node"]: each["reason"] for each in status(mirrored.stack.stack, "--json").document()["mirrors"]}


def test_status_tells_of_each_node_whether_it_pulls_through_its_peer(mirrored: Mirrored) -> None:
    wait_until(lambda: told_of_nodes(mirrored) == dict.fromkeys(NODES), "status says that pulls go through the peers")
    mirrored.stack.configure({"registryConfigPath": "/etc/containerd/elsewhere"})
    mirrored.stack.up()
    ignored = "containerd does not name /etc/containerd/elsewhere as its config_path"
    wait_until(lambda: told_of_nodes(mirrored) == dict.fromkeys(NODES, ignored), "status says that no mirror is asked")
    mirrored.stack.configure({"registryConfigPath": HOSTS})
    mirrored.stack.up()
    wait_until(lambda: told_of_nodes(mirrored) == dict.fromkeys(NODES), "status says that pulls go through them again")


def test_nothing_of_the_mirror_stays_on_the_nodes_and_pulls_go_on(mirrored: Mirrored, kubectl: Kubectl) -> None:
    mirrored.stack.destroy()
    for node in NODES:
        assert not mirrored.has_mirror(node)
        listed = on_node(mirrored.cluster, node, "ls", HOSTS)
        assert mirrored.registry.name not in listed
    reference = mirrored.registry.push("afterwards", mirrored.archive, os.urandom(SIZE))
    container = {"image": reference, "imagePullPolicy": "Always"}
    apply(kubectl, pod("afterwards", "exec sleep infinity", nodeName=NODES[0], container=container))
    kubectl("delete", "pod", "afterwards")
