"""The table of who reaches whom, from the network policies that the program declares: `make reach-table` writes it.

The tests on nodes compare it with what real connections meet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from dragonfly.parts import ports
from dragonfly.parts.labels import Component, component_labels
from dragonfly.settings.model import Settings
from tests.program.recorded.known_stacks import DEFAULT_CONFIG
from tests.program.recorded.reach import Party, Policy, reaches
from tests.program.recorded.recorded_program import RecordedProgram, run_main
from tests.project.pages import DOCS, with_table

PAGE = DOCS / "network-policies.md"
MARK = "reach"

CONSOLE_FROM, METRICS_FROM = "team", "gmp-system"
CONFIG = {**DEFAULT_CONFIG, "dragonfly:consoleFrom": json.dumps([CONSOLE_FROM])}


class Door(NamedTuple):
    """A port that a component listens on.

    Attributes:
        component: which.
        what: is served there.
        port: its number, or of a peer the config key.
    """

    component: Component
    what: str
    port: int | str


DOORS = (
    Door(Component.MYSQL, "MySQL", ports.MYSQL),
    Door(Component.MYSQL, "metrics", ports.MYSQLD_EXPORTER),
    Door(Component.REDIS, "Redis", ports.REDIS),
    Door(Component.REDIS, "metrics", ports.REDIS_EXPORTER),
    Door(Component.MANAGER, "REST and console", ports.MANAGER_REST),
    Door(Component.MANAGER, "gRPC", ports.MANAGER_GRPC),
    Door(Component.MANAGER, "metrics", ports.METRICS),
    Door(Component.SCHEDULER, "gRPC", ports.SCHEDULER_GRPC),
    Door(Component.SCHEDULER, "metrics", ports.METRICS),
    Door(Component.SEED_PEER, "gRPC", ports.SEED_PEER_GRPC),
    Door(Component.SEED_PEER, "pieces", ports.SEED_PEER_UPLOAD),
    Door(Component.SEED_PEER, "health", ports.SEED_PEER_HEALTH),
    Door(Component.SEED_PEER, "metrics", ports.METRICS),
    Door(Component.PEER, "gRPC", "peerPort"),
    Door(Component.PEER, "pieces", "uploadPort"),
    Door(Component.PEER, "health", "peerHealthPort"),
    Door(Component.PEER, "metrics", "peerMetricsPort"),
)
"""All but those on loopback, and QUIC."""

OWN_PODS = (
    Component.MYSQL,
    Component.REDIS,
    Component.MANAGER,
    Component.ROOT_PASSWORD,
    Component.SCHEDULER,
    Component.SEED_PEER,
)
STRANGERS = {"`consoleFrom`": CONSOLE_FROM, "`metricsFrom`": METRICS_FROM, "other pods": "elsewhere"}
"""Namespaces of pods that are none of the instance's, by what the table calls them."""

OTHER_NODE = "peers, nodes"

_TITLES = {component: component.short_name.replace("-", " ") for component in Component}
SOURCES = (*(_TITLES[component] for component in OWN_PODS), *STRANGERS, OTHER_NODE)


def title(component: Component) -> str:
    """Return what the table calls a component."""
    return "peer" if component == Component.PEER else _TITLES[component]


def parties(app: str, namespace: str) -> dict[str, Party]:
    """Return who opens connections, by what the table calls them.

    Args:
        app: the instance's name.
        namespace: the instance's.
    """
    own = {_TITLES[component]: Party(namespace, component_labels(app, component)) for component in OWN_PODS}
    others = {name: Party(place) for name, place in STRANGERS.items()}
    return {**own, **others, OTHER_NODE: Party(None)}


Reach = Mapping[Door, frozenset[str]]
"""Who reaches a port, of each."""


def reach_of(policies: list[Policy], app: str, namespace: str, peer_ports: Mapping[str, int]) -> Reach:
    """Return who may reach each port, besides its own pod and that pod's node, which no policy keeps out.

    Args:
        policies: all of the instance's namespace.
        app: the instance's name.
        namespace: the instance's.
        peer_ports: of its peers, by config key.
    """
    everybody = parties(app, namespace)

    def found(door: Door) -> frozenset[str]:
        number = peer_ports[door.port] if isinstance(door.port, str) else door.port
        pod = Party(namespace, component_labels(app, door.component))
        asked = Party(None, {"on": "a node"}) if door.component == Component.PEER else pod
        return frozenset(
            name
            for name, source in everybody.items()
            if source.labels != asked.labels and reaches(policies, namespace, source, asked, number)
        )

    return {door: found(door) for door in DOORS}


def declared_reach(program: RecordedProgram) -> Reach:
    """Return who may reach each port by what a program declares."""
    policies: list[Policy] = [one.manifest for one in program.of_kind("NetworkPolicy")]
    defaults = {str(field.alias): field.default for field in Settings.model_fields.values()}
    keys = [door.port for door in DOORS if isinstance(door.port, str)]
    peer_ports = {key: int(program.setting(key, defaults[key])) for key in keys}
    return reach_of(policies, program.app, program.namespace, peer_ports)


def reach_table(reach: Reach) -> str:
    """Return who reaches each port, as Markdown."""
    lines = ["| listens | port | " + " | ".join(SOURCES) + " |", "| --- | --- |" + " --- |" * len(SOURCES)]
    for door, names in reach.items():
        own = title(door.component)
        cells = ["yes" if name in names else "" if name == own else "-" for name in SOURCES]
        lines.append(f"| {title(door.component)}: {door.what} | `{door.port}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Write the table into the page."""
    program = run_main(CONFIG).completed()
    PAGE.write_text(with_table(PAGE.read_text(), MARK, reach_table(declared_reach(program))))


if __name__ == "__main__":
    main()
