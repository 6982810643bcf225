"""Rules for every pod, Service and claim of the rendered program."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from dragonfly.google.machine_types import allocatable, machine_type_named
from dragonfly.parts.images import Image, Images
from dragonfly.quantity import parse_quantity
from dragonfly.settings.stack_config import settings_of
from tests.program.recorded.gke_stack import run_gke
from tests.program.recorded.known_stacks import DEFAULT_CONFIG, SECRET_KEYS
from tests.program.recorded.recorded_program import JOB, WORKLOADS, Pod, RecordedProgram, run_main, strings_in

DRAGONFLY = ("-manager", "-scheduler", "-seed-peer", "-dfget")
DATABASES = ("-mysql", "-redis")
EXPORTERS = ("mysqld-exporter", "redis-exporter", "prometheus-to-sd")
BINARIES = {
    "-manager": ["/opt/dragonfly/bin/server"],
    "-scheduler": ["/opt/dragonfly/bin/scheduler"],
    "-seed-peer": ["/opt/dragonfly/bin/dfget", "daemon"],
    "-dfget": ["/opt/dragonfly/bin/dfget", "daemon"],
}
GRPC_PORTS = {"-manager": 65003, "-scheduler": 8002, "-seed-peer": 65006, "-dfget": 65000}
PEER_PORT_KEYS = ("peerPort", "proxyPort", "uploadPort", "peerHealthPort", "peerMetricsPort")
CLIENT = ["/usr/local/bin/dfdaemon", "--console", "--log-level", "warn"]
CLIENT_PORT_KEYS = (*PEER_PORT_KEYS, "peerStatsPort", "peerQuicPort")
NODES = 3


def runs_the_client(program: RecordedProgram) -> bool:
    return program.setting("tag", "2.1.34").startswith("2.5")


def _images(program: RecordedProgram) -> Images:
    return settings_of(program.config, SECRET_KEYS, stack="test", environment={}).images


def _containers(program: RecordedProgram) -> list[tuple[Pod, dict[str, Any]]]:
    return [(pod, container) for pod in program.pods for container in pod.containers]


def _servers(program: RecordedProgram) -> list[tuple[Pod, dict[str, Any]]]:
    """The containers that serve somebody: all but what runs to its end."""
    return [(pod, container) for pod, container in _containers(program) if pod.workload.kind != JOB]


def _grpc_port(program: RecordedProgram, name: str) -> int:
    return int(program.setting("peerPort", "65000")) if name == "-dfget" else GRPC_PORTS[name]


# --- Workloads and their volumes


def test_stateful_set_names_a_headless_service_that_leads_to_its_pods(program: RecordedProgram) -> None:
    for workload in program.of_kind("StatefulSet"):
        (service,) = [one for one in program.of_kind("Service") if one.object_name == workload.spec["serviceName"]]
        assert service.spec["clusterIP"] == "None"
        assert service.spec["selector"] == workload.spec["selector"]["matchLabels"]


def test_stateful_set_replaces_a_pod_that_cannot_start(program: RecordedProgram) -> None:
    # In order, it would wait for that pod for ever, also after its image was put right.
    for workload in program.of_kind("StatefulSet"):
        assert workload.spec["podManagementPolicy"] == "Parallel"


def test_only_headless_services_are_those_of_stateful_sets(program: RecordedProgram) -> None:
    headless = [one.object_name for one in program.of_kind("Service") if one.spec.get("clusterIP") == "None"]
    assert sorted(headless) == sorted(one.spec["serviceName"] for one in program.of_kind("StatefulSet"))


def test_claims_are_resources_of_their_own(program: RecordedProgram) -> None:
    # A StatefulSet's own claims are left behind at destroy, and billed.
    for workload in program.of_kind("StatefulSet"):
        assert "volumeClaimTemplates" not in workload.spec
    assert len(program.of_kind("PersistentVolumeClaim")) == (3 if program.setting("seedPeerCacheSize", "") else 2)


@pytest.mark.parametrize(
    ("workload", "claim", "container", "directory", "size_key", "default_size"),
    [
        ("-mysql", "-mysql-pvc-{app}-mysql-0", "mysql", "/var/lib/mysql", "dbPersistentDiskSize", "8Gi"),
        ("-redis", "-redis-data-pvc-{app}-redis-0", "redis", "/data", "redisPersistentDiskSize", "5Gi"),
    ],
)
def test_database_keeps_its_data_on_its_claim(
    program: RecordedProgram,
    workload: str,
    claim: str,
    container: str,
    directory: str,
    size_key: str,
    default_size: str,
) -> None:
    one = program.object("PersistentVolumeClaim", claim.format(app=program.app))
    assert one.spec["accessModes"] == ["ReadWriteOnce"]
    assert one.spec["resources"]["requests"]["storage"] == program.setting(size_key, default_size)
    assert one.spec["storageClassName"] == program.setting("defaultStorageClass", "standard")
    pod = program.pod(workload)
    (volume,) = [volume for volume in pod.spec["volumes"] if "persistentVolumeClaim" in volume]
    assert volume["persistentVolumeClaim"]["claimName"] == one.object_name
    (mount,) = [mount for mount in pod.container(container)["volumeMounts"] if mount["mountPath"] == directory]
    assert mount["name"] == volume["name"]
    assert not mount.get("readOnly")


def test_mysql_keeps_its_data_below_the_root_of_its_disk(program: RecordedProgram) -> None:
    # A new disk has a directory lost+found, which the image takes for data that it must not touch.
    (mount,) = [
        mount
        for mount in program.pod("-mysql").container("mysql")["volumeMounts"]
        if mount["mountPath"] == "/var/lib/mysql"
    ]
    assert mount["subPath"]


def test_a_claim_is_mounted_by_one_pod_only(program: RecordedProgram) -> None:
    for name in DATABASES:
        assert program.pod(name).workload.spec["replicas"] == 1


def test_every_mount_has_its_volume_and_every_volume_is_mounted(program: RecordedProgram) -> None:
    for pod in program.pods:
        mounted = {mount["name"] for container in pod.containers for mount in container.get("volumeMounts", [])}
        assert mounted == {volume["name"] for volume in pod.spec["volumes"]}, pod.workload.name
        for container in pod.containers:
            paths = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
            assert len(paths) == len(set(paths))


def test_every_mounted_or_referenced_secret_is_declared_with_that_key(program: RecordedProgram) -> None:
    keys = {secret.object_name: set(secret.manifest["stringData"]) for secret in program.of_kind("Secret")}
    for pod in program.pods:
        for volume in pod.spec["volumes"]:
            if "secret" in volume:
                secret = volume["secret"]
                assert {item["key"] for item in secret.get("items", [])} <= keys[secret["secretName"]]
        for container in pod.containers:
            for variable in container.get("env", []):
                reference = variable.get("valueFrom", {}).get("secretKeyRef")
                assert reference is None or reference["key"] in keys[reference["name"]]


def test_files_that_mysql_reads_its_passwords_from_are_mounted(program: RecordedProgram) -> None:
    pod = program.pod("-mysql")
    server = pod.container("mysql")
    secret = program.object("Secret", "-mysql-secret")
    (volume,) = [one for one in pod.spec["volumes"] if one.get("secret", {}).get("secretName") == secret.object_name]
    (mount,) = [mount for mount in server["volumeMounts"] if mount["name"] == volume["name"]]
    files = {variable["name"]: variable["value"] for variable in server["env"] if variable["name"].endswith("_FILE")}
    assert set(files) == {
        "MYSQL_ROOT_PASSWORD_FILE",
        "MYSQL_DATABASE_FILE",
        "MYSQL_USER_FILE",
        "MYSQL_PASSWORD_FILE",
    }
    for path in files.values():
        directory, _, key = path.rpartition("/")
        assert directory == mount["mountPath"]
        assert key in secret.manifest["stringData"]


def test_manager_answers_while_a_new_one_comes_up(program: RecordedProgram) -> None:
    strategy = program.object("Deployment", "-manager").spec["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_old_manager_serves_until_every_node_knows_that_it_goes(program: RecordedProgram) -> None:
    pod = next(pod for pod in program.pods if pod.workload.object_name.endswith("-manager"))
    (manager,) = pod.containers
    program_name, seconds = manager["lifecycle"]["preStop"]["exec"]["command"]
    assert program_name == "sleep"
    # Longer than kube-proxy takes, and well within the 30 s after which kubelet kills the pod.
    assert int(seconds) == 5
    assert "terminationGracePeriodSeconds" not in pod.spec


def test_a_tenth_of_the_nodes_gets_new_peers_at_once(program: RecordedProgram) -> None:
    # A share, so that a thousand nodes do not take hours, and a small one: while a peer restarts its node pulls from
    # the registry itself.
    strategy = program.object("DaemonSet", "-dfget").spec["updateStrategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}}


def test_mysql_has_time_to_write_its_buffer_pool_back(program: RecordedProgram) -> None:
    seconds = {pod.workload.object_name: pod.spec.get("terminationGracePeriodSeconds", 30) for pod in program.pods}
    assert seconds.pop(f"{program.app}-mysql") == 60
    assert set(seconds.values()) == {30}


def test_scratch_volumes_have_room_and_an_end(program: RecordedProgram) -> None:
    # Without an end a log or a cache takes the node's disk from everybody; beyond it kubelet evicts the pod.
    found = {
        (pod.workload.object_name.removeprefix(program.app), volume["name"]): volume["emptyDir"]
        for pod in program.pods
        for volume in pod.spec["volumes"]
        if "emptyDir" in volume
    }
    assert found == {
        ("-manager", "work"): {"sizeLimit": "1Gi"},
        ("-scheduler", "work"): {"sizeLimit": "1Gi"},
        ("-seed-peer", "work"): {"sizeLimit": "30Gi"},
        ("-dfget", "work"): {"sizeLimit": "30Gi"},
        ("-mysql", "scratch"): {"sizeLimit": "2Gi"},
    }


def test_mysql_can_write_what_it_writes_besides_its_data(program: RecordedProgram) -> None:
    mounts = program.pod("-mysql").container("mysql")["volumeMounts"]
    scratch = {one["mountPath"]: one["subPath"] for one in mounts if one["name"] == "scratch"}
    assert scratch.keys() == {"/var/run/mysqld", "/tmp"}
    assert len(set(scratch.values())) == 2


def test_mysql_asks_no_name_server_for_its_clients_and_loads_no_time_zones(program: RecordedProgram) -> None:
    server = program.pod("-mysql").container("mysql")
    assert "--skip-name-resolve" in server["args"]
    assert {"name": "MYSQL_INITDB_SKIP_TZINFO", "value": "1"} in server["env"]


# --- Images and commands


def test_every_image_is_one_of_the_images_table(program: RecordedProgram) -> None:
    expected = {
        ("-manager", "manager"): Image.MANAGER,
        ("-root-password", "root-password"): Image.MANAGER,
        ("-scheduler", "scheduler"): Image.SCHEDULER,
        ("-seed-peer", "seed-peer"): Image.SEED_PEER,
        ("-dfget", "dfget"): Image.PEER,
        ("-mysql", "mysql"): Image.MYSQL,
        ("-mysql", "mysqld-exporter"): Image.MYSQLD_EXPORTER,
        ("-mysql", "prometheus-to-sd"): Image.METRICS_EXPORTER,
        ("-redis", "redis"): Image.REDIS,
        ("-redis", "redis-exporter"): Image.REDIS_EXPORTER,
        ("-redis", "prometheus-to-sd"): Image.METRICS_EXPORTER,
    }
    for pod, container in _containers(program):
        image = expected[pod.workload.object_name.removeprefix(program.app), container["name"]]
        assert container["image"] == _images(program).reference(image)


def test_no_container_runs_before_the_others(program: RecordedProgram) -> None:
    # What waits does so with its own image's tools, since another image may be out of reach at a restart.
    for pod in program.pods:
        assert "initContainers" not in pod.spec
        assert "ephemeralContainers" not in pod.spec


def test_no_image_floats_or_comes_from_elsewhere(program: RecordedProgram) -> None:
    for _, container in _containers(program):
        image = container["image"]
        assert not image.endswith(":latest")
        assert re.search(r"(:[^/:]+|@sha256:[0-9a-f]{64})$", image)
        assert not re.search(r"busybox|openssl", image)


def test_nodes_sign_in_to_registries_with_the_secrets_of_the_config(program: RecordedProgram) -> None:
    names = json.loads(program.setting("imagePullSecrets", "[]"))
    for pod in program.pods:
        assert pod.spec.get("imagePullSecrets", []) == [{"name": name} for name in names]


def test_pull_policy_is_left_to_the_tag(program: RecordedProgram) -> None:
    # Tags name versions: an image on the node is as good as the registry's, which may be out of reach.
    for _, container in _containers(program):
        assert container.get("imagePullPolicy", "IfNotPresent") == "IfNotPresent"


@pytest.mark.parametrize("name", DRAGONFLY)
def test_dragonfly_programs_start_with_an_explicit_command_and_their_mounted_config(
    program: RecordedProgram, name: str
) -> None:
    pod = program.pod(name)
    (container,) = pod.containers
    command = container["command"]
    started = command[command.index("--") + 1 :]
    first = started.index("--config")
    is_client = runs_the_client(program) and name in ("-seed-peer", "-dfget")
    assert started[:first] == (CLIENT if is_client else BINARIES[name])
    assert started[first::2] == (["--config", "--dynconfig"] if is_client else ["--config"])
    paths = started[first + 1 :: 2]
    assert "args" not in container
    (directory,) = {path.rpartition("/")[0] for path in paths}
    (mount,) = [mount for mount in container["volumeMounts"] if mount["mountPath"] == directory]
    (volume,) = [volume for volume in pod.spec["volumes"] if volume["name"] == mount["name"]]
    assert mount["readOnly"] is True
    assert volume["secret"]["secretName"].startswith(pod.workload.object_name)
    assert [f"{directory}/{item['path']}" for item in volume["secret"]["items"]] == paths


def test_mysql_and_redis_start_with_the_programs_of_their_images(program: RecordedProgram) -> None:
    # The images' entrypoints prepare the data directory, and want the program as their argument.
    assert program.pod("-mysql").container("mysql")["args"][0] == "mysqld"
    assert program.pod("-redis").container("redis")["args"] == ["redis-server", "/etc/redis/redis.conf"]


def test_mysql_does_not_block_the_hosts_of_probes_and_waits(program: RecordedProgram) -> None:
    # After a hundred connections without a handshake the server would block the address.
    assert "--host-cache-size=0" in program.pod("-mysql").container("mysql")["args"]


# --- Probes


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
@pytest.mark.parametrize("name", DRAGONFLY)
def test_dragonfly_programs_are_asked_for_their_health_by_grpc(program: RecordedProgram, name: str, probe: str) -> None:
    (container,) = program.pod(name).containers
    assert container[probe]["grpc"] == {"port": _grpc_port(program, name)}
    assert not {"exec", "httpGet", "tcpSocket"} & set(container[probe])


def test_what_waits_for_its_database_is_not_restarted_for_ten_minutes(program: RecordedProgram) -> None:
    for _, container in _servers(program):
        if container["name"] in EXPORTERS:
            continue
        probe = container["startupProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] >= 600, container["name"]
        assert probe["periodSeconds"] <= 2, "a program that serves must not look unready for long"
        assert probe.get("initialDelaySeconds", 0) == 0


def test_process_is_restarted_only_after_a_minute_of_silence(program: RecordedProgram) -> None:
    for _, container in _servers(program):
        if container["name"] == "prometheus-to-sd":
            continue
        probe = container["livenessProbe"]
        assert probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3) >= 60, container["name"]


def test_no_database_waits_for_its_exporter(program: RecordedProgram) -> None:
    for _, container in _servers(program):
        assert ("readinessProbe" in container) == (container["name"] not in EXPORTERS)
        if container["name"] in EXPORTERS:
            assert "startupProbe" not in container


def test_probes_ask_at_ports_that_the_container_declares(program: RecordedProgram) -> None:
    for _, container in _containers(program):
        declared = {port["containerPort"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            for way in ("grpc", "tcpSocket", "httpGet"):
                if way in container.get(probe, {}):
                    assert container[probe][way]["port"] in declared, container["name"]


# --- Peers


def test_peers_are_on_the_network_of_every_node(program: RecordedProgram) -> None:
    spec = program.pod("-dfget").spec
    assert spec["hostNetwork"] is True
    # Without it a pod on the node's network asks the node's DNS, which knows no Services.
    assert spec["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert spec["tolerations"] == [{"operator": "Exists"}]


def test_peers_tell_the_kubernetes_scheduler_their_ports(program: RecordedProgram) -> None:
    (container,) = program.pod("-dfget").containers
    assert all(port["hostPort"] == port["containerPort"] for port in container["ports"])
    keys = CLIENT_PORT_KEYS if runs_the_client(program) else PEER_PORT_KEYS
    expected = {int(program.setting(key, str(65000 + index))) for index, key in enumerate(keys)}
    assert {port["hostPort"] for port in container["ports"]} == expected


def priority_classes(program: RecordedProgram) -> dict[str, str | None]:
    """Of the pods, by workload."""
    return {pod.workload.kind: pod.spec.get("priorityClassName") for pod in program.pods}


def test_a_node_short_of_memory_ends_others_before_its_peer(configured_program: RecordedProgram) -> None:
    others = {"Deployment": None, "StatefulSet": None, "Job": None}
    gke = run_gke(namespace="system", appInstanceName="eu")
    (made,) = gke.of_kind("PriorityClass")
    assert priority_classes(gke) == {**others, "DaemonSet": made.object_name}
    # Of no other instance, and none that Kubernetes keeps for itself.
    assert made.object_name == "dragonfly.system.eu-dfget"
    # Below the system's own; and nothing is ended to make room for a peer.
    assert 0 < made.manifest["value"] < 1_000_000_000
    assert made.manifest["preemptionPolicy"] == "Never"
    assert not made.manifest.get("globalDefault")
    assert priority_classes(configured_program) == {**others, "DaemonSet": "important"}
    assert configured_program.of_kind("PriorityClass") == []


def test_an_existing_cluster_needs_nobody_with_rights_on_the_whole_of_it(default_program: RecordedProgram) -> None:
    assert set(priority_classes(default_program).values()) == {None}
    of_the_cluster = {one.kind for one in default_program.objects if "namespace" not in one.metadata}
    assert of_the_cluster == {"CustomResourceDefinitionPatch"}


def test_a_namespace_of_the_stack_lets_the_peers_in_and_tells_of_what_asks_for_too_much() -> None:
    (namespace,) = run_main({**DEFAULT_CONFIG, "dragonfly:namespace": "p2p"}).of_kind("Namespace")
    assert {key: value for key, value in namespace.metadata["labels"].items() if "pod-security" in key} == {
        "pod-security.kubernetes.io/enforce": "privileged",
        "pod-security.kubernetes.io/audit": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
    }


def test_only_peers_are_on_the_nodes_network(program: RecordedProgram) -> None:
    for pod in program.pods:
        if pod.workload.kind != "DaemonSet":
            assert not {"hostNetwork", "hostPID", "hostIPC", "tolerations", "dnsPolicy"} & set(pod.spec)
            assert not any("hostPort" in port for one in pod.containers for port in one.get("ports", []))
        assert not {"hostPID", "hostIPC"} & set(pod.spec)


# --- Security


def test_every_pod_runs_as_somebody_else_than_root(program: RecordedProgram) -> None:
    for pod in program.pods:
        context = pod.spec["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod.containers:
            inner = container["securityContext"]
            assert inner.get("runAsUser", 1) > 0
            assert inner.get("runAsGroup", 1) > 0
            assert inner.get("runAsNonRoot", True) is True
            assert inner.get("seccompProfile", {"type": "RuntimeDefault"}) == {"type": "RuntimeDefault"}


def test_every_program_has_the_account_that_its_image_or_nobody_knows(program: RecordedProgram) -> None:
    # 999 owns the data directory in the databases' images; the others own nothing on a node.
    for pod in program.pods:
        uid = 999 if pod.workload.object_name.endswith(DATABASES) else 10001
        context = pod.spec["securityContext"]
        assert [context[key] for key in ("runAsUser", "runAsGroup", "fsGroup")] == [uid] * 3
        # Or kubelet walks a volume with a million files at every start of the pod.
        assert context["fsGroupChangePolicy"] == "OnRootMismatch"
        for container in pod.containers:
            own = 65534 if container["name"] in EXPORTERS else None
            inner = container["securityContext"]
            assert [inner.get("runAsUser"), inner.get("runAsGroup")] == [own, own]


def test_no_container_can_gain_privileges_or_change_its_image(program: RecordedProgram) -> None:
    for _, container in _containers(program):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert not context.get("privileged")


def test_no_pod_gets_a_token_for_the_api_server(program: RecordedProgram) -> None:
    for pod in program.pods:
        assert pod.spec["automountServiceAccountToken"] is False
        assert "serviceAccountName" not in pod.spec


def test_no_pod_reaches_the_files_of_its_node(program: RecordedProgram) -> None:
    for pod in program.pods:
        kinds = {next(kind for kind in volume if kind != "name") for volume in pod.spec["volumes"]}
        assert kinds <= {"emptyDir", "secret", "persistentVolumeClaim"}


def test_mounted_secrets_are_read_only_and_for_nobody_else(program: RecordedProgram) -> None:
    for pod in program.pods:
        secrets = {volume["name"] for volume in pod.spec["volumes"] if "secret" in volume}
        for volume in pod.spec["volumes"]:
            assert "secret" not in volume or volume["secret"]["defaultMode"] == 0o440
        for container in pod.containers:
            for mount in container.get("volumeMounts", []):
                assert mount["name"] not in secrets or mount["readOnly"] is True


def test_environment_does_not_list_every_service_of_the_namespace(program: RecordedProgram) -> None:
    # A Service called MANAGER_PORT and the like could be taken for a setting.
    for pod in program.pods:
        assert pod.spec["enableServiceLinks"] is False


# --- Resources


def test_every_container_has_requests_and_limits(program: RecordedProgram) -> None:
    for _, container in _containers(program):
        resources = container["resources"]
        for quantity in ("cpu", "memory"):
            request, limit = (parse_quantity(resources[part][quantity]) for part in ("requests", "limits"))
            assert 0 < request <= limit, container["name"]


@pytest.mark.parametrize(
    ("resource", "unit", "available"),
    [
        ("memory", 1, allocatable(machine_type_named("e2-standard-4")).memory_bytes),
        ("cpu", 1000, allocatable(machine_type_named("e2-standard-4")).cpu_millicores),
    ],
)
def test_requests_fit_three_e2_standard_4_nodes(
    program: RecordedProgram, resource: str, unit: int, available: int
) -> None:
    def request(pod: Pod) -> int:
        return int(sum(parse_quantity(one["resources"]["requests"][resource]) * unit for one in pod.containers))

    on_every_node = sum(request(pod) for pod in program.pods if pod.workload.kind == "DaemonSet")
    anywhere = sorted(
        (request(pod) for pod in program.pods for _ in range(int(pod.workload.spec.get("replicas", 0)))), reverse=True
    )
    assert on_every_node * NODES + sum(anywhere) <= available * NODES
    free = [available - on_every_node] * NODES
    for size in anywhere:
        free.sort()
        free[-1] -= size
    assert min(free) >= 0
    # GKE's own pods request up to a core and a gigabyte on a node of such a cluster.
    assert sum(free) >= available * NODES // 2


# --- Services


def test_services_are_inside_the_cluster_and_not_awaited(program: RecordedProgram) -> None:
    for service in program.of_kind("Service"):
        assert service.spec["type"] == "ClusterIP"
        assert not {"externalIPs", "externalName", "loadBalancerIP"} & set(service.spec)
        # Awaited, a Service would hold its place until pods are Ready that wait for their turn behind it.
        assert service.metadata["annotations"]["pulumi.com/skipAwait"] == "true"


def test_services_lead_to_ports_that_their_pods_declare(program: RecordedProgram) -> None:
    for service in program.of_kind("Service"):
        (pod,) = [pod for pod in program.pods if service.spec["selector"].items() <= pod.labels.items()]
        declared = {port["containerPort"] for one in pod.containers for port in one.get("ports", [])}
        for port in service.spec["ports"]:
            assert port["targetPort"] in declared
            assert port["targetPort"] == port["port"]
            # Named alike, for who reads one beside the other.
            assert port["name"] in {one["name"] for container in pod.containers for one in container.get("ports", [])}


def test_databases_are_reached_while_their_exporters_are_not_ready(program: RecordedProgram) -> None:
    found = {
        one.object_name.removeprefix(program.app)
        for one in program.of_kind("Service")
        if one.spec.get("publishNotReadyAddresses")
    }
    # And by 2.5's clients the schedulers are found.
    schedulers = {"-scheduler-headless"} if program.setting("tag", "2.1").startswith("2.5") else set[str]()
    assert found - schedulers == {"-mysql-svc", "-mysqld-exporter-svc", "-redis-svc", "-redis-exporter-svc"}
    assert schedulers <= found


def test_workloads_are_awaited(program: RecordedProgram) -> None:
    for one in program.of_kind(*WORKLOADS):
        assert "pulumi.com/skipAwait" not in one.metadata.get("annotations", {})


def test_claims_are_not_awaited(program: RecordedProgram) -> None:
    # Where the class binds late, the plug-in would wait for Pending, and a claim can be Bound before it looks.
    for one in program.of_kind("PersistentVolumeClaim"):
        assert one.metadata["annotations"]["pulumi.com/skipAwait"] == "true"


def test_what_somebody_else_changed_is_healed_and_not_a_conflict(program: RecordedProgram) -> None:
    for one in program.objects:
        if one.kind in (*WORKLOADS, "Service", "Secret", "PersistentVolumeClaim", "Application"):
            assert one.metadata["annotations"]["pulumi.com/patchForce"] == "true", one.name


def test_somebody_elses_definition_is_never_forced(default_program: RecordedProgram) -> None:
    (definition,) = default_program.of_kind("CustomResourceDefinitionPatch")
    assert "pulumi.com/patchForce" not in definition.metadata["annotations"]


# --- Export to Cloud Monitoring


def test_metrics_are_exported_only_when_asked_for(
    default_program: RecordedProgram, configured_program: RecordedProgram
) -> None:
    def exporting(program: RecordedProgram) -> list[str]:
        return sorted(
            pod.workload.object_name.removeprefix(program.app)
            for pod, container in _containers(program)
            if container["name"] == "prometheus-to-sd"
        )

    assert exporting(default_program) == []
    assert exporting(configured_program) == ["-mysql", "-redis"]
    assert not any("prometheus-to-sd" in text for one in default_program.objects for text in strings_in(one.manifest))


@pytest.mark.parametrize(
    ("workload", "component", "exporter"),
    [("-mysql", "mysql", "mysqld-exporter"), ("-redis", "redis", "redis-exporter")],
)
def test_sidecar_reads_its_pods_exporter(
    configured_program: RecordedProgram, workload: str, component: str, exporter: str
) -> None:
    pod = configured_program.pod(workload)
    sidecar = pod.container("prometheus-to-sd")
    (port,) = pod.container(exporter)["ports"]
    binary, *flags = sidecar["command"]
    assert binary == "/monitor"
    assert all(re.fullmatch(r"--[a-z-]+=\S+", flag) for flag in flags)
    values = dict(flag.removeprefix("--").split("=", 1) for flag in flags)
    # component:http://host:port/path, from the exporter's documentation.
    assert values["source"] == f"{component}:http://localhost:{int(port['containerPort'])}/metrics"
    assert values["stackdriver-prefix"] == "custom.googleapis.com"
    # Pods and containers as Cloud Monitoring names them today; the flag's default is from before.
    assert values["monitored-resource-type-prefix"] == "k8s_"
    fields = {one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in sidecar["env"]}
    for flag, field_path in (("pod-id", "metadata.name"), ("namespace-id", "metadata.namespace")):
        match = re.fullmatch(r"\$\((\w+)\)", values[flag])
        assert match is not None
        assert fields[match[1]] == field_path
