"""The config files of Dragonfly 2.5, as they are mounted into the pods: what it has other than 2.1."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

import pytest
import yaml

from dragonfly.quantity import parse_quantity
from tests.program.recorded.gke_stack import run_gke
from tests.program.recorded.recorded_program import RecordedProgram, strings_in

CLIENTS = ("-seed-peer", "-dfget")
PORTS = {
    "-seed-peer": {
        "grpc": 65006,
        "proxy": 65007,
        "upload": 65008,
        "health": 40902,
        "metrics": 8000,
        "stats": 4004,
        "quic": 4006,
    },
    "-dfget": {
        "grpc": 65000,
        "proxy": 65001,
        "upload": 65002,
        "health": 65003,
        "metrics": 65004,
        "stats": 65005,
        "quic": 65006,
    },
}
# What has no other test with a reason is deliberate all the same.
VALUES: dict[str, Any] = {
    "server": {"cacheDir": "/var/cache/dragonfly"},
    "download": {
        "server": {"socketPath": "/var/run/dragonfly/dfdaemon.sock"},
        "bandwidthLimit": "1GiB",
        "backToSourceBandwidthLimit": "1GiB",
    },
    "scheduler": {"announceInterval": "10s"},
    "dynconfig": {"refreshInterval": "10s"},
    "gc": {
        "interval": "10s",
        "policy": {
            "taskTTL": "6h",
            "diskThreshold": "24GiB",
            "diskHighThresholdPercent": 75,
            "diskLowThresholdPercent": 60,
        },
    },
    "network": {"enableIPv6": False},
}


def document(program: RecordedProgram, name: str, file: str) -> dict[str, Any]:
    return cast(dict[str, Any], yaml.safe_load(program.secret_document(f"{name}-config", file)))


@pytest.fixture(params=CLIENTS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def client(line_2_5_program: RecordedProgram, name: str) -> dict[str, Any]:
    return document(line_2_5_program, name, "dfdaemon.yaml")


def test_manager_is_told_nothing_that_2_5_has_removed(
    line_2_5_program: RecordedProgram, default_program: RecordedProgram
) -> None:
    manager, before = (document(one, "-manager", "manager.yaml") for one in (line_2_5_program, default_program))
    assert set(before) - set(manager) == {"objectStorage"}
    assert set(before["server"]) - set(manager["server"]) == {"workHome", "cacheDir"}
    assert manager["server"]["logDir"] == "/var/log/dragonfly"


def test_scheduler_is_told_nothing_that_2_5_has_removed(
    line_2_5_program: RecordedProgram, default_program: RecordedProgram
) -> None:
    scheduler, before = (document(one, "-scheduler", "scheduler.yaml") for one in (line_2_5_program, default_program))
    assert set(before) - set(scheduler) == {"seedPeer"}
    assert set(before["server"]) - set(scheduler["server"]) == {"workHome", "cacheDir", "dataDir"}
    assert set(before["database"]["redis"]) - set(scheduler["database"]["redis"]) == {"networkTopologyDB"}
    assert scheduler["server"]["logDir"] == "/var/log/dragonfly"


def test_manager_does_not_write_into_its_database_five_times_a_second(line_2_5_program: RecordedProgram) -> None:
    assert document(line_2_5_program, "-scheduler", "scheduler.yaml")["manager"]["keepAlive"] == {"interval": "5s"}


def test_client_gets_the_values_that_were_chosen_for_it(client: dict[str, Any]) -> None:
    assert {key: client[key] for key in VALUES} == VALUES


def test_client_listens_on_its_ports(client: dict[str, Any], name: str) -> None:
    storage = client["storage"]["server"]
    assert {
        "grpc": client["upload"]["server"]["port"],
        "proxy": client["proxy"]["server"]["port"],
        "upload": storage["tcpPort"],
        "health": client["health"]["server"]["port"],
        "metrics": client["metrics"]["server"]["port"],
        "stats": client["stats"]["server"]["port"],
        "quic": storage["quicPort"],
    } == PORTS[name]


def test_other_peers_and_kubelet_reach_the_client_and_only_its_node_the_proxy_and_the_profiles(
    client: dict[str, Any],
) -> None:
    addresses = {
        key: client[key]["server"]["ip"] for key in ("upload", "storage", "health", "metrics", "proxy", "stats")
    }
    assert addresses == {
        **dict.fromkeys(("upload", "storage", "health", "metrics"), "0.0.0.0"),
        # It forwards anything to anywhere for whoever asks; `basicAuth` would take the header with a registry's token.
        "proxy": "127.0.0.1",
        "stats": "127.0.0.1",
    }
    assert "basicAuth" not in client["proxy"]["server"]


def test_pod_declares_what_the_client_listens_on(line_2_5_program: RecordedProgram, name: str) -> None:
    (container,) = line_2_5_program.pod(name).containers
    declared = {port["name"]: int(port["containerPort"]) for port in container["ports"]}
    # On its own network the seed peer's loopback is nobody's.
    missing = {"proxy", "stats"} if name == "-seed-peer" else set[str]()
    assert declared == {port: number for port, number in PORTS[name].items() if port not in missing}
    assert {port["name"] for port in container["ports"] if port.get("protocol") == "UDP"} == {"quic"}
    assert container["livenessProbe"]["grpc"]["port"] == PORTS[name]["grpc"]


def test_only_the_seed_peer_fetches_for_all(line_2_5_program: RecordedProgram) -> None:
    assert document(line_2_5_program, "-seed-peer", "dfdaemon.yaml")["seedPeer"] == {"enable": True, "type": "super"}
    assert "seedPeer" not in document(line_2_5_program, "-dfget", "dfdaemon.yaml")


def test_client_finds_schedulers_by_the_name_of_their_own_addresses_and_asks_no_manager(
    line_2_5_program: RecordedProgram, client: dict[str, Any], name: str
) -> None:
    # Only where no manager is named does it read the file.
    assert "manager" not in client
    found = document(line_2_5_program, name, "dynconfig.yaml")
    schedulers = f"{line_2_5_program.app}-scheduler-headless:8002"
    assert found == {"scheduler": {"addr": schedulers}}
    service = line_2_5_program.object("Service", "-scheduler-headless")
    assert service.spec["clusterIP"] == "None"
    # It exits when the name stands for nobody.
    (container,) = line_2_5_program.pod(name).containers
    command = cast(list[str], container["command"])
    assert command[command.index("wait-for") + 1 : command.index("--")] == [schedulers]


def test_client_takes_the_registry_from_the_request(client: dict[str, Any]) -> None:
    assert client["proxy"]["registryMirror"] == {"addr": "https://registry-1.docker.io"}
    assert client["proxy"]["rules"] == [{"regex": "blobs/sha256.*"}]


def test_client_serves_again_after_a_restart_what_it_has_downloaded(
    line_2_5_program: RecordedProgram, client: dict[str, Any], name: str
) -> None:
    assert client["storage"]["keep"] is True
    (container,) = line_2_5_program.pod(name).containers
    scratch = {volume["name"] for volume in line_2_5_program.pod(name).spec["volumes"] if "emptyDir" in volume}
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] in scratch}
    socket = client["download"]["server"]["socketPath"].rpartition("/")[0]
    assert {client["storage"]["dir"], client["server"]["cacheDir"], socket, "/tmp"} <= writable


def test_client_drops_what_is_old_long_before_its_volume_is_full(
    line_2_5_program: RecordedProgram, client: dict[str, Any], name: str
) -> None:
    # Beyond the limit kubelet evicts the pod, and the whole cache with it.
    (limit,) = [
        volume["emptyDir"]["sizeLimit"] for volume in line_2_5_program.pod(name).spec["volumes"] if "emptyDir" in volume
    ]
    threshold = client["gc"]["policy"]["diskThreshold"].removesuffix("B")
    assert parse_quantity(limit) >= parse_quantity(threshold) * Decimal("1.25")


def test_seed_peer_keeps_what_it_has_fetched_on_a_disk_of_its_own(configured_line_2_5_program: RecordedProgram) -> None:
    program = configured_line_2_5_program
    # As a StatefulSet's own claim would be called: further replicas could have theirs.
    claim = program.object("PersistentVolumeClaim", f"-seed-peer-cache-pvc-{program.app}-seed-peer-0")
    assert claim.spec["resources"]["requests"]["storage"] == "100Gi"
    assert claim.spec["storageClassName"] == "standard-rwo"
    pod, client = program.pod("-seed-peer"), document(program, "-seed-peer", "dfdaemon.yaml")
    (volume,) = [each for each in pod.spec["volumes"] if "persistentVolumeClaim" in each]
    assert volume["persistentVolumeClaim"]["claimName"] == claim.object_name
    mounts = [mount for mount in pod.containers[0]["volumeMounts"] if mount["name"] == volume["name"]]
    # Below the root of the file system, where a new one has a directory of its own.
    assert [(mount["mountPath"], mount["subPath"]) for mount in mounts] == [(client["storage"]["dir"], "data")]
    # It takes room from nobody: a cache that is not asked for at night is there in the morning.
    kept = {"diskThreshold": "80GiB", "taskTTL": "720h"}
    assert {key: client["gc"]["policy"][key] for key in kept} == kept
    # The peers' caches go with their pods.
    kept = {"diskThreshold": "24GiB", "taskTTL": "6h"}
    assert {key: document(program, "-dfget", "dfdaemon.yaml")["gc"]["policy"][key] for key in kept} == kept


def test_the_caches_disk_goes_with_the_stack_whatever_protects_the_databases() -> None:
    program = run_gke(tag="2.5.1", seedPeerCacheSize="100Gi")
    disks = {one.name: one for one in program.resources if one.type == "gcp:compute/disk:Disk"}
    assert {name: disk.protect for name, disk in disks.items()} == {
        "mysql-disk": True,
        "redis-disk": True,
        "seed-peer-disk": False,
    }
    assert disks["seed-peer-disk"].manifest["size"] == 100
    # While the cluster works, in order: the pod, its claim, its volume, the disk.
    (workload,) = [one for one in program.of_kind("StatefulSet") if one.name == "seed-peer"]
    assert not workload.deleted_with
    without = run_gke(tag="2.5.1").of_kind("StatefulSet")
    assert {one.name for one in without if not one.deleted_with} == {"mysql", "redis"}


def test_clients_files_hold_no_secret_and_no_long_name(line_2_5_program: RecordedProgram, name: str) -> None:
    for file in ("dfdaemon.yaml", "dynconfig.yaml"):
        text = line_2_5_program.secret_document(f"{name}-config", file)
        assert not any(secret in text for secret in line_2_5_program.passwords.values())
        assert not any(".svc" in one for one in strings_in(document(line_2_5_program, name, file)))
