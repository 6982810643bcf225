"""Names and labels of the objects: the click-to-deploy chart's, so that what was built for it goes on working."""

from __future__ import annotations

import pytest

from dragonfly.parts.labels import ALL_INSTANCES
from dragonfly.parts.names import Names
from tests.program.recorded.recorded_program import WORKLOADS, RecordedProgram, Resource

# Spelled out, since dashboards and scripts spell them out too.
CACHE_CLAIM = "x-seed-peer-cache-pvc-x-seed-peer-0"
OBJECTS = {
    "Deployment": {"x-manager"},
    "StatefulSet": {"x-scheduler", "x-seed-peer", "x-mysql", "x-redis"},
    "DaemonSet": {"x-dfget"},
    "Service": {
        "x-manager-service",
        "x-scheduler-service",
        "x-scheduler-headless",
        "x-seed-peer-headless",
        "x-mysql-svc",
        "x-mysql-headless",
        "x-mysqld-exporter-svc",
        "x-redis-svc",
        "x-redis-headless",
        "x-redis-exporter-svc",
    },
    "Job": {"x-root-password"},
    "Secret": {
        "x-manager-secret",
        "x-mysql-secret",
        "x-mysqld-exporter-secret",
        "x-redis-secret",
        "x-manager-config",
        "x-scheduler-config",
        "x-seed-peer-config",
        "x-dfget-config",
        "x-redis-config",
    },
    "PersistentVolumeClaim": {"x-mysql-pvc-x-mysql-0", "x-redis-data-pvc-x-redis-0", CACHE_CLAIM},
    "Application": {"x"},
    "NetworkPolicy": {"x-mysql", "x-redis", "x-manager", "x-root-password", "x-scheduler", "x-seed-peer"},
    "PodMonitor": {"x-mysql", "x-redis", "x-manager", "x-scheduler", "x-seed-peer", "x-dfget"},
    "PrometheusRule": {"x"},
    "ConfigMap": {"x-dashboard"},
}
SERVICE_PORTS = {
    "-manager-service": {8080, 65003},
    "-scheduler-service": {8002},
    "-mysql-svc": {3306},
    "-mysqld-exporter-svc": {9104},
    "-redis-svc": {6379},
    "-redis-exporter-svc": {9121},
}
OF_THE_CLUSTER = ("Namespace", "CustomResourceDefinitionPatch")
NAME = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"
RECOMMENDED = {"app.kubernetes.io/instance", "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by"}
COMPONENTS = {"manager", "root-password", "scheduler", "seed-peer", "dfget", "mysql", "redis"}


def _derived(names: Names) -> set[str]:
    properties = [name for name, member in vars(Names).items() if isinstance(member, property)]
    return {getattr(names, name) for name in properties}


def test_names_derives_every_name_of_the_table_and_no_other() -> None:
    assert _derived(Names("x")) == set[str]().union(*OBJECTS.values()) - {"x"}


def test_names_knows_which_are_services_and_workloads() -> None:
    names = Names("x")
    assert sorted(names.services()) == sorted(OBJECTS["Service"])
    assert sorted(names.workloads()) == sorted(set[str]().union(*(OBJECTS[kind] for kind in WORKLOADS)))
    # A Job's name is a label of its pods.
    assert names.limited()["x-root-password"] == 63
    assert {names.limited()[service] for service in names.services() if service not in names.workloads()} == {63}


@pytest.mark.parametrize("kind", OBJECTS)
def test_objects_of_a_kind_are_those_of_the_table(program: RecordedProgram, kind: str) -> None:
    missing = set[str]() if program.setting("seedPeerCacheSize", "") else {CACHE_CLAIM}
    if kind == "NetworkPolicy" and program.setting("networkPolicies", "true") == "false":
        missing = OBJECTS[kind]
    if kind in ("PodMonitor", "PrometheusRule", "ConfigMap") and program.setting("monitoring", "none") == "none":
        missing = OBJECTS[kind]
    expected = {name.replace("x", program.app, 1) for name in OBJECTS[kind] - missing}
    # A claim's name has the instance's name in it twice.
    expected = {name.replace("pvc-x-", f"pvc-{program.app}-") for name in expected}
    objects = [resource for resource in program.of_kind(kind) if resource.is_kubernetes_object]
    assert sorted(one.object_name for one in objects) == sorted(expected)


