"""Who reaches which port, tried with real connections, before the network policies are there and after."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

import pytest

from dragonfly.lines.known_lines import line_of
from dragonfly.parts import ports
from dragonfly.parts.labels import Component, component_labels
from local.cluster.control_plane import Cluster
from local.nodes.containers import namespaces
from local.nodes.containers.addresses import CONTROL_PLANE, DNS_SERVICE, node_address
from tests.nodes.conftest import TAGS, Kubectl
from tests.nodes.local_registry import network_holder
from tests.nodes.node_images import NODES, on_node
from tests.nodes.own_stack import NAMES, OwnStack, own_stack
from tests.nodes.pods import apply, pod
from tests.nodes.reached import Target, command, named, reached_from_pod
from tests.program.recorded.reach_table import (
    DOORS,
    METRICS_FROM,
    OTHER_NODE,
    OWN_PODS,
    PAGE,
    STRANGERS,
    Door,
    Reach,
    reach_of,
    reach_table,
    title,
)
from tests.waiting import wait_until

FIRST_PORT = 64500
CONSOLE_FROM = "policies-team"
PLACES = {"`consoleFrom`": CONSOLE_FROM, "`metricsFrom`": "policies-metrics", "other pods": "policies-elsewhere"}
"""Namespaces of the strangers; the page's own names might be another test's."""

# Where nothing of the cluster listens. The metadata server of a cloud is at the first.
METADATA, OUTSIDE, DNS = "metadata", "outside", "dns"
METADATA_ADDRESS, WEB = "169.254.169.254", 80
_ASKED_AT_ONCE = 4
_Key = TypeVar("_Key")
_Found = TypeVar("_Found")
_LISTEN = """
import select, socket, sys
host, port = sys.argv[1], int(sys.argv[2])
server = socket.create_server((host, port))
print("listens", flush=True)
# Until its caller closes the pipe: between the two is a program that does not pass signals on.
while sys.stdin not in select.select([server, sys.stdin], [], [])[0]:
    server.accept()[0].close()
