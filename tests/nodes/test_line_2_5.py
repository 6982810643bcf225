"""Dragonfly 2.5 itself: images go from node to node, and pulls go on without scheduler, peer or seed peer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dragonfly.lines.known_lines import line_of
from dragonfly.parts.work_directories import DATA
from local.cluster.control_plane import Cluster
from local.images.catalog import LINE_IMAGES
from local.nodes.containers.addresses import node_address
from local.tools.built_client import LATEST_TAG
from tests.engine.status_command import status
from tests.nodes.client_pod import ClientPod, kubectl_command
from tests.nodes.conftest import NEEDS_CLIENT, Kubectl
from tests.nodes.local_registry import LocalRegistry
from tests.nodes.mirrored_stack import NEEDS_REGISTRY, MirroredStack
from tests.nodes.node_images import NODES
from tests.nodes.own_stack import NAMES, own_stack
from tests.nodes.pods import apply, pod
from tests.nodes.reached import reached_from_pod
from tests.nodes.trusted_peers import trust, wait_for_pods
from tests.waiting import wait_until

TAG = LATEST_TAG
FIRST_PORT = 64300
PROXY_PORT, METRICS_PORT = FIRST_PORT + 1, FIRST_PORT + 4
MANAGER, PEERS, SEED_PEER, SCHEDULER = (
    f"deployment/{NAMES.manager}",
    f"daemonset/{NAMES.peer}",
    f"statefulset/{NAMES.seed_peer}",
    f"statefulset/{NAMES.scheduler}",
)
SIZE = 32 << 20
"""Bytes of each image that no node has."""

AROUND = 1 << 20
"""More than what comes with them: manifests, configs, headers."""

pytestmark = [NEEDS_REGISTRY, NEEDS_CLIENT]


class Shared(MirroredStack):
    """The installation of 2.5."""

    def push_new(self, name: str) -> str:
        """Put an image into the registry that no node has; returns its reference."""
        return self.push(name, SIZE)

    def traffic(self, pod: str, port: int = METRICS_PORT) -> dict[str, int]:
        """How many bytes a client has fetched since it started, by where they came from."""
        start = 'dragonfly_client_download_traffic{type="'
        return {
            name.removeprefix(start).removesuffix('"}'): int(value)
            for name, value in self.metrics(pod, port).items()
            if name.startswith(start)
        }

    def fetched(self) -> dict[str, int]:
        """The same of every client together."""
        clients = [*((self.peer(node), METRICS_PORT) for node in NODES), (f"{NAMES.seed_peer}-0", 8000)]
        total: dict[str, int] = {}
        for pod_name, port in clients:
            for source, size in self.traffic(pod_name, port).items():
                total[source] = total.get(source, 0) + size
        return total

    def via_peer(self, node: str) -> int:
        """How many requests a node's own peer has answered with what peers give each other."""
        name = "dragonfly_client_proxy_request_via_dfdaemon_total"
        # It is told of once there was one.
        return int(self.metrics(self.peer(node), METRICS_PORT).get(name, 0))

    def fetched_by_the_seed_peer(self, name: str) -> str:
        """Pull new images on the first node until one comes through the seed peer; returns its reference."""
        pulled: list[str] = []

        def comes() -> bool:
            before = self.traffic(f"{NAMES.seed_peer}-0", 8000).get("BACK_TO_SOURCE", 0)
            pulled.append(self.push_new(f"{name}-{len(pulled)}"))
            self.run(f"{name}-{len(pulled)}", pulled[-1], NODES[0])
            return self.traffic(f"{NAMES.seed_peer}-0", 8000).get("BACK_TO_SOURCE", 0) - before >= SIZE

        wait_until(comes, f"{name} comes through the seed peer", 60)
        return pulled[-1]

    def clients(self) -> set[str]:
        """The pods of peers and seed peer."""
        return {pod["metadata"]["name"] for component in ("dfget", "seed-peer") for pod in self.stack.pods(component)}

    def cached(self, pod: str, container: str) -> int:
        """How many bytes a client has on its disk."""
        said = self.stack.kubectl("exec", pod, f"--container={container}", "--", "du", "--bytes", "--summarize", DATA)
        return int(said.split()[0])

    def change_config(self, secret: str, changes: Mapping[str, str]) -> None:
        """Replace text in the config of a client."""
        path = "jsonpath={.data.dfdaemon\\.yaml}"
        text = base64.b64decode(self.stack.kubectl("get", "secret", secret, f"--output={path}")).decode()
        for before, now in changes.items():
            assert before in text
            text = text.replace(before, now)
        self.stack.kubectl("patch", "secret", secret, "--patch", json.dumps({"stringData": {"dfdaemon.yaml": text}}))

    def restarts(self) -> int:
        """How often containers were started again, of every pod in the namespace."""
        listed = json.loads(self.stack.kubectl("get", "pods", "--output=json"))["items"]
        return sum(each["restartCount"] for one in listed for each in one["status"].get("containerStatuses", []))


