"""A stack with data moves from Dragonfly 2.1, which is played, to the real 2.5."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from dragonfly.components.root_password import PUBLIC_PASSWORD
from dragonfly.lines.known_lines import line_of
from dragonfly.parts import ports
from dragonfly.parts.labels import COMPONENT_LABEL
from local.api.kubeconfig import connect
from local.cluster.control_plane import Cluster
from local.engine.stack import StackError
from local.tools.built_client import LATEST_TAG
from tests.nodes.client_pod import CallError, ClientPod, kubectl_command
from tests.nodes.conftest import NEEDS_CLIENT, Kubectl
from tests.nodes.installation import APP
from tests.nodes.local_registry import LocalRegistry
from tests.nodes.mirrored_stack import NEEDS_REGISTRY, MirroredStack
from tests.nodes.node_images import NODES, give_images
from tests.nodes.own_stack import NAMES, OwnStack, own_stack
from tests.nodes.survivors import Survivors
from tests.nodes.trusted_peers import trust
from tests.waiting import wait_until

pytestmark = [NEEDS_REGISTRY, NEEDS_CLIENT]

NAME, FIRST_PORT = "moving", 64400
OLD, NEW = "2.1.34", LATEST_TAG
IN_ORDER = ("dragonfly-manager", "dragonfly-scheduler", "dragonfly-seed-peer", "dragonfly-dfget")
LOOK_SECONDS = 0.2
IMAGE_SIZE = 1 << 20
CACHE_SECONDS = line_of(NEW).password_cache_seconds


@dataclass
class Moving:
    """The stack, and what was seen while it moved.

    Attributes:
        mirrored: the stack, whose nodes pull through their peers.
        client: a pod that asks.
        survivors: its data.
        password: of the console's user root.
        managers: the images of the managers that ran at the same time, at each look.
        first_seen: when a pod of the new line was there first, by component.
        answers: what the REST API answered at each look, or 0.
        pulls: what kubelet said of each pull of an image that no node had.
    """

    mirrored: MirroredStack
    client: ClientPod
    survivors: Survivors
    password: str
    managers: list[set[str]] = field(default_factory=list[set[str]])
    first_seen: dict[str, float] = field(default_factory=dict[str, float])
    answers: list[int] = field(default_factory=list[int])
    pulls: list[str] = field(default_factory=list[str])

    @property
    def stack(self) -> OwnStack:
        """The stack itself."""
        return self.mirrored.stack

    @contextmanager
    def watched(self, cluster: Cluster) -> Generator[None]:
        """Look at the pods, ask the REST API and pull images, again and again."""
        over = threading.Event()

        def watch() -> None:
            with connect(cluster.kubeconfig) as api:
                core: Any = client.CoreV1Api(api)
                while not over.wait(LOOK_SECONDS):
                    self._look(core.list_namespaced_pod(NAME).items)

        def ask() -> None:
            while not over.wait(LOOK_SECONDS):
                try:
                    self.answers.append(self.client.get("manager-service", ports.MANAGER_REST, "/healthy")[0])
                except CallError:
                    self.answers.append(0)

        def pull() -> None:
            while not over.wait(LOOK_SECONDS):
                name = f"pulled-{len(self.pulls)}"
                try:
                    reference = self.mirrored.push(name, IMAGE_SIZE)
                    said = self.mirrored.run(name, reference, NODES[len(self.pulls) % len(NODES)])
                except AssertionError as error:
                    # Not Running in time.
                    said = str(error)
                self.pulls.append(said)

        threads = [threading.Thread(target=each) for each in (watch, ask, pull)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def _look(self, pods: list[Any]) -> None:
        managers: set[str] = set()
        for pod in pods:
            labels: dict[str, str] = pod.metadata.labels or {}
            component = labels.get(COMPONENT_LABEL, "")
            image = pod.spec.containers[0].image
            statuses: list[Any] = pod.status.container_statuses or []
            if component == IN_ORDER[0] and any(each.state.running for each in statuses):
                managers.add(image)
            if NEW in image or "client" in image:
                self.first_seen.setdefault(component, time.monotonic())
        self.managers.append(managers)


@pytest.fixture(scope="module")
def moving(
    cluster: Cluster,
    kubectl: Kubectl,
    node_tools: dict[str, Path],
    images: list[Path],
    registry: LocalRegistry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Moving]:
    folder = tmp_path_factory.mktemp(NAME)
    give_images(cluster, NEW)
    config = {"registryMirrors": [registry.name], "tag": OLD}
    with own_stack(cluster, kubectl, folder, NAME, FIRST_PORT, **config) as stack:
        mirrored = MirroredStack(stack, registry, cluster, images[0], FIRST_PORT + 1)
        trust(stack, registry, f"daemonset/{NAMES.peer}", f"statefulset/{NAMES.seed_peer}")
        outputs = json.loads(stack.stack.output("stack", "output", "--json", "--show-secrets"))
        asking = ClientPod(kubectl_command(node_tools["kubectl"], cluster.kubeconfig), "moving-client", NAME, APP)
        asking.start()
        survivors = Survivors(asking, outputs["dbUserPassword"], outputs["redisPassword"])
        yield Moving(mirrored, asking, survivors, outputs["consoleRootPassword"])


def test_the_move_keeps_the_data_and_never_runs_two_managers(moving: Moving, cluster: Cluster) -> None:
    moving.survivors.write("before")
    moving.stack.configure({"tag": NEW})
    with moving.watched(cluster):
        moving.stack.up()
    assert moving.survivors.lost("before") == []
    assert max(len(images) for images in moving.managers) == 1
    seen = [images for images in moving.managers if images]
    assert OLD in next(iter(seen[0]))
    assert NEW in next(iter(seen[-1]))
    # The password of before is the password of now.
    wait_until(lambda: moving.client.sign_in(moving.password) == 200, "root signs in", CACHE_SECONDS + 5, every=1)
    wait_until(lambda: moving.client.sign_in(PUBLIC_PASSWORD) == 401, "the public password is refused", 5)


def test_the_rest_api_answers_but_for_the_moment_its_only_replica_moves(moving: Moving) -> None:
    silent = [number for number, status in enumerate(moving.answers) if status == 0]
    assert 0 < len(silent) == silent[-1] - silent[0] + 1 < len(moving.answers)


def test_pulls_go_on_all_the_while(moving: Moving) -> None:
    assert len(moving.pulls) > len(IN_ORDER)
    assert all("Successfully pulled" in said for said in moving.pulls), moving.pulls
    # Nor did one succeed only when kubelet tried it again.
    failed = moving.stack.kubectl("get", "events", "--field-selector=reason=Failed", "--output=name")
    assert failed == ""


def test_each_program_moved_when_the_one_before_it_had(moving: Moving) -> None:
    moved = [moving.first_seen[component] for component in IN_ORDER]
    assert moved == sorted(moved)
    assert len(set(moved)) == len(moved)


def test_the_hole_of_2_1_is_closed(moving: Moving) -> None:
    for path in ("jobs", "configs", "oauth"):
        assert moving.client.get("manager-service", ports.MANAGER_REST, f"/api/v1/{path}")[0] == 401


def test_nothing_was_started_twice_and_nothing_is_left_to_change(moving: Moving) -> None:
    listed = json.loads(moving.stack.kubectl("get", "pods", "--output=json"))["items"]
    restarts = {
        each["name"]: each["restartCount"] for pod in listed for each in pod["status"].get("containerStatuses", [])
    }
    assert set(restarts.values()) == {0}, restarts
    moving.stack.stack.output("preview", "--refresh", "--expect-no-changes")


def test_there_is_no_way_back(moving: Moving) -> None:
    moving.stack.configure({"tag": OLD})
    with pytest.raises(StackError, match=r"the manager of 2\.5 may have migrated the database"):
        moving.stack.stack.output("preview")
    moving.stack.configure({"tag": NEW})
    moving.stack.stack.output("preview", "--expect-no-changes")