"""


@dataclass
class Policed:
    """The stack, and who was seen to reach what.

    Attributes:
        stack: the stack.
        kubectl: on the whole cluster.
        cluster: the cluster.
        uids: of its pods, without policies.
        before: who reached what without policies, by what the table calls them.
        after: the same with them.
        abroad_before: what each of its pods reaches outside, without policies.
        abroad: the same with them.
        at_home: what the node of each pod reaches of it, with policies.
        job: the pod that stands for the Job's, which is over.
    """

    stack: OwnStack
    kubectl: Kubectl
    cluster: Cluster
    uids: set[str] = field(default_factory=set[str])
    before: Reach = field(default_factory=dict[Door, frozenset[str]])
    after: Reach = field(default_factory=dict[Door, frozenset[str]])
    abroad_before: Mapping[str, set[str]] = field(default_factory=dict[str, set[str]])
    abroad: Mapping[str, set[str]] = field(default_factory=dict[str, set[str]])
    at_home: set[Door] = field(default_factory=set[Door])
    job: str = "stands-for-the-job"

    @property
    def peer_ports(self) -> dict[str, int]:
        """Of the nodes, by config key."""
        keys = line_of("2.5.1").peer_ports
        return {key: FIRST_PORT + offset for offset, key in enumerate(keys)}

    def pod_uids(self) -> set[str]:
        """Of the pods that the stack has now."""
        return {each["metadata"]["uid"] for component in Component for each in self.stack.pods(component.short_name)}

    def pod_of(self, component: Component) -> list[str]:
        """A component's pod, as `kubectl exec` takes it."""
        if component == Component.ROOT_PASSWORD:
            return [self.job]
        (found,) = self.stack.pods(component.short_name)
        return [cast("str", found["metadata"]["name"])]

    def doors(self, *, away_from: str | None = None) -> dict[Door, Target]:
        """Where each door is.

        Args:
            away_from: a node whose own pods are left out, and whose peer.
        """
        found: dict[Door, Target] = {}
        places: dict[Component, tuple[str, str]] = {}
        for door in DOORS:
            if door.component == Component.PEER:
                node = next(node for node in NODES if node != away_from)
                address = node_address(NODES.index(node))
            else:
                if door.component not in places:
                    one: Any = self.stack.pods(door.component.short_name)[0]
                    places[door.component] = one["status"]["podIP"], one["spec"]["nodeName"]
                address, node = places[door.component]
            port = self.peer_ports[door.port] if isinstance(door.port, str) else door.port
            if node != away_from:
                found[door] = address, port
        return found

    def look(self) -> Reach:
        """Let everybody try every door."""
        doors = self.doors()

        def from_node(node: str) -> set[Door]:
            # Each door from the node that it is not on.
            there = self.doors(away_from=node)
            return named(on_node(self.cluster, node, *command(there.values())), there)

        asked = [
            *((_name(each), partial(self._reaches, each, doors)) for each in OWN_PODS),
            *(
                (name, partial(reached_from_pod, self.kubectl, ["stranger", f"--namespace={place}"], doors))
                for name, place in PLACES.items()
            ),
            *((OTHER_NODE, partial(from_node, node)) for node in NODES),
        ]
        found: dict[Door, set[str]] = {door: set() for door in DOORS}
        for name, reached in _at_once(asked):
            for door in reached:
                # Its own doors are open to itself, which the table leaves out.
                if title(door.component) != name:
                    found[door].add(name)
        return {door: frozenset(names) for door, names in found.items()}

    def _reaches(self, component: Component, targets: Mapping[_Key, Target]) -> set[_Key]:
        return reached_from_pod(self.stack.kubectl, self.pod_of(component), targets)

    def look_from_home(self) -> set[Door]:
        """Let each node try the doors of its own pods."""
        doors = self.doors()
        found: set[Door] = set()
        for node in NODES:
            here = {door: doors[door] for door in doors.keys() - self.doors(away_from=node).keys()}
            found |= named(on_node(self.cluster, node, *command(here.values())), here)
        return found

    def look_abroad(self) -> dict[str, set[str]]:
        """Let every pod try what is no pod."""
        targets = {
            METADATA: (METADATA_ADDRESS, WEB),
            OUTSIDE: (CONTROL_PLANE, WEB),
            DNS: (DNS_SERVICE, 53),
        }
        return dict(_at_once([(_name(each), partial(self._reaches, each, targets)) for each in OWN_PODS]))

    def declared(self) -> Reach:
        """Who may reach what by the policies that the cluster has."""
        policies = json.loads(self.stack.kubectl("get", "networkpolicies", "--output=json"))["items"]
        asked = {STRANGERS[name]: place for name, place in PLACES.items()}
        # The namespaces of the page in the place of those of the test.
        text = json.dumps(policies)
        for there, here in asked.items():
            text = text.replace(f'"{here}"', f'"{there}"')
        return reach_of(json.loads(text), NAMES.app, self.stack.namespace, self.peer_ports)


def _at_once(asked: Sequence[tuple[str, Callable[[], _Found]]]) -> list[tuple[str, _Found]]:
    """Ask for several things, and return the answers by what they are called: who is kept out waits for seconds."""
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        begun = [(name, pool.submit(ask)) for name, ask in asked]
        return [(name, one.result()) for name, one in begun]


def _name(component: Component) -> str:
    return component.short_name.replace("-", " ")