@pytest.fixture(scope="module")
def shared(
    cluster: Cluster,
    kubectl: Kubectl,
    images: list[Path],
    registry: LocalRegistry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    config = {"tag": TAG, "registryMirrors": [registry.name]}
    with own_stack(cluster, kubectl, folder, "shared", FIRST_PORT, **config) as stack:
        made = Shared(stack, registry, cluster, images[0], PROXY_PORT)
        assert made.restarts() == 0
        trust(stack, registry, PEERS, SEED_PEER, MANAGER)
        yield made


def test_nothing_is_played(shared: Shared) -> None:
    assert LINE_IMAGES[line_of(TAG).name].title.startswith("Dragonfly (")
    for workload in ("deployment/" + NAMES.manager, SCHEDULER, SEED_PEER, PEERS):
        assert "STAND-IN" not in shared.stack.kubectl("logs", workload)


def test_pods_and_other_nodes_reach_what_serves_them_and_neither_proxy_nor_profiles(shared: Shared) -> None:
    node, other = NODES
    ports = dict(zip(line_of(TAG).peer_ports, range(FIRST_PORT, FIRST_PORT + 7), strict=True))
    # Where nobody can be kept from listening, and the firewall keeps shut: it is UDP.
    del ports["peerQuicPort"]
    address = node_address(NODES.index(node))
    from_itself = {key for key, port in ports.items() if shared.open_from_node(node, "127.0.0.1", port)}
    from_another = {key for key, port in ports.items() if shared.open_from_node(other, address, port)}
    apply(shared.stack.kubectl, pod("stranger", "exec sleep infinity"))
    targets = {key: (address, port) for key, port in ports.items()}
    from_a_pod = reached_from_pod(shared.stack.kubectl, ["stranger"], targets)
    assert from_itself == set(ports)
    assert from_another == from_a_pod == set(ports) - {"proxyPort", "peerStatsPort"}


def test_an_image_on_both_nodes_at_once_leaves_its_registry_once(shared: Shared) -> None:
    reference, before = shared.push_new("everywhere"), shared.fetched()
    via = {node: shared.via_peer(node) for node in NODES}
    with ThreadPoolExecutor() as both:
        pulls = [both.submit(shared.run, f"everywhere-{node}", reference, node) for node in NODES]
    assert all("Successfully pulled" in each.result() for each in pulls)
    fetched = {source: size - before.get(source, 0) for source, size in shared.fetched().items()}
    assert SIZE <= fetched["BACK_TO_SOURCE"] < SIZE + AROUND
    # Who asked second had it from the first, or both from the seed peer.
    assert SIZE <= fetched["REMOTE_PEER"] < 2 * (SIZE + AROUND)
    assert all(shared.via_peer(node) > via[node] for node in NODES)
    # What the scheduler has counted, of which a newcomer reads.
    told = status(shared.stack.stack, "--json").document()["sharing"]
    assert told["faults"] == []
    assert told["bytesFromPeers"] >= SIZE
    assert told["bytesFromSeedPeer"] >= SIZE
    assert told["bytesFromRegistries"] + told["bytesOfSeedPeerFromRegistries"] >= SIZE
    words = status(shared.stack.stack).words
    assert "came from other nodes or the seed peer" in words
    assert "the seed peer gave" in words


def test_an_image_is_preheated_by_the_rest_api(shared: Shared, node_tools: dict[str, Path]) -> None:
    outputs = json.loads(shared.stack.stack.output("stack", "output", "--json", "--show-secrets"))
    command = kubectl_command(node_tools["kubectl"], shared.cluster.kubeconfig)
    client = ClientPod(command, "preheating", shared.stack.namespace, NAMES.app)
    client.start()
    tokens: list[str | None] = []

    def signs_in() -> bool:
        tokens.append(client.token(outputs["consoleRootPassword"]))
        return tokens[-1] is not None

    # For a while after a sign-in the manager refuses the next.
    wait_until(signs_in, "root signs in", line_of(TAG).password_cache_seconds + 5, every=1)
    token = str(tokens[-1])
    reference = shared.push_new("preheated")
    repository = reference.removeprefix(f"{shared.registry.name}/").removesuffix(":1")
    url = f"https://{shared.registry.name}/v2/{repository}/manifests/1"
    arguments = {"type": "image", "url": url, "scope": "single_seed_peer"}
    job = {"type": "preheat", "args": arguments, "scheduler_cluster_ids": [1]}

    def done() -> bool:
        found = client.signed_in(token, f"GET /api/v1/jobs/{made['id']}")
        print(found)
        return found["state"] == "SUCCESS"

    made = client.signed_in(token, "POST /api/v1/jobs", job)
    wait_until(done, "the image is preheated", 60, every=1)
    before = shared.fetched()
    assert "Successfully pulled" in shared.run("preheated", reference, NODES[0])
    fetched = {source: size - before.get(source, 0) for source, size in shared.fetched().items()}
    assert fetched.get("BACK_TO_SOURCE", 0) < AROUND
    assert fetched["REMOTE_PEER"] >= SIZE


def test_a_pull_goes_on_while_the_scheduler_is_gone(shared: Shared) -> None:
    shared.stack.kubectl("scale", SCHEDULER, "--replicas=0")
    wait_until(lambda: not shared.stack.pods("scheduler"), "the scheduler is gone", 60)
    try:
        for node in NODES:
            assert "Successfully pulled" in shared.run(
                f"unscheduled-{node}", shared.push_new(f"unscheduled-{node}"), node
            )
    finally:
        shared.stack.kubectl("scale", SCHEDULER, "--replicas=1")
    wait_for_pods(shared.stack, SCHEDULER)


def test_a_scheduler_that_has_moved_is_found_without_a_restart(shared: Shared) -> None:
    restarts = shared.restarts()

    def shares() -> bool:
        before = shared.fetched().get("REMOTE_PEER", 0)
        name = f"moved-{before}"
        shared.run(name, shared.push_new(name), NODES[0])
        return shared.fetched().get("REMOTE_PEER", 0) - before >= SIZE

    wait_until(shares, "what a node pulls comes from another again", 60)
    assert shared.restarts() == restarts


def test_a_pull_goes_on_while_the_nodes_own_peer_is_gone(shared: Shared) -> None:
    node = NODES[0]
    # The next one waits for a scheduler, and listens nowhere until there is one.
    shared.stack.kubectl("scale", SCHEDULER, "--replicas=0")
    wait_until(lambda: not shared.stack.pods("scheduler"), "the scheduler is gone", 60)
    try:
        shared.stack.kubectl("delete", "pod", shared.peer(node), "--wait=false")
        wait_until(lambda: not shared.proxy_open(node), "the peer is gone", 60)
        assert "Successfully pulled" in shared.run("peerless", shared.push_new("peerless"), node)
        assert not shared.proxy_open(node)
    finally:
        shared.stack.kubectl("scale", SCHEDULER, "--replicas=1")
    wait_until(lambda: shared.proxy_open(node), "the peer is back", 60)
    wait_for_pods(shared.stack, PEERS)


def test_a_pull_goes_on_while_the_seed_peer_is_gone(shared: Shared) -> None:
    shared.stack.kubectl("scale", SEED_PEER, "--replicas=0")
    wait_until(lambda: not shared.stack.pods("seed-peer"), "the seed peer is gone", 60)
    try:
        assert "Successfully pulled" in shared.run("seedless", shared.push_new("seedless"), NODES[1])
    finally:
        shared.stack.kubectl("scale", SEED_PEER, "--replicas=1")
    wait_for_pods(shared.stack, SEED_PEER)


def test_what_the_seed_peer_has_fetched_outlives_its_pod_on_a_disk(shared: Shared) -> None:
    shared.stack.configure({"seedPeerCacheSize": "10Gi"})
    shared.stack.up()
    reference = shared.fetched_by_the_seed_peer("kept")
    # With the pods of the peers go their caches, and with each pod what it has counted.
    shared.stack.kubectl("delete", "pods", *shared.clients())
    for workload in (PEERS, SEED_PEER):
        wait_for_pods(shared.stack, workload)
    # The schedulers know it again.
    shared.fetched_by_the_seed_peer("another")
    before = shared.fetched()
    assert "Successfully pulled" in shared.run("kept-elsewhere", reference, NODES[1])
    fetched = {source: size - before.get(source, 0) for source, size in shared.fetched().items()}
    assert fetched["BACK_TO_SOURCE"] < AROUND
    assert fetched["REMOTE_PEER"] >= SIZE


def test_a_cache_that_is_full_fails_no_pull_and_evicts_no_pod(shared: Shared) -> None:
    # In the same proportions: less is filled as fast. No test follows that would meet these limits.
    limit, number = 256 << 20, 9
    for workload, secret, own in ((PEERS, NAMES.peer_config, "24GiB"), (SEED_PEER, NAMES.seed_peer_config, "8GiB")):
        changes = {f"diskThreshold: {own}": "diskThreshold: 256MiB", "interval: 10s": "interval: 1s"}
        shared.change_config(secret, changes)
        shared.stack.kubectl("rollout", "restart", workload)
        wait_for_pods(shared.stack, workload)
    node, pods, restarts = NODES[0], shared.clients(), shared.restarts()
    before, of_peer, of_seed_peer = shared.fetched().get("BACK_TO_SOURCE", 0), list[int](), list[int]()
    for each in range(number):
        name = f"full-{each}"
        assert "Successfully pulled" in shared.run(name, shared.push_new(name), node)
        shared.stack.kubectl("delete", "pod", name, "--now")
        of_peer.append(shared.cached(shared.peer(node), "dfget"))
        of_seed_peer.append(shared.cached(f"{NAMES.seed_peer}-0", "seed-peer"))
    # Nothing went past the peers, and each of them was full.
    assert shared.fetched()["BACK_TO_SOURCE"] - before >= number * SIZE
    for kept in (of_peer, of_seed_peer):
        assert limit / 2 < max(kept) <= limit, kept
    assert (shared.clients(), shared.restarts()) == (pods, restarts)
