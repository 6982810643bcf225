"""A new image for each component: the manager's REST API goes on answering, the databases come back with their data."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from dragonfly import ports
from dragonfly.images import Image
from dragonfly.root_password import ROOT_PASSWORD_KEY
from local.cluster import Cluster
from local.images.catalog import default_references
from tests.nodes.conftest import Kubectl
from tests.nodes.own_stack import NAMES, NODES, OwnStack, on_node, own_stack
from tests.nodes.test_node_cluster import apply, pod

NEW_TAG = "rolled"
STATELESS = {
    Image.SCHEDULER: "scheduler",
    Image.SEED_PEER: "seed-peer",
    Image.PEER: "dfget",
}
DATABASES = {Image.MYSQL: "mysql", Image.REDIS: "redis"}

# Asks for what only somebody who is signed in sees, and what the manager reads from its database; one connection for
# each question. Writes when it asked, in seconds since the machine started, and the answer's status, or `none`.
PROBER = r"""
ask() {
  timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/$1"; cat >&3; cat <&3' "$HOST" "$PORT"
}
question='{"name":"root","password":"'$PASSWORD'"}'
token=$(printf 'POST /api/v1/users/signin HTTP/1.0\r\nContent-Length: %s\r\n\r\n%s' ${#question} "$question" |
  ask | sed -n 's/.*"token":"\([^"]*\)".*/\1/p')
while true; do
  read -r now _ </proc/uptime
  said=$(printf 'GET /api/v1/schedulers HTTP/1.0\r\nAuthorization: Bearer %s\r\n\r\n' "$token" | ask 2>&1 | head -n 1)
  case "$said" in "HTTP/1.0 200 "*) echo "$now 200" ;; *) echo "$now none $said" ;; esac
  sleep 0.1
done
"""


@dataclass(frozen=True)
class Answer:
    """One question of a prober and what came of it."""

    at: float
    status: str
    said: str


@dataclass(frozen=True)
class Watch:
    """The answers that the probers of both nodes got in a span of time."""

    answers: list[Answer]

    @property
    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.status != "200"]


class Probers:
    """A pod on each node that asks the manager's REST API, ten times a second."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        self._names = [f"prober-{node}" for node in NODES]
        password = {"secretKeyRef": {"name": NAMES.manager_secret, "key": ROOT_PASSWORD_KEY}}
        container = {
            # Its shell opens connections by itself and its libc finds names.
            "image": default_references().reference(Image.MANAGER),
            "command": ["/bin/bash", "-c", PROBER],
            "env": [
                {"name": "HOST", "value": NAMES.manager_service},
                {"name": "PORT", "value": str(ports.MANAGER_REST)},
                {"name": "PASSWORD", "valueFrom": password},
            ],
        }
        apply(
            kubectl,
            *(pod(name, "", nodeName=node, container=container) for name, node in zip(self._names, NODES, strict=True)),
        )

    @contextmanager
    def watch(self) -> Generator[Watch]:
        """What they saw in a block, and for a second before and two after it."""
        seen = Watch([])
        time.sleep(1)
        start = time.clock_gettime(time.CLOCK_BOOTTIME) - 1
        yield seen
        time.sleep(2)
        for name in self._names:
            answers = [_answer(line) for line in self._kubectl("logs", name).splitlines()]
            within = [answer for answer in answers if answer.at >= start]
            assert len(within) > 20, f"{name} asked too seldom: {answers[-5:]}"
            seen.answers.extend(within)


def _answer(line: str) -> Answer:
    at, status, *said = line.split(maxsplit=2)
    return Answer(float(at), status, " ".join(said))


def report(what: str, watch: Watch, seconds: float) -> None:
    times = [answer.at for answer in watch.failed]
    span = f", over {times[-1] - times[0]:.1f} s" if times else ""
    print(
        f"{what}: {seconds:.1f} s, {len(watch.answers)} requests, {len(watch.failed)} failed{span}: {watch.failed[:6]}"
    )


@pytest.fixture(scope="module")
def installed(cluster: Cluster, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnStack]:
    """A stack, and on every node a second name for each of its images."""
    references = default_references()
    for node in NODES:
        for image in (Image.MANAGER, *STATELESS, *DATABASES):
            old = references.reference(image)
            on_node(cluster, node, "ctr", "--namespace", "k8s.io", "images", "tag", "--force", old, new_name(image))
    folder = tmp_path_factory.mktemp("upgrade")
    with own_stack(cluster, kubectl, folder, "upgrade", 64000, registryMirrors=[]) as stack:
        yield stack


@pytest.fixture(scope="module")
def probers(installed: OwnStack) -> Probers:
    return Probers(installed.kubectl)


def new_name(image: Image) -> str:
    return f"{default_references().reference(image).rpartition(':')[0]}:{NEW_TAG}-{image.lower()}"


def roll(installed: OwnStack, components: dict[Image, str]) -> float:
    """Give components another image; how long it took until all were Ready with it."""
    before = {component: installed.pods(component) for component in components.values()}
    for image in components:
        installed.configure(f"images.{image}", new_name(image))
    started = time.monotonic()
    installed.up()
    seconds = time.monotonic() - started
    for image, component in components.items():
        assert not before[component].keys() & running_with(installed, component, new_name(image)) or component in (
            "mysql",
            "redis",
            "scheduler",
            "seed-peer",
        )
    return seconds


def running_with(installed: OwnStack, component: str, image: str) -> set[str]:
    """Names of a component's pods, which must all be Ready with an image."""
    selector = f"--selector=app.kubernetes.io/component=dragonfly-{component}"
    pods = json.loads(installed.kubectl("get", "pods", selector, "--output=json"))["items"]
    pods = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    assert pods
    for each in pods:
        assert image in [container["image"] for container in each["spec"]["containers"]]
        assert all(status["ready"] for status in each["status"]["containerStatuses"])
    return {pod["metadata"]["name"] for pod in pods}


def test_rest_api_answers_while_the_manager_moves(installed: OwnStack, probers: Probers) -> None:
    with probers.watch() as watch:
        seconds = roll(installed, {Image.MANAGER: "manager"})
    report("manager", watch, seconds)
    assert watch.failed == []


def test_rest_api_answers_while_what_it_serves_moves(installed: OwnStack, probers: Probers) -> None:
    with probers.watch() as watch:
        seconds = roll(installed, STATELESS)
    report("scheduler, seed peer, peers", watch, seconds)
    assert watch.failed == []


def test_databases_come_back_with_their_data(installed: OwnStack, probers: Probers) -> None:
    with probers.watch() as watch:
        seconds = roll(installed, DATABASES)
    report("databases", watch, seconds)