@contextlib.contextmanager
def _listening(command: list[str], address: str) -> Generator[None]:
    """Run something that takes connections, in a network."""
    script = [*command, "python3", "-c", _LISTEN, address, str(WEB)]
    with subprocess.Popen(
        script, env=namespaces.ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as listener:
        assert listener.stdin is not None
        assert listener.stdout is not None
        try:
            assert listener.stdout.readline() == b"listens\n"
            yield
        finally:
            listener.stdin.close()


@pytest.fixture(scope="module", params=TAGS)
def policed(
    request: pytest.FixtureRequest, cluster: Cluster, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Policed]:
    folder = tmp_path_factory.mktemp("policed")
    name = f"policed-{line_of(request.param).name.replace('.', '-')}"
    config = {
        "tag": request.param,
        "networkPolicies": False,
        "consoleFrom": json.dumps([CONSOLE_FROM]),
        "metricsFrom": json.dumps([PLACES["`metricsFrom`"]]),
    }
    with contextlib.ExitStack() as stack:
        for place in PLACES.values():
            apply(kubectl, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place}})
            stranger = pod("stranger", "exec sleep infinity")
            stranger["metadata"]["namespace"] = place
            kubectl("apply", "-f", "-", text=json.dumps(stranger))
            # The other line's test makes it anew.
            stack.callback(kubectl, "delete", "namespace", place, "--timeout=80s")
        for place in PLACES.values():
            kubectl("wait", f"--namespace={place}", "--for=condition=Ready", "--timeout=60s", "pod/stranger")
        own = stack.enter_context(own_stack(cluster, kubectl, folder, name, FIRST_PORT, **config))
        made = Policed(own, kubectl, cluster)
        job = pod(made.job, "exec sleep infinity")
        job["metadata"]["labels"] = component_labels(NAMES.app, Component.ROOT_PASSWORD)
        apply(own.kubectl, job)
        for node in NODES:
            on_node(cluster, node, "ip", "address", "add", f"{METADATA_ADDRESS}/32", "dev", "lo")
            stack.callback(on_node, cluster, node, "ip", "address", "delete", f"{METADATA_ADDRESS}/32", "dev", "lo")
            stack.enter_context(_listening(cluster.on_node(node, []), METADATA_ADDRESS))
        stack.enter_context(_listening(namespaces.in_network(network_holder(cluster), []), CONTROL_PLANE))
        made.uids, made.before = made.pod_uids(), made.look()
        made.abroad_before = made.look_abroad()
        own.configure({"networkPolicies": "true"})
        own.up()

        def shut() -> bool:
            made.after = made.look()
            return made.after == made.declared()

        with contextlib.suppress(AssertionError):
            wait_until(shut, "the policies are enforced", 30)
        made.abroad, made.at_home = made.look_abroad(), made.look_from_home()
        yield made


def test_without_policies_everybody_reaches_everything(policed: Policed) -> None:
    everybody = {*map(_name, OWN_PODS), *PLACES, OTHER_NODE}
    for door, names in policed.before.items():
        assert names == everybody - {title(door.component)}, door
    assert all(found == {METADATA, OUTSIDE, DNS} for found in policed.abroad_before.values()), policed.abroad_before


def test_policies_are_enforced_as_they_are_written(policed: Policed) -> None:
    assert policed.after == policed.declared()


def test_the_page_shows_what_real_connections_met(policed: Policed) -> None:
    assert reach_table(policed.after) in PAGE.read_text()


def test_a_pods_own_node_reaches_all_of_it(policed: Policed) -> None:
    # By Kubernetes' own rule, and kubelet's checks need it: a pod on the node's network gets in as well.
    assert policed.at_home == {door for door in DOORS if door.component != Component.PEER}


def test_policies_come_and_no_pod_goes(policed: Policed) -> None:
    assert policed.pod_uids() == policed.uids
    listed = json.loads(policed.stack.kubectl("get", "pods", "--output=json"))["items"]
    assert {each["restartCount"] for one in listed for each in one["status"]["containerStatuses"]} == {0}


def test_registries_are_reached_by_whom_they_serve_and_a_metadata_server_by_nobody(policed: Policed) -> None:
    looks_up = {OUTSIDE: {"manager", "seed peer"}, METADATA: set[str]()}
    for place, names in looks_up.items():
        assert {name for name, found in policed.abroad.items() if place in found} == names, place
    databases = {"mysql", "redis"}
    assert {name for name, found in policed.abroad.items() if DNS in found} == policed.abroad.keys() - databases


def test_sign_up_is_open_to_whom_the_config_names_and_to_nobody_else(policed: Policed) -> None:
    (address, port) = policed.doors()[next(door for door in DOORS if door.port == ports.MANAGER_REST)]
    body = json.dumps({"name": "stranger", "password": "Str4nger-here", "email": "stranger@example.com"})
    lines = [
        "POST /api/v1/users/signup HTTP/1.0",
        f"Host: {address}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "",
        body,
    ]

    def sign_up(place: str) -> str:
        script = f"(cat; sleep 1) | timeout 5 nc {address} {port} | head -n 1; true"
        ask = ["exec", "--stdin", f"--namespace={place}", "stranger", "--", "sh", "-c", script]
        return policed.kubectl(*ask, text="\r\n".join(lines))

    assert sign_up(PLACES["other pods"]) == ""
    assert " 200 " in sign_up(CONSOLE_FROM)


def test_metrics_are_the_only_door_for_who_reads_them(policed: Policed) -> None:
    name = next(name for name, place in STRANGERS.items() if place == METRICS_FROM)
    opened = {door.what for door, names in policed.after.items() if name in names and "other pods" not in names}
    assert opened == {"metrics"}
