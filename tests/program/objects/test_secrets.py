"""Passwords and keys: where they may stand, and that what depends on them follows when they change."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import pytest

from dragonfly.config_files.document import HASH_ANNOTATION
from tests.program.recorded.known_stacks import CONFIGURED_CONFIG, DEFAULT_CONFIG, SECRET_KEYS
from tests.program.recorded.recorded_program import (
    RecordedProgram,
    Resource,
    is_secret,
    public,
    run_main,
    strings_in,
)

SECRETS = {
    "-manager-secret": {"root-password"},
    "-mysql-secret": {"root-password", "dragonfly-user", "dragonfly-password", "dragonfly-database"},
    "-mysqld-exporter-secret": {
        "mysqld-exporter-username",
        "mysqld-exporter-password",
        "mysqld_exporter.sql",
        # Besides the chart's keys: the exporter reads its password from a file.
        "my.cnf",
    },
    "-redis-secret": {"password"},
    "-redis-config": {"redis.conf", "passwords.json"},
    "-manager-config": {"manager.yaml"},
    "-scheduler-config": {"scheduler.yaml"},
    "-seed-peer-config": {"dfget.yaml"},
    "-dfget-config": {"dfget.yaml"},
}
DAEMONS = ("-seed-peer-config", "-dfget-config")
RANDOM_NAMES = {
    "dbRootPassword": "db-root-password",
    "dbUserPassword": "db-user-password",
    "dbExporterPassword": "db-exporter-password",
    "redisPassword": "redis-password",
}
KEYS = {"manager-token-key", "config-hash-key"}
# Random whatever the config says: the manager takes no password from it.
ALWAYS_RANDOM = {"console-root-password", *KEYS}
# Whose pods must start anew when a password changes.
READERS = {
    "dbRootPassword": {"-mysql"},
    "dbUserPassword": {"-mysql", "-manager"},
    "dbExporterPassword": {"-mysql"},
    "redisPassword": {"-redis", "-manager", "-scheduler"},
    "manager-token-key": {"-manager"},
    "console-root-password": {"-root-password"},
}


def _hashes(program: RecordedProgram) -> dict[str, str]:
    return {
        pod.workload.object_name.removeprefix(program.app): pod.annotations[HASH_ANNOTATION] for pod in program.pods
    }


def _password(program: RecordedProgram, key: str) -> str:
    return program.config.get(f"dragonfly:{key}") or program.random[RANDOM_NAMES[key]]


def _leaks(value: Any, secrets: dict[str, str]) -> list[str]:
    texts = list(strings_in(value))
    return [name for name, secret in secrets.items() if any(secret in text for text in texts)]


def test_this_test_would_see_a_leak(program: RecordedProgram) -> None:
    assert len(program.passwords) >= 6
    assert len(set(program.passwords.values())) == len(program.passwords)
    secret = program.object("Secret", "-redis-secret")
    assert _leaks(secret.manifest, program.passwords)


def test_nothing_is_sent_to_the_engine_in_plain_text(program: RecordedProgram) -> None:
    for resource in program.resources:
        assert _leaks(public(resource.inputs), program.passwords) == [], resource.name


def test_components_outputs_are_not_shown_in_plain_text(program: RecordedProgram) -> None:
    for urn, outputs in program.component_outputs.items():
        assert _leaks(public(outputs), program.passwords) == [], urn


def test_nothing_shown_can_be_turned_back_into_a_password_or_checked_against_one(program: RecordedProgram) -> None:
    disguises = {
        f"{how} of {name}": disguise
        for name, secret in program.passwords.items()
        for how, disguise in {
            "base64": base64.b64encode(secret.encode()).decode().rstrip("="),
            **{kind: hashlib.new(kind, secret.encode()).hexdigest() for kind in ("md5", "sha1", "sha256")},
        }.items()
    }
    for resource in program.resources:
        assert _leaks(public(resource.inputs), disguises) == [], resource.name


def test_no_pod_has_a_secret_in_its_template(program: RecordedProgram) -> None:
    # Not even encrypted in the state: the cluster shows templates to whoever may list pods.
    for pod in program.pods:
        assert _leaks(pod.workload.manifest, program.passwords) == [], pod.workload.name


def test_secrets_reach_the_cluster_in_secrets_only(program: RecordedProgram) -> None:
    for one in program.objects:
        if one.kind != "Secret":
            assert _leaks(one.manifest, program.passwords) == [], one.name
        else:
            assert _leaks(one.metadata, program.passwords) == [], one.name


def test_kubeconfig_stays_out_of_the_cluster(configured_program: RecordedProgram) -> None:
    for one in configured_program.objects:
        assert "the-kubeconfigs-token" not in json.dumps(one.manifest)


@pytest.mark.parametrize("secret", SECRETS)
def test_secret_has_the_keys_of_the_chart(program: RecordedProgram, secret: str) -> None:
    manifest = program.object("Secret", secret).manifest
    # The chart knows no 2.5.
    of_the_client = {"dfdaemon.yaml", "dynconfig.yaml"} if program.setting("tag", "2.1.34").startswith("2.5") else None
    assert set(manifest["stringData"]) == (of_the_client if of_the_client and secret in DAEMONS else SECRETS[secret])
    assert "data" not in manifest
    assert manifest.get("type", "Opaque") == "Opaque"


@pytest.mark.parametrize(("secret", "key"), [(secret, key) for secret, keys in SECRETS.items() for key in sorted(keys)])
def test_text_around_a_password_is_a_secret_in_the_state(program: RecordedProgram, secret: str, key: str) -> None:
    data = program.object("Secret", secret).inputs["stringData"]
    if secret in DAEMONS:
        # Whatever the release line calls it.
        key = next(iter(program.object("Secret", secret).manifest["stringData"]))
    text = program.secret_document(secret, key)
    if any(value in text for value in program.passwords.values()):
        assert is_secret(data) or is_secret(data[key])


def test_secrets_hold_the_passwords_of_the_installation(program: RecordedProgram) -> None:
    assert program.secret_document("-mysql-secret", "root-password") == _password(program, "dbRootPassword")
    assert program.secret_document("-mysql-secret", "dragonfly-password") == _password(program, "dbUserPassword")
    assert program.secret_document("-mysql-secret", "dragonfly-user") == "dragonfly"
    assert program.secret_document("-mysql-secret", "dragonfly-database") == "dragonfly"
    exporter = program.secret_document("-mysqld-exporter-secret", "mysqld-exporter-password")
    assert exporter == _password(program, "dbExporterPassword")
    assert program.secret_document("-redis-secret", "password") == _password(program, "redisPassword")


def _random(program: RecordedProgram) -> dict[str, Resource]:
    return {resource.name: resource for resource in program.of_kind("RandomPassword")}


def test_random_passwords_are_long_and_need_no_quoting(default_program: RecordedProgram) -> None:
    random = _random(default_program)
    assert set(random) == {*RANDOM_NAMES.values(), *ALWAYS_RANDOM}
    for name, resource in random.items():
        if name == "console-root-password":
            # As long as the manager takes one.
            assert resource.inputs["length"] == 20
        else:
            assert resource.inputs["length"] >= (64 if name in KEYS else 24)
        # Special characters would be quoted differently in YAML, SQL, a DSN and a shell.
        assert resource.inputs["special"] is False
        # A keeper that changes would change the password of a database that keeps its own.
        assert not {"keepers", "overrideSpecial"} & set(resource.inputs)


def test_configured_passwords_are_used(configured_program: RecordedProgram) -> None:
    for key in RANDOM_NAMES:
        assert configured_program.exports[key].value == CONFIGURED_CONFIG[f"dragonfly:{key}"]


def test_random_passwords_outlive_configured_ones(configured_program: RecordedProgram) -> None:
    # Whoever takes a configured password back needs the one that MySQL has known since it was installed.
    assert set(_random(configured_program)) == {*RANDOM_NAMES.values(), *ALWAYS_RANDOM}


def test_some_configured_passwords_leave_the_others_random(default_program: RecordedProgram) -> None:
    configured = {
        f"dragonfly:{key}": CONFIGURED_CONFIG[f"dragonfly:{key}"] for key in ("dbRootPassword", "redisPassword")
    }
    recorded = run_main({**DEFAULT_CONFIG, **configured}, SECRET_KEYS)
    assert recorded.error is None
    for key in RANDOM_NAMES:
        expected = configured.get(f"dragonfly:{key}", default_program.exports[key].value)
        assert recorded.exports[key].value == expected


def test_annotation_is_a_keyed_hash_that_is_shown(program: RecordedProgram) -> None:
    for pod in program.pods:
        assert re.fullmatch("[0-9a-f]{64}", pod.annotations[HASH_ANNOTATION])
        # Secret in the template, it would hide the whole pod from every preview.
        shown = public(pod.workload.inputs)["spec"]["template"]["metadata"]["annotations"]
        assert shown[HASH_ANNOTATION] == pod.annotations[HASH_ANNOTATION]
    assert len(set(_hashes(program).values())) == len(program.pods)


@pytest.mark.parametrize("key", READERS)
def test_changed_password_rolls_the_pods_that_read_it_and_no_other(default_program: RecordedProgram, key: str) -> None:
    changed = run_main(DEFAULT_CONFIG, random={RANDOM_NAMES.get(key, key): "Another1Value2Of3The4Same5Kind"})
    assert changed.error is None
    before, after = _hashes(default_program), _hashes(changed)
    assert {name for name in before if before[name] != after[name]} == READERS[key]


def test_changed_hash_key_changes_every_hash(default_program: RecordedProgram) -> None:
    # A hash that does not depend on the key lets whoever reads it try passwords.
    changed = run_main(DEFAULT_CONFIG, random={"config-hash-key": "another" * 9})
    before, after = _hashes(default_program), _hashes(changed)
    assert all(before[name] != after[name] for name in before)


def test_hash_is_the_same_in_every_run(default_program: RecordedProgram) -> None:
    assert _hashes(run_main(DEFAULT_CONFIG)) == _hashes(default_program)


def test_changed_port_rolls_the_peers_only(default_program: RecordedProgram) -> None:
    changed = run_main({**DEFAULT_CONFIG, "dragonfly:peerMetricsPort": "65100"})
    before, after = _hashes(default_program), _hashes(changed)
    assert {name for name in before if before[name] != after[name]} == {"-dfget"}


def test_hash_key_stays_out_of_the_cluster(program: RecordedProgram) -> None:
    for one in program.objects:
        assert _leaks(one.manifest, {"key": program.random["config-hash-key"]}) == []


def test_mysql_exporter_may_see_counters_and_nothing_else(program: RecordedProgram) -> None:
    sql = program.secret_document("-mysqld-exporter-secret", "mysqld_exporter.sql")
    password = _password(program, "dbExporterPassword")
    user = r"'mysqld_exporter'@'(?:127\.0\.0\.1|localhost)'"
    statements = [statement.strip() for statement in sql.split(";") if statement.strip()]
    create, *grants = statements
    assert re.fullmatch(
        rf"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{re.escape(password)}' WITH MAX_USER_CONNECTIONS (\d+)",
        create,
    )
    assert 1 <= int(create.rpartition(" ")[2]) <= 3
    granted: set[tuple[str, str]] = set()
    for grant in grants:
        match = re.fullmatch(rf"GRANT ([A-Z, ]+) ON (\S+) TO {user}", grant)
        assert match is not None, grant
        granted |= {(privilege, match[2]) for privilege in match[1].split(", ")}
    assert granted == {
        ("PROCESS", "*.*"),
        ("REPLICATION CLIENT", "*.*"),
        # Not on every schema: the console's password hashes stand in one.
        ("SELECT", "performance_schema.*"),
    }


def test_exporters_user_is_made_by_the_image_at_the_first_start(program: RecordedProgram) -> None:
    pod = program.pod("-mysql")
    (mount,) = [
        mount for mount in pod.container("mysql")["volumeMounts"] if mount["mountPath"] == "/docker-entrypoint-initdb.d"
    ]
    (volume,) = [volume for volume in pod.spec["volumes"] if volume["name"] == mount["name"]]
    # my.cnf and the password are no scripts: the image would try to run whatever lies there.
    assert [item["path"] for item in volume["secret"]["items"]] == ["mysqld_exporter.sql"]
    assert volume["secret"]["secretName"] == f"{program.app}-mysqld-exporter-secret"


def test_mysql_exporter_reads_its_password_from_a_file(program: RecordedProgram) -> None:
    document = program.secret_document("-mysqld-exporter-secret", "my.cnf")
    section, *lines = document.splitlines()
    assert section == "[client]"
    assert dict(line.split("=", 1) for line in lines) == {
        # The address that its user is granted for.
        "host": "127.0.0.1",
        "port": "3306",
        "user": program.secret_document("-mysqld-exporter-secret", "mysqld-exporter-username"),
        "password": _password(program, "dbExporterPassword"),
    }
    pod = program.pod("-mysql")
    exporter = pod.container("mysqld-exporter")
    (mount,) = exporter["volumeMounts"]
    assert exporter["args"] == [f"--config.my-cnf={mount['mountPath']}/my.cnf"]
    (volume,) = [volume for volume in pod.spec["volumes"] if volume["name"] == mount["name"]]
    # Not the initial script, which is the database's.
    assert [item["path"] for item in volume["secret"]["items"]] == ["my.cnf"]


def test_redis_demands_its_password_and_keeps_what_is_written(program: RecordedProgram) -> None:
    lines = program.secret_document("-redis-config", "redis.conf").splitlines()
    assert dict(line.split(" ", 1) for line in lines) == {
        "requirepass": f'"{_password(program, "redisPassword")}"',
        "port": "6379",
        "dir": "/data",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory": str(512 * 1024 * 1024 * 6 // 10),
        "maxmemory-policy": "noeviction",
    }


def test_redis_exporter_reads_its_password_from_a_file(program: RecordedProgram) -> None:
    pod = program.pod("-redis")
    exporter = pod.container("redis-exporter")
    environment = {variable["name"]: variable["value"] for variable in exporter["env"]}
    (mount,) = exporter["volumeMounts"]
    assert environment["REDIS_PASSWORD_FILE"] == f"{mount['mountPath']}/passwords.json"
    passwords = json.loads(program.secret_document("-redis-config", "passwords.json"))
    # The exporter looks its own address up, letter by letter.
    assert passwords == {environment["REDIS_ADDR"]: _password(program, "redisPassword")}
    (volume,) = [volume for volume in pod.spec["volumes"] if volume["name"] == mount["name"]]
    assert volume["secret"]["secretName"] == f"{program.app}-redis-config"
    # Not the server's config.
    assert [item["path"] for item in volume["secret"]["items"]] == ["passwords.json"]


def test_no_container_waits_for_a_secret_in_its_environment(program: RecordedProgram) -> None:
    # Until kubelet has the Secret: a mount is tried again within a second, a container after 10 to 15.
    variables = [
        (container["name"], variable)
        for pod in program.pods
        for container in pod.containers
        for variable in container.get("env", [])
    ]
    assert variables
    assert [name for name, variable in variables if "secretKeyRef" in variable.get("valueFrom", {})] == []


def test_error_of_the_program_does_not_show_a_configured_password() -> None:
    config = {**CONFIGURED_CONFIG, "dragonfly:redisPassword": "Tr0ub4dor {3}", "dragonfly:tag": "latest"}
    recorded = run_main(config, SECRET_KEYS)
    assert recorded.error is not None
    assert "Tr0ub4dor" not in f"{recorded.error!r} {recorded.error}"
    assert "configured" not in str(recorded.error)
