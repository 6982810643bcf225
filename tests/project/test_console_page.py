"""The page on the console behind a proxy: its objects are about the pods that the program declares."""

from __future__ import annotations

import re
from typing import Any

import yaml

from dragonfly.parts import ports
from dragonfly.parts.labels import Component, component_labels
from tests.program.recorded.known_stacks import DEFAULT_CONFIG
from tests.program.recorded.reach import Party, Policy, reaches
from tests.program.recorded.reach_table import DOORS
from tests.program.recorded.recorded_program import run_main
from tests.project.pages import DOCS

PAGE = DOCS / "console-behind-iap.md"
# Google Cloud documentation, "Health check firewall rules".
LOAD_BALANCERS = ("130.211.0.1", "35.191.255.254")


def objects() -> dict[str, Any]:
    """The page's objects, by kind."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


def test_the_service_is_about_the_managers_pods() -> None:
    program = run_main(DEFAULT_CONFIG)
    (manager,) = program.of_kind("Deployment")
    found = objects()
    labels = manager.spec["template"]["metadata"]["labels"]
    assert found["Service"]["spec"]["selector"].items() <= labels.items()
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == found["Service"]["spec"]["selector"]
    assert found["Service"]["spec"]["ports"][0]["targetPort"] == ports.MANAGER_REST


def test_the_objects_name_each_other() -> None:
    found = objects()
    backend = found["Ingress"]["spec"]["defaultBackend"]["service"]
    assert backend == {"name": found["Service"]["metadata"]["name"], "port": {"number": 80}}
    named = found["Service"]["metadata"]["annotations"]["cloud.google.com/backend-config"]
    assert found["BackendConfig"]["metadata"]["name"] in named
    annotations = found["Ingress"]["metadata"]["annotations"]
    certificate = annotations["networking.gke.io/managed-certificates"]
    assert certificate == found["ManagedCertificate"]["metadata"]["name"]
    assert found["BackendConfig"]["spec"]["iap"] == {"enabled": True}


def test_the_policy_opens_the_console_to_load_balancers_and_nothing_else() -> None:
    program = run_main(DEFAULT_CONFIG)
    own: list[Policy] = [one.manifest for one in program.of_kind("NetworkPolicy")]
    with_page = [*own, objects()["NetworkPolicy"]]

    def opened(address: str, policies: list[Policy]) -> set[tuple[Component, int]]:
        return {
            (door.component, door.port)
            for door in DOORS
            if isinstance(door.port, int)
            and reaches(
                policies,
                program.namespace,
                Party(None, address=address),
                Party(program.namespace, component_labels(program.app, door.component)),
                door.port,
            )
        }

    for address in LOAD_BALANCERS:
        assert opened(address, with_page) - opened(address, own) == {(Component.MANAGER, ports.MANAGER_REST)}
    assert opened("203.0.113.1", with_page) == opened("203.0.113.1", own)
