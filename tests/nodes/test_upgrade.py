"""A new image for each component: the manager's REST API goes on answering, the databases come back with their data."""

from __future__ import annotations

import datetime
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from dragonfly.components.mysql import DATABASE
from dragonfly.components.root_password import ROOT_PASSWORD_KEY
from dragonfly.lines.known_lines import line_of
from dragonfly.parts import ports
from dragonfly.parts.images import Image, Images
from local.cluster.control_plane import Cluster
from local.command_line import READY_TIMEOUT_SECONDS
from local.engine.stack import StackError
from local.images.catalog import default_references
from local.nodes.containers.container_nodes import ContainerNodes
from local.nodes.containers.containerd import images_command
from tests.nodes.conftest import SAME_IN_EACH_LINE, Kubectl
from tests.nodes.node_images import NODES, give_images, on_node
from tests.nodes.own_stack import NAMES, OwnStack, own_stack
from tests.nodes.pods import apply, pod
from tests.waiting import wait_until

FIRST_PORT = 64000
NEW_TAG = "another"
COMPONENTS = {
    Image.MANAGER: "manager",
    Image.SCHEDULER: "scheduler",
    Image.SEED_PEER: "seed-peer",
    Image.PEER: "dfget",
    Image.MYSQL: "mysql",
    Image.MYSQLD_EXPORTER: "mysql",
    Image.REDIS: "redis",
    Image.REDIS_EXPORTER: "redis",
}
"""Of every image, the component whose pods have it."""

WRONG_SECONDS = 15
"""How long an update with images that nobody has is left to try."""

LINGER_SECONDS = 3
"""How long the old manager must go on answering, at least, once the new one is Ready: nodes learn of it meanwhile."""

DATABASE_MOVE_SECONDS = 30
"""Within which answers that need the database may fail while it moves."""

# Asks for what only somebody who is signed in sees, and what the manager reads from its database; one connection for
# each question. Each prober for a page of another size: of two that ask a manager of 2.5.1 for the same list at once,
# one may be answered with 500, since it mixes up the items and their number. Writes when it asked, in seconds of the
# machine's clock, and the first line of the answer, all of it where it is no good one. What a shell can do by itself it
# does: several of them ask while much else is to be done.
PROBER = r"""
ask() {
  timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"; printf %s "$2" >&3; IFS= read -rd "" said <&3; printf %s "$said"' \
    "$HOST" "$PORT" "$1" 2>&1
  [ $? != 124 ] || echo "no whole answer within 5 s"
}
who='{"name":"root","password":"'$PASSWORD'"}'
printf -v request 'POST /api/v1/users/signin HTTP/1.0\r\nContent-Length: %s\r\n\r\n%s' ${#who} "$who"
# The manager of 2.5 may refuse the right password for a while.
until [[ $(ask "$request") =~ \"token\":\"([^\"]*)\" ]]; do :; done
format='GET /api/v1/schedulers?per_page=%s HTTP/1.0\r\nAuthorization: Bearer %s\r\n\r\n'
printf -v request "$format" $PAGE_SIZE "${BASH_REMATCH[1]}"
# Nothing ever comes from there.
exec 9<> <(:)
while true; do
  now=$EPOCHREALTIME
  said=$(ask "$request")
  said=${said//[$'\r\n']/ }
  [[ $said != *' 200 OK '* ]] || said=${said%% OK *}
  echo "$now $said"
  read -rt 0.1 -u 9
done
"""


@dataclass(frozen=True)
class Answer:
    """A question of a prober and what came of it."""

    at: float
    said: str

    @property
    def good(self) -> bool:
        return self.said == "HTTP/1.0 200"


@dataclass(frozen=True)
class Watch:
    """What the probers of both nodes were answered in a span of time."""

    answers: list[Answer] = field(default_factory=list[Answer])

    @property
    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if not answer.good]


class Probers:
    """A pod on each node that asks the manager's Service, more than five times a second."""

    def __init__(self, installed: Upgraded) -> None:
        self._kubectl = installed.stack.kubectl
        self._names = [f"prober-{node}" for node in NODES]
        for page_size, (name, node) in enumerate(zip(self._names, NODES, strict=True), start=10):
            start_prober(installed, name, node, NAMES.manager_service, page_size)

    @contextmanager
    def watch(self, what: str) -> Generator[Watch]:
        """What they see in a block, for a second before it and two seconds after."""
        seen = Watch()
        start = time.time()
        time.sleep(1)
        yield seen
        time.sleep(2)
        for name in self._names:
            found = [answer for answer in answers(self._kubectl, name) if answer.at >= start]
            assert len(found) > 5 * (time.time() - start) / 2, f"{name} asks too seldom"
            seen.answers.extend(found)
        times = [answer.at for answer in seen.failed]
        span = f" within {max(times) - min(times):.1f} s" if times else ""
        print(f"{what}: {len(seen.failed)} of {len(seen.answers)} requests failed{span}")


