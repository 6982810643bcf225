"""The README's picture, drawn from what the program registers: `make diagram` writes it, a test compares it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.program.recorded.known_stacks import DEFAULT_CONFIG
from tests.program.recorded.recorded_program import WORKLOADS, RecordedProgram, Resource, run_main
from tests.project.pages import README

_BLOCK = re.compile(r"(<!-- diagram -->\n).*?(<!-- /diagram -->)", re.DOTALL)
_ADDRESS = re.compile(r"([a-z0-9-]+):(\d+)")


def mermaid(program: RecordedProgram) -> str:
    """Workloads, the Services in front of them, their claims, and who waits for whom before it starts."""
    resources = list(program.resources)
    workloads = [resource for resource in resources if resource.kind in WORKLOADS]
    services = {resource.object_name: resource for resource in resources if resource.kind == "Service"}
    lines = ["flowchart LR"]
    for workload in sorted(workloads, key=lambda found: found.object_name):
        node = _node(workload)
        containers = workload.spec["template"]["spec"]["containers"]
        names = ", ".join(container["name"] for container in containers)
        lines.append(f'  {node}["{workload.object_name}<br/>{workload.kind}: {names}"]')
        lines.extend(
            f'  {node} --- {_id(volume["persistentVolumeClaim"]["claimName"])}[("{_size(resources, volume)}")]'
            for volume in workload.spec["template"]["spec"]["volumes"]
            if "persistentVolumeClaim" in volume
        )
    for name in sorted(services):
        service = services[name]
        if service.spec.get("clusterIP") == "None":
            continue
        ports = ", ".join(str(int(port["port"])) for port in service.spec["ports"])
        target = next(
            workload for workload in workloads if workload.spec["selector"]["matchLabels"] == service.spec["selector"]
        )
        lines.append(f'  {_node(service)}(["{name}<br/>{ports}"]) --> {_node(target)}')
    for workload in sorted(workloads, key=lambda found: found.object_name):
        command = workload.spec["template"]["spec"]["containers"][0].get("command", [])
        lines.extend(
            f"  {_node(workload)} -. waits for .-> {_node(services[match[1]])}"
            for argument in command
            if (match := _ADDRESS.fullmatch(argument)) and match[1] in services
        )
    return "\n".join(lines)


def with_diagram(readme: str, diagram: str) -> str:
    """The README's text with the diagram between its two marks."""
    return _BLOCK.sub(lambda marks: f"{marks[1]}```mermaid\n{diagram}\n```\n{marks[2]}", readme)


def _node(resource: Resource) -> str:
    return _id(resource.object_name)


def _id(name: str) -> str:
    return name.replace("-", "_")


def _size(resources: list[Resource], volume: dict[str, dict[str, str]]) -> str:
    name = volume["persistentVolumeClaim"]["claimName"]
    claim = next(
        resource for resource in resources if resource.kind == "PersistentVolumeClaim" and resource.object_name == name
    )
    return claim.spec["resources"]["requests"]["storage"]


def main(readme: Path = README) -> None:
    """Writes the diagram into the README."""
    readme.write_text(with_diagram(readme.read_text(), mermaid(run_main(DEFAULT_CONFIG))))


if __name__ == "__main__":
    main()
