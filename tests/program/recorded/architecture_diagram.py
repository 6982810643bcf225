"""The README's picture, drawn from what the program registers: `make diagram` writes it, a test compares it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dragonfly.parts.labels import COMPONENT_LABEL, Component, component_labels
from dragonfly.parts.traffic import REGISTRY_PORTS
from tests.program.recorded.known_stacks import DEFAULT_CONFIG
from tests.program.recorded.reach import Party, Policy, reaches
from tests.program.recorded.reach_table import OTHER_NODE, OWN_PODS, declared_reach, title
from tests.program.recorded.recorded_program import WORKLOADS, RecordedProgram, Resource, run_main
from tests.project.pages import README

_BLOCK = re.compile(r"(<!-- diagram -->\n).*?(<!-- /diagram -->)", re.DOTALL)
_METRICS, _READERS = "metrics", "`metricsFrom`"
_OUTSIDE = Party(None, address="203.0.113.1")


def mermaid(program: RecordedProgram) -> str:
    """Workloads with their claims, and who talks to whom: by the network policies, and a peer's ports by their keys."""
    workloads = sorted(
        (resource for resource in program.resources if resource.kind in WORKLOADS), key=lambda found: found.object_name
    )
    nodes = {Component(each.metadata["labels"][COMPONENT_LABEL]): _node(each) for each in workloads}
    lines = ["flowchart LR"]
    for workload in workloads:
        containers = workload.spec["template"]["spec"]["containers"]
        names = ", ".join(container["name"] for container in containers)
        lines.append(f'  {_node(workload)}["{workload.object_name}<br/>{workload.kind}: {names}"]')
        lines.extend(
            f'  {_node(workload)} --- {_id(volume["persistentVolumeClaim"]["claimName"])}[("{_size(program, volume)}")]'
            for volume in workload.spec["template"]["spec"]["volumes"]
            if "persistentVolumeClaim" in volume
        )
    return "\n".join([*lines, *_flows(program, nodes), *_from_outside(program, nodes)])


def _flows(program: RecordedProgram, nodes: dict[Component, str]) -> Iterator[str]:
    sources = {**{title(each): each for each in OWN_PODS}, OTHER_NODE: Component.PEER}
    served: dict[tuple[str, str], list[str]] = {}
    for door, names in declared_reach(program).items():
        # Probes are no talk between components, and who reads metrics is drawn by itself.
        talkers = [] if door.what in (_METRICS, "health") else [each for name, each in sources.items() if name in names]
        for talker in nodes.keys() & talkers:
            served.setdefault((nodes[talker], nodes[door.component]), []).append(f"{door.what} {door.port}")
    for (source, asked), doors in sorted(served.items()):
        yield f'  {source} -- "{", ".join(doors)}" --> {asked}'


def _from_outside(program: RecordedProgram, nodes: dict[Component, str]) -> Iterator[str]:
    policies: list[Policy] = [one.manifest for one in program.of_kind("NetworkPolicy")]
    ports = ", ".join(map(str, REGISTRY_PORTS))
    for component in OWN_PODS:
        pod = Party(program.namespace, component_labels(program.app, component))
        if component in nodes and all(
            reaches(policies, program.namespace, pod, _OUTSIDE, port) for port in REGISTRY_PORTS
        ):
            yield f'  {nodes[component]} -- "{ports}" --> registries(["registries"])'
    # No policy is about a peer: on its node's network it falls back on the registries.
    yield f"  {nodes[Component.PEER]} -. where nobody has it .-> registries"
    yield '  prometheus(["Prometheus in metricsFrom"])'
    for door, names in declared_reach(program).items():
        if door.what == _METRICS and _READERS in names:
            yield f"  prometheus -. {door.port} .-> {nodes[door.component]}"


def with_diagram(readme: str, diagram: str) -> str:
    """The README's text with the diagram between its two marks."""
    return _BLOCK.sub(lambda marks: f"{marks[1]}```mermaid\n{diagram}\n```\n{marks[2]}", readme)


def _node(resource: Resource) -> str:
    return _id(resource.object_name)


def _id(name: str) -> str:
    return name.replace("-", "_")


def _size(program: RecordedProgram, volume: dict[str, dict[str, str]]) -> str:
    name = volume["persistentVolumeClaim"]["claimName"]
    (claim,) = [one for one in program.of_kind("PersistentVolumeClaim") if one.object_name == name]
    return claim.spec["resources"]["requests"]["storage"]


def main(readme: Path = README) -> None:
    """Writes the diagram into the README."""
    readme.write_text(with_diagram(readme.read_text(), mermaid(run_main(DEFAULT_CONFIG))))


if __name__ == "__main__":
    main()
