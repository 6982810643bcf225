"""Each alert tells of its fault, made on a real installation, and of nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dragonfly.monitoring.alerts import alerts
from local.cluster.control_plane import Cluster
from tests.nodes.alert_faults import FAULTS, Fault
from tests.nodes.conftest import NEEDS_CLIENT, Kubectl
from tests.nodes.installation import wait_for
from tests.nodes.local_registry import LocalRegistry
from tests.nodes.mirrored_stack import NEEDS_REGISTRY
from tests.nodes.own_stack import NAMES
from tests.nodes.prometheus_server import NEEDS_PROMETHEUS
from tests.nodes.watched_stack import WatchedStack, watched_stack

pytestmark = [NEEDS_PROMETHEUS, NEEDS_REGISTRY, NEEDS_CLIENT]

FIRST_PORT = 64800
TOLD_SECONDS = 90
"""Everything is read every few seconds, and kubelet looks as often how full its disks are."""


@pytest.fixture(scope="module")
def watched(
    cluster: Cluster,
    kubectl: Kubectl,
    images: list[Path],
    registry: LocalRegistry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[WatchedStack]:
    folder = tmp_path_factory.mktemp("watched")
    with watched_stack(cluster, kubectl, registry, images[0], folder, "alerts", FIRST_PORT, small_disks=True) as made:
        yield made


def told(stack: WatchedStack, fault: Fault) -> dict[str, list[dict[str, str]]]:
    """What alerts would tell of if it lasted, by their names: the labels of each. That of the fault is asked sooner."""
    found: dict[str, list[dict[str, str]]] = {}
    for alert in alerts(stack.scope, counts_transfers=True):
        expression = alert.expression
        if fault.alert == alert.name:
            for text, sooner in fault.sooner.items():
                assert text in expression
                expression = expression.replace(text, sooner)
        found[alert.name] = [labels for labels, _ in stack.prometheus.query(expression) if not _of_this_machine(labels)]
    return {name: labels for name, labels in found.items() if labels}


def _of_this_machine(labels: dict[str, str]) -> bool:
    # MySQL's data and the peers' caches are on its own disk, however full that is.
    return labels.get("persistentvolumeclaim") == NAMES.mysql_claim or labels.get("pod", "").startswith(NAMES.peer)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.text)
def test_an_alert_tells_of_its_fault_and_no_other_does(watched: WatchedStack, fault: Fault) -> None:
    def not_silent() -> list[str]:
        return [f"{name} tells of {labels}" for name, labels in told(watched, fault).items()]

    def not_told() -> list[str]:
        found = told(watched, fault)
        ours = [labels for labels in found.pop(fault.alert, []) if fault.about.items() <= labels.items()]
        others = [f"{name} tells of {labels}" for name, labels in found.items() if name not in fault.besides]
        return others if len(ours) == 1 else [f"{fault.alert} tells of {ours}", *others]

    wait_for(TOLD_SECONDS, not_silent, "nobody is told of anything before")
    begun = time.monotonic()
    with fault.made(watched):
        wait_for(TOLD_SECONDS, not_told, fault.text)
        print(f"{fault.alert}: {fault.text}, told of after {time.monotonic() - begun:.0f} s")
    if fault.passes:
        wait_for(TOLD_SECONDS, not_silent, "nobody is told any longer")
