"""Pods deleted, processes killed, nodes switched off: everything is Ready again in time, and no row is lost."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest
from _pytest.mark.structures import ParameterSet

from tests.nodes.conftest import SAME_IN_EACH_LINE
from tests.nodes.installation import Container, Installation, wait_for
from tests.nodes.survivors import Survivors

READY_SECONDS = 60
"""Within which every pod is Ready again, the data is read and the console lets its user in."""

PROGRAMS = ("manager", "scheduler", "seed-peer", "dfget")
DATABASES = ("mysql", "redis")
OTHER_CONTAINERS = ("mysql", "mysqld-exporter", "redis", "redis-exporter", "registry-mirrors")


def others(*names: str) -> list[ParameterSet]:
    """Return parameters that mean the same whatever runs of Dragonfly."""
    return [pytest.param(name, marks=SAME_IN_EACH_LINE) for name in names]


@pytest.fixture(scope="module")
def survivors(installation: Installation) -> Survivors:
    outputs = installation.outputs
    return Survivors(installation.client, outputs["dbUserPassword"], outputs["redisPassword"])


def recovers(
    installation: Installation,
    survivors: Survivors,
    what: str,
    fault: Callable[[], None],
    hit: Callable[[Container], bool],
) -> None:
    """Does something bad and checks that everything comes back, the data above all.

    Args:
        installation: what it is done to.
        survivors: its data.
        what: the fault's name.
        fault: does it.
        hit: which containers cannot live on.
    """
    wait_for(READY_SECONDS, lambda: installation.unready(set()), "everything is Ready before the fault")
    survivors.write(what)
    gone = {container.id for container in installation.containers() if hit(container)}
    assert gone, f"{what}: no such container runs"
    started = time.monotonic()
    fault()

    def left() -> float:
        return READY_SECONDS - (time.monotonic() - started)

    wait_for(left(), lambda: installation.unready(gone), f"{what}: Ready again")
    ready = time.monotonic() - started

    def faults() -> list[str]:
        return installation.sign_in_faults() + survivors.lost(what)

    served = wait_for(left(), faults, f"{what}: everything is served again")
    print(f"{what}: Ready after {ready:.1f} s, served {served:.1f} s later")


@pytest.mark.parametrize("workload", [*PROGRAMS, *others(*DATABASES)])
def test_a_pod_that_is_deleted_comes_back(installation: Installation, survivors: Survivors, workload: str) -> None:
    pod = installation.pod_of(workload)
    recovers(
        installation,
        survivors,
        f"pod of {workload} deleted",
        lambda: installation.delete_pod(pod),
        lambda container: container.pod == pod,
    )


@pytest.mark.parametrize("name", [*PROGRAMS, *others(*OTHER_CONTAINERS)])
def test_a_container_that_is_killed_comes_back(installation: Installation, survivors: Survivors, name: str) -> None:
    victim = next(container for container in installation.containers() if container.name == name)
    recovers(
        installation,
        survivors,
        f"{name} killed",
        lambda: installation.kill(victim),
        lambda container: container.id == victim.id,
    )
    # 128 and the signal's number: it had no time to put anything in order.
    assert installation.exit_code(victim) == 128 + signal.SIGKILL


def test_every_container_is_among_the_killed(installation: Installation) -> None:
    assert {container.name for container in installation.containers()} == {*PROGRAMS, *OTHER_CONTAINERS}


def test_all_pods_deleted_at_once_come_back(installation: Installation, survivors: Survivors) -> None:
    recovers(installation, survivors, "all pods deleted", installation.delete_all_pods_by_force, lambda container: True)


@pytest.mark.parametrize("node", ["node-1", "node-2"])
def test_a_node_that_was_off_comes_back(installation: Installation, survivors: Survivors, node: str) -> None:
    def power_cycle() -> None:
        installation.cluster.stop_node(node)
        installation.cluster.start_node(node)

    recovers(installation, survivors, f"{node} off and on", power_cycle, lambda container: container.node == node)