def start_prober(installed: Upgraded, name: str, node: str, host: str, page_size: int = 1) -> None:
    """Run a pod that asks a manager again and again for a list of so many schedulers."""
    password = {"secretKeyRef": {"name": NAMES.manager_secret, "key": ROOT_PASSWORD_KEY}}
    container = {
        # Its shell opens connections by itself.
        "image": installed.references.reference(Image.MANAGER),
        "command": ["/bin/bash", "-c", PROBER],
        "env": [
            {"name": "HOST", "value": host},
            {"name": "PORT", "value": str(ports.MANAGER_REST)},
            {"name": "PAGE_SIZE", "value": str(page_size)},
            {"name": "PASSWORD", "valueFrom": password},
        ],
    }
    apply(installed.stack.kubectl, pod(name, "", nodeName=node, container=container))
    seconds = line_of(installed.tag).password_cache_seconds + 5
    wait_until(lambda: answers(installed.stack.kubectl, name), f"{name} asks", seconds)


def answers(kubectl: Kubectl, name: str) -> list[Answer]:
    """All that a prober was answered."""
    lines = [line.partition(" ") for line in kubectl("logs", name).splitlines()]
    return [Answer(float(at), said) for at, _, said in lines]


@dataclass(frozen=True)
class Upgraded:
    """A stack whose images have a second name each.

    Attributes:
        tag: of Dragonfly.
        stack: the stack.
    """

    tag: str
    stack: OwnStack

    @property
    def references(self) -> Images:
        """The images that it has when its config names none."""
        return default_references(self.tag)

    def new_name(self, image: Image) -> str:
        """Another name of an image."""
        repository = self.references.reference(image).rpartition(":")[0]
        return f"{repository}:{NEW_TAG}-{image.lower()}"


@pytest.fixture(scope="module")
def installed(
    tag: str, cluster: Cluster, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgraded]:
    """A stack, and on every node a second name for each of its images."""
    give_images(cluster, tag)
    folder: Path = tmp_path_factory.mktemp("upgrade")
    # Its own namespace is the probers'.
    config = {"registryMirrors": [], "tag": tag, "consoleFrom": ["upgrade"]}
    with own_stack(cluster, kubectl, folder, "upgrade", FIRST_PORT, **config) as stack:
        upgraded = Upgraded(tag, stack)
        for node in NODES:
            for image in COMPONENTS:
                names = upgraded.references.reference(image), upgraded.new_name(image)
                on_node(cluster, node, *images_command("tag", "--force", *names))
        yield upgraded


@pytest.fixture(scope="module")
def probers(installed: Upgraded) -> Probers:
    return Probers(installed)


def roll(installed: Upgraded, image: Image) -> None:
    """Give a component a new image, and make sure that it alone has new pods, all Ready."""
    before, name = all_pods(installed.stack), installed.new_name(image)
    installed.stack.configure({f"images.{image}": name})
    installed.stack.up()
    assert are_ready(installed.stack, {image: name})
    after = all_pods(installed.stack)
    assert {component for component, pods in after.items() if pods != before[component]} == {COMPONENTS[image]}
    assert after[COMPONENTS[image]] & before[COMPONENTS[image]] == set()


def all_pods(installed: OwnStack) -> dict[str, set[str]]:
    """UIDs of the pods of each component."""
    return {
        component: {pod["metadata"]["uid"] for pod in installed.pods(component)}
        for component in set(COMPONENTS.values())
    }


def are_ready(installed: OwnStack, references: Mapping[Image, str]) -> bool:
    """Whether the pods have these images and are Ready."""
    return all(_is_ready(installed.pods(COMPONENTS[image]), reference) for image, reference in references.items())


def _is_ready(pods: list[dict[str, Any]], reference: str) -> bool:
    return bool(pods) and all(
        reference in [container["image"] for container in each["spec"]["containers"]]
        and "deletionTimestamp" not in each["metadata"]
        and all(status["ready"] for status in each["status"].get("containerStatuses", [{"ready": False}]))
        for each in pods
    )