def test_there_is_no_object_of_another_kind(program: RecordedProgram) -> None:
    assert {one.kind for one in program.objects} <= {*OBJECTS, *OF_THE_CLUSTER}


def test_no_two_objects_have_the_same_name(program: RecordedProgram) -> None:
    objects = [(one.kind, one.object_name) for one in program.objects]
    assert len(objects) == len(set(objects))


@pytest.mark.parametrize("service", SERVICE_PORTS)
def test_service_has_the_ports_of_the_table(program: RecordedProgram, service: str) -> None:
    assert {port["port"] for port in program.object("Service", service).spec["ports"]} == SERVICE_PORTS[service]


def _namespaced(program: RecordedProgram) -> list[Resource]:
    return [one for one in program.objects if one.kind not in OF_THE_CLUSTER]


def test_every_object_is_in_the_namespace(program: RecordedProgram) -> None:
    for one in _namespaced(program):
        assert one.metadata["namespace"] == program.namespace, one.name


def test_namespace_is_made_unless_it_is_default(
    default_program: RecordedProgram, configured_program: RecordedProgram
) -> None:
    assert default_program.of_kind("Namespace") == []
    assert [one.object_name for one in configured_program.of_kind("Namespace")] == ["p2p"]


def test_everything_in_a_new_namespace_waits_for_it(configured_program: RecordedProgram) -> None:
    (namespace,) = configured_program.of_kind("Namespace")
    for one in _namespaced(configured_program):
        assert namespace.urn in one.dependencies, one.name


def test_every_object_carries_the_labels_of_its_instance(program: RecordedProgram) -> None:
    for one in [*_namespaced(program), *program.of_kind("Namespace")]:
        labels = one.metadata["labels"]
        assert labels[NAME] == program.app
        assert set(labels) >= RECOMMENDED, one.name
        assert labels["app.kubernetes.io/part-of"] == "dragonfly"
        key, _, value = ALL_INSTANCES.partition("=")
        assert labels[key] == value


def test_every_object_of_a_component_carries_its_label(program: RecordedProgram) -> None:
    found: set[str] = set()
    for one in _namespaced(program):
        if one.kind in ("Application", "PrometheusRule", "ConfigMap"):
            assert COMPONENT not in one.metadata["labels"], "it belongs to the whole instance"
            continue
        component = one.metadata["labels"][COMPONENT]
        found.add(component)
        # A component's objects begin with its name; the exporter belongs to MySQL.
        suffix = component.removeprefix("dragonfly-")
        assert one.object_name.startswith((f"{program.app}-{suffix}-", f"{program.app}-{suffix}d-")) or (
            one.object_name == f"{program.app}-{suffix}"
        )
    assert found == {f"dragonfly-{component}" for component in COMPONENTS}


def test_claim_of_redis_carries_the_label_of_redis(program: RecordedProgram) -> None:
    claim = program.object("PersistentVolumeClaim", f"-redis-data-pvc-{program.app}-redis-0")
    assert claim.metadata["labels"][COMPONENT] == "dragonfly-redis"


def test_selectors_are_the_charts_two_labels_and_never_more(program: RecordedProgram) -> None:
    for workload in program.of_kind(*WORKLOADS):
        assert set(workload.spec["selector"]["matchLabels"]) == {NAME, COMPONENT}
    for service in program.of_kind("Service"):
        assert set(service.spec["selector"]) == {NAME, COMPONENT}


def test_selectors_select_the_pods_of_exactly_one_workload(program: RecordedProgram) -> None:
    def selected(selector: dict[str, str]) -> list[str]:
        return [pod.workload.object_name for pod in program.pods if selector.items() <= pod.labels.items()]

    for workload in program.of_kind(*WORKLOADS):
        assert selected(workload.spec["selector"]["matchLabels"]) == [workload.object_name]
    for service in program.of_kind("Service"):
        assert len(selected(service.spec["selector"])) == 1, service.object_name


def test_pods_carry_the_labels_of_their_workload(program: RecordedProgram) -> None:
    for pod in program.pods:
        assert pod.labels == pod.workload.metadata["labels"]
