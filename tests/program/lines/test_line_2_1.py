"""The config files of manager, scheduler, seed peer and peers of Dragonfly 2.1, as they are mounted into the pods."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache, reduce
from operator import getitem
from typing import Any, cast

import pytest
import yaml

from dragonfly.quantity import parse_quantity
from tests.program.recorded.recorded_program import RecordedProgram, strings_in

FILES = {
    "-manager": ("-manager-config", "manager.yaml"),
    "-scheduler": ("-scheduler-config", "scheduler.yaml"),
    "-seed-peer": ("-seed-peer-config", "dfget.yaml"),
    "-dfget": ("-dfget-config", "dfget.yaml"),
}
DAEMONS = ("-seed-peer", "-dfget")
# Linux hands these to outgoing connections.
EPHEMERAL = range(32768, 61000)
# Dragonfly's own, by key; the peers' are the stack's.
SEED_PEER_PORTS = {"grpc": 65006, "proxy": 65007, "upload": 65008, "health": 40902, "metrics": 8000}
PEER_KEYS = {
    "grpc": ("peerPort", 65000),
    "proxy": ("proxyPort", 65001),
    "upload": ("uploadPort", 65002),
    "health": ("peerHealthPort", 65003),
    "metrics": ("peerMetricsPort", 65004),
}
PUBLIC_TOKEN_KEY = "ZHJhZ29uZmx5Cg=="


def _config(program: RecordedProgram, name: str) -> dict[str, Any]:
    return _parsed(program.secret_document(*FILES[name]))


@cache
def _parsed(document: str) -> dict[str, Any]:
    return cast(dict[str, Any], yaml.safe_load(document))


def _ports(program: RecordedProgram, name: str) -> dict[str, int]:
    if name == "-seed-peer":
        return SEED_PEER_PORTS
    return {port: int(program.setting(key, str(default))) for port, (key, default) in PEER_KEYS.items()}


def _password(program: RecordedProgram, key: str, random_name: str) -> str:
    return program.config.get(f"dragonfly:{key}") or program.random[random_name]


def _seconds(duration: str) -> float:
    """Of a duration as Go writes it, of one unit."""
    match = re.fullmatch(r"([0-9.]+)(ms|s)", duration)
    assert match, duration
    return float(match[1]) / {"ms": 1000, "s": 1}[match[2]]


def _listeners(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        "grpc": config["download"]["peerGRPC"]["tcpListen"],
        "upload": config["upload"]["tcpListen"],
        "health": config["health"]["tcpListen"],
        "proxy": config["proxy"]["tcpListen"],
    }


def _port_ranges(value: Any) -> list[dict[str, int]]:
    if isinstance(value, dict):
        mapping = cast(dict[str, Any], value)
        if set(mapping) == {"start", "end"}:
            return [mapping]
        return [found for inner in mapping.values() for found in _port_ranges(inner)]
    if isinstance(value, list):
        return [found for inner in cast(list[Any], value) for found in _port_ranges(inner)]
    return []


# Values that no other test gives a reason for are deliberate all the same. What is not listed is secret, or an address.
MANAGER_VALUES = {
    "server.workHome": "/usr/local/dragonfly",
    "server.cacheDir": "/var/cache/dragonfly",
    "server.logDir": "/var/log/dragonfly",
    "auth.jwt.realm": "Dragonfly",
    "auth.jwt.timeout": "48h",
    "auth.jwt.maxRefresh": "48h",
    "cache.redis.ttl": "2s",
    "cache.local.size": 200000,
    "cache.local.ttl": "2s",
    "network.enableIPv6": False,
}
SCHEDULER_VALUES = {
    "server.workHome": "/usr/local/dragonfly",
    "server.cacheDir": "/var/cache/dragonfly",
    "server.logDir": "/var/log/dragonfly",
    "server.dataDir": "/var/lib/dragonfly",
    "database.redis.networkTopologyDB": 3,
    "dynConfig.refreshInterval": "10s",
    "manager.keepAlive.interval": "200ms",
    "network.enableIPv6": False,
}
DAEMON_VALUES = {
    "workHome": "/usr/local/dragonfly",
    "cacheDir": "/var/cache/dragonfly",
    "logDir": "/var/log/dragonfly",
    "dataDir": "/var/lib/dragonfly",
    "scheduler.scheduleTimeout": "30s",
    "download.totalRateLimit": "1024Mi",
    "download.perPeerRateLimit": "512Mi",
    "download.downloadGRPC.unixListen.socket": "/var/run/dragonfly/dfdaemon.sock",
    "upload.rateLimit": "1024Mi",
    "storage.taskExpireTime": "6h",
    "storage.diskGCThreshold": "20Gi",
    "storage.diskGCThresholdPercent": 80,
    "proxy.registryMirror.url": "https://registry-1.docker.io",
    "proxy.proxies": [{"regx": "blobs/sha256.*"}],
    "proxy.whiteList": [{"host": "nowhere.invalid"}],
    "network.enableIPv6": False,
}
VALUES = {
    "-manager": MANAGER_VALUES,
    "-scheduler": SCHEDULER_VALUES,
    "-seed-peer": {**DAEMON_VALUES, "scheduler.manager.seedPeer.keepAlive.interval": "200ms"},
    "-dfget": DAEMON_VALUES,
}

# --- All four


@pytest.mark.parametrize("name", FILES)
def test_program_gets_the_values_that_were_chosen_for_it(line_2_1_program: RecordedProgram, name: str) -> None:
    config = _config(line_2_1_program, name)
    found = {path: reduce(getitem, path.split("."), cast(Any, config)) for path in VALUES[name]}
    assert found == VALUES[name]


@pytest.mark.parametrize("name", FILES)
def test_program_logs_to_standard_output(line_2_1_program: RecordedProgram, name: str) -> None:
    assert _config(line_2_1_program, name)["console"] is True


@pytest.mark.parametrize("name", FILES)
def test_port_that_is_taken_is_not_replaced_by_the_next(line_2_1_program: RecordedProgram, name: str) -> None:
    for ports in _port_ranges(_config(line_2_1_program, name)):
        assert ports["start"] == ports["end"]


@pytest.mark.parametrize("name", ["-manager", *DAEMONS])
def test_ports_to_listen_on_are_ranges(line_2_1_program: RecordedProgram, name: str) -> None:
    # A single number is where the search for a free port starts.
    assert len(_port_ranges(_config(line_2_1_program, name))) == (1 if name == "-manager" else 4)


@pytest.mark.parametrize("name", FILES)
def test_metrics_are_on_at_the_declared_port(line_2_1_program: RecordedProgram, name: str) -> None:
    metrics = _config(line_2_1_program, name)["metrics"]
    if name in DAEMONS:
        address = metrics
    else:
        assert metrics["enable"] is True
        address = metrics["addr"]
    (container,) = line_2_1_program.pod(name).containers
    (port,) = [port["containerPort"] for port in container["ports"] if port["name"] == "metrics"]
    assert address == f":{int(port)}"


@pytest.mark.parametrize("name", FILES)
def test_every_address_names_a_declared_service_and_one_of_its_ports(
    line_2_1_program: RecordedProgram, name: str
) -> None:
    services = {
        service.object_name: {int(port["port"]) for port in service.spec["ports"]}
        for service in line_2_1_program.of_kind("Service")
    }
    config = _config(line_2_1_program, name)
    pattern = re.compile(rf"({re.escape(line_2_1_program.app)}-[a-z-]+):(\d+)")
    addresses = [match for text in strings_in(config) if (match := pattern.fullmatch(text))]
    for address in addresses:
        assert int(address[2]) in services[address[1]]
    mentions = [text for text in strings_in(config) if text.startswith(f"{line_2_1_program.app}-")]
    assert mentions, "none of the programs works alone"
    assert {mention.partition(":")[0] for mention in mentions} <= set(services)


@pytest.mark.parametrize("name", FILES)
def test_program_waits_for_services_and_ports_that_exist(line_2_1_program: RecordedProgram, name: str) -> None:
    services = {
        service.object_name: {int(port["port"]) for port in service.spec["ports"]}
        for service in line_2_1_program.of_kind("Service")
    }
    for address in _waits(line_2_1_program, name):
        host, _, port = address.partition(":")
        assert int(port) in services[host]


def _waits(program: RecordedProgram, name: str) -> list[str]:
    (container,) = program.pod(name).containers
    command = cast(list[str], container["command"])
    return command[command.index("wait-for") + 1 : command.index("--")]


@pytest.mark.parametrize("name", FILES)
def test_program_waits_for_whatever_it_is_told_to_connect_to(line_2_1_program: RecordedProgram, name: str) -> None:
    config = _config(line_2_1_program, name)
    expected = {
        text for text in strings_in(config) if re.fullmatch(rf"{re.escape(line_2_1_program.app)}-[a-z-]+:\d+", text)
    }
    if name == "-manager":
        mysql = config["database"]["mysql"]
        expected.add(f"{mysql['host']}:{mysql['port']}")
    if name == "-seed-peer":
        # It finds the scheduler through the manager, and serves nothing while there is none.
        expected.add(f"{line_2_1_program.app}-scheduler-service:8002")
    assert set(_waits(line_2_1_program, name)) == expected


@pytest.mark.parametrize("name", FILES)
def test_directories_of_the_program_can_be_written_to(line_2_1_program: RecordedProgram, name: str) -> None:
    config = _config(line_2_1_program, name)
    (container,) = line_2_1_program.pod(name).containers
    scratch = {volume["name"] for volume in line_2_1_program.pod(name).spec["volumes"] if "emptyDir" in volume}
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] in scratch}
    holder = config if name in DAEMONS else config["server"]
    directories = {value for key, value in holder.items() if key in ("workHome", "cacheDir", "logDir", "dataDir")}
    if name in DAEMONS:
        directories.add(config["download"]["downloadGRPC"]["unixListen"]["socket"].rpartition("/")[0])
    assert len(directories) >= 3
    assert directories <= writable
    assert "/tmp" in writable


@pytest.mark.parametrize("name", FILES)
def test_declared_container_ports_are_those_of_the_config(line_2_1_program: RecordedProgram, name: str) -> None:
    config = _config(line_2_1_program, name)
    (container,) = line_2_1_program.pod(name).containers
    declared = {port["name"]: int(port["containerPort"]) for port in container["ports"]}
    if name == "-manager":
        listening = {
            "grpc": config["server"]["grpc"]["port"]["start"],
            "http": int(config["server"]["rest"]["addr"].removeprefix(":")),
        }
    elif name == "-scheduler":
        listening = {"grpc": config["server"]["port"]}
    else:
        listening = {port: listener["port"]["start"] for port, listener in _listeners(config).items()}
    listening["metrics"] = declared["metrics"]
    assert declared.items() <= listening.items()
    # On its own network the loopback proxy of the seed peer is nobody's.
    assert set(listening) - set(declared) <= {"proxy"}


# --- Manager


def test_token_key_of_the_console_is_random(line_2_1_program: RecordedProgram) -> None:
    jwt = _config(line_2_1_program, "-manager")["auth"]["jwt"]
    # With the chart's public key anybody makes himself an administrator.
    assert jwt["key"] == line_2_1_program.random["manager-token-key"]
    assert jwt["realm"]
    assert re.fullmatch(r"\d+h", jwt["timeout"])
    assert re.fullmatch(r"\d+h", jwt["maxRefresh"])


def test_public_token_key_stands_nowhere(line_2_1_program: RecordedProgram) -> None:
    for one in line_2_1_program.objects:
        assert not any(PUBLIC_TOKEN_KEY in text for text in strings_in(one.manifest))


def test_manager_listens_where_its_service_leads(line_2_1_program: RecordedProgram) -> None:
    server = _config(line_2_1_program, "-manager")["server"]
    assert server["grpc"]["port"] == {"start": 65003, "end": 65003}
    assert server["rest"]["addr"] == ":8080"


def test_manager_uses_the_installations_mysql(line_2_1_program: RecordedProgram) -> None:
    database = _config(line_2_1_program, "-manager")["database"]
    assert database["type"] == "mysql"
    assert database["mysql"] == {
        "user": line_2_1_program.secret_document("-mysql-secret", "dragonfly-user"),
        "password": _password(line_2_1_program, "dbUserPassword", "db-user-password"),
        "host": f"{line_2_1_program.app}-mysql-svc",
        "port": 3306,
        "dbname": line_2_1_program.secret_document("-mysql-secret", "dragonfly-database"),
        "migrate": True,
    }


def test_manager_uses_the_installations_redis(line_2_1_program: RecordedProgram) -> None:
    config = _config(line_2_1_program, "-manager")
    assert config["database"]["redis"] == {
        "addrs": [f"{line_2_1_program.app}-redis-svc:6379"],
        "password": _password(line_2_1_program, "redisPassword", "redis-password"),
        "db": 0,
        "brokerDB": 1,
        "backendDB": 2,
    }
    assert set(config["cache"]["local"]) == {"size", "ttl"}
    # Whoever has moved is looked for at its old address for as long.
    assert [_seconds(config["cache"][kind]["ttl"]) <= 5 for kind in ("redis", "local")] == [True, True]
    assert config["objectStorage"] == {"enable": False}


def test_manager_has_no_other_keys_than_its_schema(line_2_1_program: RecordedProgram) -> None:
    assert set(_config(line_2_1_program, "-manager")) == {
        "server",
        "auth",
        "database",
        "cache",
        "objectStorage",
        "metrics",
        "network",
        "console",
    }


# --- Scheduler


def test_scheduler_registers_with_the_manager(line_2_1_program: RecordedProgram) -> None:
    config = _config(line_2_1_program, "-scheduler")
    assert config["manager"]["addr"] == f"{line_2_1_program.app}-manager-service:65003"
    assert config["manager"]["schedulerClusterID"] == 1
    # Until its first keep-alive, after a whole interval, the manager does not give it to seed peers.
    assert _seconds(config["manager"]["keepAlive"]["interval"]) <= 0.2
    assert config["server"]["port"] == 8002
    assert config["scheduler"]["algorithm"] == "default"
    assert config["seedPeer"]["enable"] is True
    assert config["dynConfig"]["refreshInterval"]


def test_scheduler_takes_jobs_from_the_queue_that_the_manager_fills(line_2_1_program: RecordedProgram) -> None:
    config = _config(line_2_1_program, "-scheduler")
    assert config["job"]["enable"] is True
    redis = config["database"]["redis"]
    manager = _config(line_2_1_program, "-manager")["database"]["redis"]
    for key in ("addrs", "password", "brokerDB", "backendDB"):
        assert redis[key] == manager[key]
    assert redis["networkTopologyDB"] not in (manager["db"], manager["brokerDB"], manager["backendDB"])


# --- Seed peer and peers


@pytest.mark.parametrize("name", DAEMONS)
def test_daemon_listens_on_its_ports(line_2_1_program: RecordedProgram, name: str) -> None:
    ports = _ports(line_2_1_program, name)
    for server, listener in _listeners(_config(line_2_1_program, name)).items():
        assert listener["port"] == {"start": ports[server], "end": ports[server]}
    assert _config(line_2_1_program, name)["metrics"] == f":{ports['metrics']}"


def test_peers_ports_are_not_in_the_ephemeral_range_by_default(default_program: RecordedProgram) -> None:
    # On the node's network an outgoing connection may hold such a port when the peer wants it.
    for port in _ports(default_program, "-dfget").values():
        assert port not in EPHEMERAL


@pytest.mark.parametrize("name", DAEMONS)
def test_proxy_serves_its_own_node_and_forwards_nothing(line_2_1_program: RecordedProgram, name: str) -> None:
    proxy = _config(line_2_1_program, name)["proxy"]
    assert proxy["tcpListen"]["listen"] == "127.0.0.1"
    hosts = [entry["host"] for entry in proxy["whiteList"]]
    # An empty list allows everything; so does an entry without a host. The name exists nowhere (RFC 2606).
    assert hosts
    for host in hosts:
        assert re.fullmatch(r"[a-z.]+\.invalid", host)


@pytest.mark.parametrize("name", DAEMONS)
def test_other_peers_and_kubelet_reach_the_daemon(line_2_1_program: RecordedProgram, name: str) -> None:
    listeners = _listeners(_config(line_2_1_program, name))
    for server in ("grpc", "upload", "health"):
        assert listeners[server]["listen"] == "0.0.0.0"


@pytest.mark.parametrize("name", DAEMONS)
def test_mirror_takes_the_registry_from_the_request(line_2_1_program: RecordedProgram, name: str) -> None:
    mirror = _config(line_2_1_program, name)["proxy"]["registryMirror"]
    assert mirror["dynamic"] is True
    # An empty URL switches the mirror off.
    assert re.fullmatch(r"https://[a-z0-9.-]+", mirror["url"])
    assert mirror["url"] != "https://docker.io", "which is no registry"
    assert mirror["insecure"] is False
    assert mirror["direct"] is False


@pytest.mark.parametrize("name", DAEMONS)
def test_one_blob_has_one_task_whatever_the_query(line_2_1_program: RecordedProgram, name: str) -> None:
    assert _config(line_2_1_program, name)["proxy"]["defaultFilter"].split("&") == ["Expires", "Signature", "ns"]


@pytest.mark.parametrize("name", DAEMONS)
def test_daemon_keeps_what_it_has_downloaded(line_2_1_program: RecordedProgram, name: str) -> None:
    config = _config(line_2_1_program, name)
    assert config["keepStorage"] is True
    storage = config["storage"]
    assert storage["strategy"] == "io.d7y.storage.v2.simple"
    assert storage["multiplex"] is True
    assert re.fullmatch(r"\d+[hm]", storage["taskExpireTime"])
    assert re.fullmatch(r"\d+Gi", storage["diskGCThreshold"])
    assert 0 < storage["diskGCThresholdPercent"] < 100


@pytest.mark.parametrize("name", DAEMONS)
def test_rates_are_limited(line_2_1_program: RecordedProgram, name: str) -> None:
    config = _config(line_2_1_program, name)
    for rate in (
        config["download"]["totalRateLimit"],
        config["download"]["perPeerRateLimit"],
        config["upload"]["rateLimit"],
    ):
        assert re.fullmatch(r"\d+[MG]i", rate)


def test_seed_peer_registers_and_takes_no_old_answer_for_its_schedulers(line_2_1_program: RecordedProgram) -> None:
    scheduler = _config(line_2_1_program, "-seed-peer")["scheduler"]
    manager = scheduler["manager"]
    assert manager["enable"] is True
    # Under netAddrs, where the images' own file has the interval, nothing reads it.
    assert manager["refreshInterval"] == "2s"
    assert manager["netAddrs"] == [{"type": "tcp", "addr": f"{line_2_1_program.app}-manager-service:65003"}]
    assert manager["seedPeer"]["enable"] is True
    assert manager["seedPeer"]["type"] == "super"
    assert manager["seedPeer"]["clusterID"] == _config(line_2_1_program, "-scheduler")["manager"]["schedulerClusterID"]
    assert "netAddrs" not in scheduler


def test_peers_are_told_the_scheduler_and_leave_the_manager_alone(line_2_1_program: RecordedProgram) -> None:
    scheduler = _config(line_2_1_program, "-dfget")["scheduler"]
    assert scheduler["manager"] == {"enable": False}
    assert scheduler["netAddrs"] == [{"type": "tcp", "addr": f"{line_2_1_program.app}-scheduler-service:8002"}]


@pytest.mark.parametrize("name", DAEMONS)
def test_config_of_a_daemon_holds_no_secret(line_2_1_program: RecordedProgram, name: str) -> None:
    document = line_2_1_program.secret_document(*FILES[name])
    assert not any(secret in document for secret in line_2_1_program.passwords.values())


@pytest.mark.parametrize("name", FILES)
def test_host_names_in_the_config_are_short_enough_to_resolve(line_2_1_program: RecordedProgram, name: str) -> None:
    # Plain names: the pods are in the Services' namespace, and no namespace stands in two places.
    for text in strings_in(_config(line_2_1_program, name)):
        assert ".svc" not in text


@pytest.mark.parametrize("name", DAEMONS)
def test_daemon_does_not_stop_when_it_is_idle(line_2_1_program: RecordedProgram, name: str) -> None:
    # Unless told otherwise it ends after five minutes without a download (DefaultDaemonAliveTime).
    assert _config(line_2_1_program, name)["aliveTime"] == "0s"


@pytest.mark.parametrize("name", DAEMONS)
def test_servers_without_certificates_say_so(line_2_1_program: RecordedProgram, name: str) -> None:
    config = _config(line_2_1_program, name)
    for server in (config["download"]["peerGRPC"], config["upload"], config["health"], config["proxy"]):
        assert server["security"] == {"insecure": True}


def test_peers_drop_what_is_old_long_before_their_volume_is_full(line_2_1_program: RecordedProgram) -> None:
    # Beyond the limit kubelet evicts the pod, and the whole cache with it.
    for name in ("-seed-peer", "-dfget"):
        threshold = yaml.safe_load(line_2_1_program.secret_document(f"{name}-config", "dfget.yaml"))["storage"][
            "diskGCThreshold"
        ]
        (limit,) = [
            volume["emptyDir"]["sizeLimit"]
            for volume in line_2_1_program.pod(name).spec["volumes"]
            if "emptyDir" in volume
        ]
        assert parse_quantity(limit) >= parse_quantity(threshold) * Decimal("1.25")