def test_rest_api_answers_while_the_manager_moves(installed: Upgraded, probers: Probers) -> None:
    kubectl = installed.stack.kubectl
    (old,) = installed.stack.pods("manager")
    start_prober(installed, "prober-of-old", NODES[0], old["status"]["podIP"])
    with probers.watch("roll of the manager") as watch:
        roll(installed, Image.MANAGER)
        name = old["metadata"]["name"]
        kubectl("wait", "--for=delete", f"pod/{name}", "--timeout=60s")
    (new,) = installed.stack.pods("manager")
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert watch.failed == []
    # Whether a request falls between the old pod's end and the nodes' knowledge of it is luck; that it cannot is not.
    last = max(answer.at for answer in answers(kubectl, "prober-of-old") if answer.good)
    lingered = last - _ready_since(new)
    print(f"the old manager answered for {lingered:.1f} s after the new one was Ready")
    assert lingered > LINGER_SECONDS
    kubectl("delete", "pod", "prober-of-old")


def _ready_since(pod: Mapping[str, Any]) -> float:
    """When a pod became Ready, in full seconds."""
    (ready,) = [condition for condition in pod["status"]["conditions"] if condition["type"] == "Ready"]
    return datetime.datetime.fromisoformat(cast("str", ready["lastTransitionTime"])).timestamp()


@pytest.mark.parametrize("image", [Image.SCHEDULER, Image.SEED_PEER, Image.PEER])
def test_rest_api_answers_while_scheduler_or_peers_move(installed: Upgraded, probers: Probers, image: Image) -> None:
    with probers.watch(f"roll of {image}") as watch:
        roll(installed, image)
    assert watch.failed == []


@SAME_IN_EACH_LINE
@pytest.mark.parametrize("image", [Image.MYSQL, Image.MYSQLD_EXPORTER, Image.REDIS, Image.REDIS_EXPORTER])
def test_database_comes_back_with_its_data_and_the_rest_api_with_it(
    installed: Upgraded, probers: Probers, image: Image
) -> None:
    stack = installed.stack
    mysql(stack, "CREATE TABLE IF NOT EXISTS kept (value VARCHAR(20)); REPLACE INTO kept VALUES ('a row')")
    assert redis(stack, "SET", "kept", "a value") == "OK"
    manager = restarts(stack)
    with probers.watch(f"roll of {image}") as watch:
        roll(installed, image)
    assert mysql(stack, "SELECT DISTINCT value FROM kept") == "a row"
    assert redis(stack, "GET", "kept") == "a value"
    # The manager itself goes on: it says what is wrong until its database is back.
    assert restarts(stack) == manager
    times = [answer.at for answer in watch.failed] or [0.0]
    assert max(times) - min(times) < DATABASE_MOVE_SECONDS
    assert all(answer.good for answer in sorted(watch.answers, key=lambda answer: answer.at)[-10:])


def test_images_that_cannot_be_pulled_are_mended_by_the_next_update(installed: Upgraded) -> None:
    stack = installed.stack
    images = [image for image in COMPONENTS if image not in (Image.MYSQLD_EXPORTER, Image.REDIS_EXPORTER)]
    good = {image: installed.references.reference(image) for image in images}
    stack.configure(
        {f"images.{image}": f"{good[image]}-of-nobody" for image in images} | {"readyTimeoutSeconds": WRONG_SECONDS}
    )
    with pytest.raises(StackError, match="of-nobody"):
        stack.up()
    usual = READY_TIMEOUT_SECONDS[ContainerNodes.name]
    stack.configure({f"images.{image}": good[image] for image in images} | {"readyTimeoutSeconds": usual})
    stack.up()
    wait_until(lambda: are_ready(stack, good), "the pods with the right images are Ready")


def mysql(installed: OwnStack, statement: str) -> str:
    """What the database answers its root."""
    script = 'MYSQL_PWD=$(cat "$MYSQL_ROOT_PASSWORD_FILE") exec mysql --user=root --skip-column-names "$0"'
    place = f"{NAMES.mysql}-0", "--container=mysql"
    return installed.kubectl("exec", "-i", *place, "--", "sh", "-c", script, DATABASE, text=statement).strip()


def redis(installed: OwnStack, *command: str) -> str:
    """What Redis answers."""
    script = 'REDISCLI_AUTH=$(cat /run/secrets/redis/password) exec redis-cli "$@"'
    place = (f"{NAMES.redis}-0", "--container=redis")
    return installed.kubectl("exec", *place, "--", "sh", "-c", script, "redis-cli", *command).strip()


def restarts(installed: OwnStack) -> dict[str, int]:
    """How often the containers of the manager's pods were started anew."""
    statuses = {each["metadata"]["name"]: each["status"]["containerStatuses"] for each in installed.pods("manager")}
    return {name: sum(status["restartCount"] for status in found) for name, found in statuses.items()}
