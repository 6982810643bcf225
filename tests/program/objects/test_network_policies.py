"""The network policies: whom each component's pods reach, and by whom they are reached."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from dragonfly.parts.labels import Component, component_labels, selector
from dragonfly.parts.names import Names
from dragonfly.parts.traffic import policy_names
from tests.program.recorded.gke_stack import all_dependencies, configured_gke, run_gke
from tests.program.recorded.known_stacks import DEFAULT_CONFIG
from tests.program.recorded.reach import Party, reaches
from tests.program.recorded.recorded_program import Pod, RecordedProgram, Resource, run_main

METADATA = ({"cidr": "169.254.169.254/32"}, {"cidr": "169.254.169.252/32"})
OUTSIDE, METADATA_SERVER, METADATA_PROXY = "203.0.113.7", "169.254.169.254", "169.254.169.252"
ADDRESS_OF_ALL = {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}


def run(**keys: Any) -> RecordedProgram:
    given = {f"dragonfly:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in keys.items()}
    return run_main({**DEFAULT_CONFIG, **given}).completed()


def policies(program: RecordedProgram) -> list[Resource]:
    return program.of_kind("NetworkPolicy")


def pod(program: RecordedProgram, component: Component, namespace: str | None = None) -> Party:
    return Party(namespace or program.namespace, component_labels(program.app, component))


def may(program: RecordedProgram, source: Party, destination: Party, port: int, protocol: str = "TCP") -> bool:
    manifests = [one.manifest for one in policies(program)]
    return reaches(manifests, program.namespace, source, destination, port, protocol)


def reached_outside(program: RecordedProgram, address: str, port: int, protocol: str = "TCP") -> set[Component]:
    to = Party(None, address=address)
    return {each for each in Component if may(program, pod(program, each), to, port, protocol)} - {Component.PEER}


def own_network(program: RecordedProgram) -> list[Pod]:
    return [pod for pod in program.pods if not pod.spec.get("hostNetwork")]


def test_each_pod_with_an_address_of_its_own_has_one_policy_for_both_ways(default_program: RecordedProgram) -> None:
    chosen = {one.object_name: one.spec for one in policies(default_program)}
    names = Names(default_program.app)
    assert chosen.keys() == set(policy_names(names).values())
    assert {pod.workload.object_name for pod in own_network(default_program)} == chosen.keys()
    for each in own_network(default_program):
        spec = chosen[each.workload.object_name]
        assert spec["podSelector"]["matchLabels"].items() <= each.labels.items()
        assert spec["policyTypes"] == ["Ingress", "Egress"]
    for component, name in policy_names(names).items():
        assert chosen[name]["podSelector"] == {"matchLabels": selector(names.app, component)}


@pytest.mark.parametrize("run", [lambda: run(), run_gke, configured_gke])
def test_no_policy_depends_on_the_addresses_of_pods_nodes_or_services(run: Callable[[], RecordedProgram]) -> None:
    program = run()
    exports = program.setting("metricsExporterEnabled", "false") == "true"
    blocks = [
        peer["ipBlock"]
        for one in policies(program)
        for key, peers in (("ingress", "from"), ("egress", "to"))
        for rule in one.spec.get(key, [])
        for peer in rule.get(peers, [])
        if "ipBlock" in peer
    ]
    assert ADDRESS_OF_ALL in blocks
    others = [block for block in blocks if block != ADDRESS_OF_ALL]
    assert others == ([*METADATA, *METADATA] if exports else [])


def test_no_pod_is_there_before_the_policies_or_after_them(default_program: RecordedProgram) -> None:
    urns = {one.urn for one in policies(default_program)}
    for each in own_network(default_program):
        assert urns <= all_dependencies(default_program, each.workload), each.workload.object_name


def test_all_are_gone_where_the_owner_of_the_cluster_writes_others() -> None:
    assert policies(run(networkPolicies=False)) == []


def test_an_empty_list_lets_in_nobody() -> None:
    program = run(metricsFrom=[])
    for component in (Component.MANAGER, Component.SCHEDULER, Component.SEED_PEER):
        assert not may(program, Party("gmp-system"), pod(program, component), 8000)


@pytest.mark.parametrize(
    ("key", "component", "port"),
    [
        ("consoleFrom", Component.MANAGER, 8080),
        *(("metricsFrom", each, 8000) for each in (Component.MANAGER, Component.SCHEDULER, Component.SEED_PEER)),
        ("metricsFrom", Component.MYSQL, 9104),
        ("metricsFrom", Component.REDIS, 9121),
    ],
)
def test_a_namespace_that_is_named_gets_in_by_the_one_door(key: str, component: Component, port: int) -> None:
    program = run(**{key: ["team", "other"]})
    asked = pod(program, component)
    for namespace in ("team", "other"):
        found = {
            number
            for number in (8080, 65003, 8000, 9104, 9121, 3306, 6379)
            if may(program, Party(namespace), asked, number)
        }
        assert found == {port}
    assert not may(program, Party("third"), asked, port)
    # Another instance's in the namespace of this one.
    assert not may(program, Party(program.namespace, {"app.kubernetes.io/name": "another"}), asked, port)


def test_those_of_another_instance_are_strangers(default_program: RecordedProgram) -> None:
    theirs = Party(default_program.namespace, component_labels("another", Component.MANAGER))
    same_elsewhere = pod(default_program, Component.MANAGER, "elsewhere")
    for source in (theirs, same_elsewhere):
        assert not may(default_program, source, pod(default_program, Component.MYSQL), 3306)


def test_registries_are_everywhere_but_where_metadata_servers_are() -> None:
    program = run(registryMirrors=["registry.example.com:5000"], registryPorts=[8443])
    ask = {Component.MANAGER, Component.SEED_PEER}
    for port in (443, 80, 5000, 8443):
        assert reached_outside(program, OUTSIDE, port) == ask
        assert reached_outside(program, METADATA_SERVER, port) == set()
    assert reached_outside(program, OUTSIDE, 22) == set()


def test_a_registry_in_the_cluster_is_reached_where_its_namespace_is_named() -> None:
    program = run(registriesIn=["harbor"], registryPorts=[8443])
    for component in (Component.MANAGER, Component.SEED_PEER, Component.SCHEDULER):
        asks = component != Component.SCHEDULER
        assert may(program, pod(program, component), Party("harbor"), 8443) == asks
        assert not may(program, pod(program, component), Party("harbor"), 5432)
        assert not may(program, pod(program, component), Party("another"), 8443)


def test_who_looks_up_names_reaches_their_server_wherever_it_is(default_program: RecordedProgram) -> None:
    for protocol in ("UDP", "TCP"):
        found = reached_outside(default_program, METADATA_SERVER, 53, protocol)
        assert found == {Component.MANAGER, Component.ROOT_PASSWORD, Component.SCHEDULER, Component.SEED_PEER}


def test_databases_reach_nothing_until_their_metrics_are_exported() -> None:
    for component in (Component.MYSQL, Component.REDIS):
        (one,) = (
            each for each in policies(run()) if each.metadata["labels"]["app.kubernetes.io/component"] == component
        )
        assert not one.spec.get("egress")
    exporting = run(metricsExporterEnabled=True)
    databases = {Component.MYSQL, Component.REDIS}
    assert databases <= reached_outside(exporting, OUTSIDE, 443)
    assert databases <= reached_outside(exporting, OUTSIDE, 53, "UDP")
    assert reached_outside(exporting, METADATA_SERVER, 80) == databases
    assert reached_outside(exporting, METADATA_PROXY, 988) == databases
    assert not databases & reached_outside(exporting, OUTSIDE, 80)
    assert reached_outside(exporting, METADATA_SERVER, 443) == set()


def test_peers_are_asked_at_the_ports_of_the_config() -> None:
    program = run(peerPort=62000, uploadPort=62002)
    asks = {Component.SCHEDULER, Component.SEED_PEER}
    for port in (62000, 62002):
        assert reached_outside(program, "10.0.0.5", port) == asks
    for port in (65000, 65002, 65003):
        assert reached_outside(program, "10.0.0.5", port) == set()


def test_both_lines_have_the_same(default_program: RecordedProgram, line_2_5_program: RecordedProgram) -> None:
    one, other = ({each.name: each.spec for each in policies(line)} for line in (default_program, line_2_5_program))
    assert one == other
