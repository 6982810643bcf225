"""The table of exceptions in the documentation is what the rendered pods deviate by, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.program.recorded.gke_stack import configured_gke, run_gke
from tests.program.recorded.recorded_program import ROOT, Pod, RecordedProgram, run_main

DOCUMENT = ROOT / "docs" / "pod-security.md"
ALL = "all"


def documented() -> set[tuple[str, str, str]]:
    rows = [line.strip("| \n").split(" | ") for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    for row in rows:
        assert len(row) == 4
        assert row[3], "an exception without a reason"
    return {(workload, container, exception) for workload, container, exception, _ in rows[2:]}


def _of_pod(pod: Pod) -> Iterator[str]:
    spec = pod.spec
    for field, exception in {"hostNetwork": "host network", "hostPID": "host processes", "hostIPC": "host IPC"}.items():
        if spec.get(field):
            yield exception
    if {"operator": "Exists"} in spec.get("tolerations", []):
        yield "every taint tolerated"
    if spec.get("automountServiceAccountToken") is not False:
        yield "token for the API server"


def _of_container(pod: Pod, container: dict[str, Any]) -> Iterator[str]:
    context: dict[str, Any] = {**pod.spec["securityContext"], **container["securityContext"]}
    if context.get("runAsUser", 0) == 0 or context.get("runAsNonRoot") is not True:
        yield "runs as root"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "writable root file system"
    if context.get("privileged"):
        yield "privileged"
    capabilities = context.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        yield "capabilities"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "can gain privileges"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "another seccomp profile"
    directories = {volume["name"] for volume in pod.spec["volumes"] if "hostPath" in volume}
    for mount in container.get("volumeMounts", []):
        if mount["name"] in directories:
            yield "directory of the node" + (", read-only" if mount.get("readOnly") else "")


def _rendered(program: RecordedProgram) -> set[tuple[str, str, str]]:
    found: set[tuple[str, str, str]] = set()
    for pod in program.pods:
        workload = pod.workload.object_name.removeprefix(f"{program.app}-")
        found |= {(workload, ALL, exception) for exception in _of_pod(pod)}
        for container in pod.containers:
            found |= {(workload, container["name"], exception) for exception in _of_container(pod, container)}
    return found


def test_table_has_every_exception_and_no_other(
    default_program: RecordedProgram, configured_program: RecordedProgram
) -> None:
    with_mirrors = run_main({"dragonfly:provisionCluster": "false"})
    programs = (default_program, configured_program, with_mirrors)
    assert set[tuple[str, str, str]]().union(*map(_rendered, programs)) == documented()


@pytest.mark.parametrize("run", [run_gke, configured_gke])
def test_cluster_of_the_stacks_own_needs_no_access_to_its_nodes_files(run: Any) -> None:
    on_gke = {row for row in documented() if row[1] == ALL}
    assert _rendered(run()) == on_gke


def test_everything_that_a_pod_writes_to_has_a_limit(program: RecordedProgram) -> None:
    for pod in program.pods:
        for volume in pod.spec["volumes"]:
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], pod.workload.name
