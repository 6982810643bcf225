"""The stack's outputs: what a user needs next."""

from __future__ import annotations

import re
import shlex

import pytest

from dragonfly.parts.images import Image
from tests.program.recorded.recorded_program import RecordedProgram

PASSWORDS = {
    "consoleRootPassword": ("-manager-secret", "root-password"),
    "dbRootPassword": ("-mysql-secret", "root-password"),
    "dbUserPassword": ("-mysql-secret", "dragonfly-password"),
    "dbExporterPassword": ("-mysqld-exporter-secret", "mysqld-exporter-password"),
    "redisPassword": ("-redis-secret", "password"),
}
PLAIN = {
    "namespace",
    "consoleUrl",
    "portForwardCommand",
    "mysqldExporterAddress",
    "redisExporterAddress",
    "images",
}


def test_names(program: RecordedProgram) -> None:
    assert set(program.exports) == PLAIN | set(PASSWORDS)


def test_namespace(program: RecordedProgram) -> None:
    assert program.exports["namespace"].value == program.namespace


def test_command_forwards_the_port_of_the_console_url(program: RecordedProgram) -> None:
    url = re.fullmatch(r"http://localhost:(\d+)", program.exports["consoleUrl"].value)
    assert url is not None
    context = program.config.get("dragonfly:kubeContext")
    assert shlex.split(program.exports["portForwardCommand"].value) == [
        "kubectl",
        *(["--context", context] if context else []),
        "port-forward",
        "--namespace",
        program.namespace,
        f"svc/{program.app}-manager-service",
        f"{url[1]}:8080",
    ]
    assert 8080 in {port["port"] for port in program.object("Service", "-manager-service").spec["ports"]}


@pytest.mark.parametrize(
    ("output", "service"),
    [("mysqldExporterAddress", "-mysqld-exporter-svc"), ("redisExporterAddress", "-redis-exporter-svc")],
)
def test_exporter_addresses_lead_to_their_services(program: RecordedProgram, output: str, service: str) -> None:
    (port,) = program.object("Service", service).spec["ports"]
    expected = f"{program.app}{service}.{program.namespace}.svc:{int(port['port'])}"
    assert program.exports[output].value == expected


def test_images_are_those_that_run(program: RecordedProgram) -> None:
    images = program.exports["images"].value
    running = {container["image"] for pod in program.pods for container in pod.containers}
    assert set(images.values()) == running
    assert set(images) <= {image.value for image in Image}


def test_image_of_the_exporting_sidecar_is_listed_only_when_it_runs(
    default_program: RecordedProgram, configured_program: RecordedProgram
) -> None:
    assert Image.METRICS_EXPORTER.value not in default_program.exports["images"].value
    assert Image.METRICS_EXPORTER.value in configured_program.exports["images"].value


@pytest.mark.parametrize("output", PASSWORDS)
def test_passwords_are_secret_and_those_of_the_installation(program: RecordedProgram, output: str) -> None:
    assert program.exports[output].secret
    assert program.exports[output].value == program.secret_document(*PASSWORDS[output])


@pytest.mark.parametrize("output", sorted(PLAIN))
def test_the_rest_can_be_read(program: RecordedProgram, output: str) -> None:
    assert not program.exports[output].secret


def test_keys_of_the_programs_are_not_given_out(program: RecordedProgram) -> None:
    values = [str(export.value) for export in program.exports.values()]
    for key in ("manager-token-key", "config-hash-key"):
        assert not any(program.random[key] in value for value in values)


def test_what_is_known_in_a_preview_is_shown(previewed_program: RecordedProgram) -> None:
    for output in PLAIN:
        assert previewed_program.exports[output].value is not None
    for output in PASSWORDS:
        assert previewed_program.exports[output].secret
        assert previewed_program.exports[output].value is None
