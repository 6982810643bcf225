"""A GKE stack moves from Dragonfly 2.1 to 2.5 and back, by the real engine on the stand-in cloud.

The tests follow one stack, in the order in which they stand here.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.api_client import ApiClient

from dragonfly.parts.names import Names
from dragonfly.updates.line_change import release_line
from local.engine.stack import Engine, LocalStack
from local.ledger.ledger import Entry, Ledger
from tests.engine.cloud_interruptions import interrupted
from tests.engine.cloud_stacks import cloud_stacks, cluster_client, configure, disks, failure_of
from tests.engine.cluster_objects import unready_pods

OLD, NEW = "2.1.34", "2.5.1"
NAMES = Names("dragonfly-1")
SNAPSHOT = "gcp:compute/snapshot:Snapshot"
CACHE_DISK, MYSQL_DISK = (f"dragonfly-cluster-dragonfly-1-{name}" for name in ("seed-peer", "mysql"))


@pytest.fixture(scope="module")
def stack(engine: Engine) -> Iterator[LocalStack]:
    """The dev stack with Dragonfly 2.1."""
    with pytest.MonkeyPatch.context() as patch, cloud_stacks(engine) as make:
        patch.setenv("DRAGONFLY_CLOUD_SECONDS", "0.3")
        made = make("line", tag=OLD)
        made.output("up", "--yes", "--skip-preview")
        yield made


def up(stack: LocalStack, **keys: str) -> None:
    configure(stack, **keys)
    stack.output("up", "--yes", "--skip-preview")


def snapshots(ledger: Ledger) -> list[Entry]:
    return ledger.read().of_type(SNAPSHOT)


@cache
def api_of(ledger: Path) -> ApiClient:
    """One client for all looks: on a busy machine what is looked for is over before another is made."""
    return ExitStack().enter_context(cluster_client(Ledger(ledger)))


def workload(ledger: Ledger, kind: str, name: str) -> dict[str, Any]:
    api: Any = api_of(ledger.path)
    apps: Any = client.AppsV1Api(api)
    return api.sanitize_for_serialization(getattr(apps, f"read_namespaced_{kind}")(name, "default"))


WORKLOADS = (
    ("deployment", NAMES.manager),
    ("stateful_set", NAMES.scheduler),
    ("stateful_set", NAMES.seed_peer),
    ("daemon_set", NAMES.peer),
)


def manager_is_stopped(ledger: Ledger) -> bool:
    return workload(ledger, *WORKLOADS[0])["spec"].get("replicas") == 0


def changes_line(kind: str, name: str) -> Callable[[Ledger], bool]:
    """Return whether a workload has another line than the one that it has now."""
    seen: list[str] = []

    def moment(ledger: Ledger) -> bool:
        seen.append(release_line(workload(ledger, kind, name)))
        return seen[-1] != seen[0]

    moment.__name__ = f"{name} changes"
    return moment


def snapshot_is_renewed(given_up: set[str]) -> Callable[[Ledger], bool]:
    """Return whether there is a snapshot besides that of a move which was given up."""

    def moment(ledger: Ledger) -> bool:
        return not {each.id for each in snapshots(ledger)} <= given_up

    return moment


STEPS = (manager_is_stopped, *(changes_line(*one) for one in WORKLOADS))


def check_moved(stack: LocalStack, line: str) -> None:
    for kind, name in WORKLOADS:
        assert release_line(workload(stack.ledger, kind, name)) == line
    with cluster_client(stack.ledger) as api:
        assert unready_pods(api, "default") == []
    stack.output("preview", "--expect-no-changes")


def test_a_stack_that_was_installed_with_2_1_has_no_snapshot(stack: LocalStack) -> None:
    assert snapshots(stack.ledger) == []
    assert "mysql-upgrade-1" in stack.output("preview", "--config", f"dragonfly:tag={NEW}")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_a_move_that_is_given_up_while_the_manager_is_stopped_starts_it_again(
    stack: LocalStack, tmp_path: Path, how: signal.Signals
) -> None:
    configure(stack, tag=NEW)
    interrupted(stack, tmp_path / "log", "up", manager_is_stopped, how)
    if how == signal.SIGKILL:
        stack.recover()
    up(stack, tag=OLD)
    check_moved(stack, "2.1")
    assert not manager_is_stopped(stack.ledger)


def test_the_move_goes_on_after_a_kill_at_each_step(stack: LocalStack, tmp_path: Path) -> None:
    configure(stack, tag=NEW)
    before = disks(stack.ledger)
    given_up = {each.id for each in snapshots(stack.ledger)}
    for step in (snapshot_is_renewed(given_up), *STEPS):
        assert interrupted(stack, tmp_path / "log", "up", step, signal.SIGKILL) == -signal.SIGKILL
        stack.recover()
    stack.output("up", "--yes", "--skip-preview")
    check_moved(stack, "2.5")
    # The one that the first of them made, before anything was changed.
    (snapshot,) = [each for each in snapshots(stack.ledger) if each.id not in given_up]
    assert snapshot.properties["sourceDisk"].endswith(f"/disks/{MYSQL_DISK}")
    assert snapshot.properties["storageLocations"] == ["us-west1"]
    assert json.loads(stack.output("stack", "output", "--json"))["upgradeSnapshot"] == snapshot.name
    assert disks(stack.ledger) == before


def test_a_cache_gets_a_disk_of_its_own_which_grows_and_goes(stack: LocalStack) -> None:
    def size() -> int | None:
        return next((entry.properties["size"] for entry in stack.ledger.read().all() if entry.name == CACHE_DISK), None)

    up(stack, seedPeerCacheSize="20Gi")
    assert size() == 20
    up(stack, seedPeerCacheSize="30Gi")
    assert size() == 30
    configure(stack, seedPeerCacheSize="20Gi")
    refusal = failure_of(stack, "up", "--yes", "--skip-preview")
    assert "pulumi config set dragonfly:seedPeerCacheSize 30Gi" in refusal
    stack.output("config", "rm", "dragonfly:seedPeerCacheSize")
    stack.output("up", "--yes", "--skip-preview")
    assert size() is None
    check_moved(stack, "2.5")


def test_the_way_back_goes_on_after_ctrl_c_at_each_step_and_keeps_the_snapshot(
    stack: LocalStack, tmp_path: Path
) -> None:
    before = snapshots(stack.ledger)
    configure(stack, tag=OLD)
    assert "dragonfly:allowDowngrade true" in failure_of(stack, "up", "--yes", "--skip-preview")
    configure(stack, allowDowngrade="true")
    for step in (manager_is_stopped, *(changes_line(*one) for one in WORKLOADS)):
        assert interrupted(stack, tmp_path / "log", "up", step, signal.SIGINT) != 0
    stack.output("up", "--yes", "--skip-preview")
    check_moved(stack, "2.1")
    assert [each.id for each in snapshots(stack.ledger)] == [each.id for each in before]


def test_a_move_back_after_a_kill_without_a_recovery_costs_no_snapshot(stack: LocalStack, tmp_path: Path) -> None:
    before = {each.id for each in snapshots(stack.ledger)}
    configure(stack, tag=NEW)
    interrupted(stack, tmp_path / "log", "up", changes_line(*WORKLOADS[1]), signal.SIGKILL)
    # The state calls the manager old, and the database is migrated.
    for tag in (OLD, NEW):
        configure(stack, tag=tag)
        stack.output("cancel", "--yes")
        stack.output("up", "--yes", "--skip-preview")
    assert before < {each.id for each in snapshots(stack.ledger)}
    stack.recover()
    up(stack)
    check_moved(stack, "2.5")


def test_a_disk_that_was_made_from_a_snapshot_is_the_database_as_well(stack: LocalStack) -> None:
    with stack.ledger.change() as entries:
        (disk,) = [each for each in entries.all() if each.name == MYSQL_DISK]
        disk.properties["snapshot"] = snapshots(stack.ledger)[0].id
        entries.put(disk)
    assert "replace" not in stack.output("preview", "--refresh")


def test_a_snapshot_that_somebody_deleted_is_not_taken_of_the_migrated_database(stack: LocalStack) -> None:
    deleted, *_ = snapshots(stack.ledger)
    with stack.ledger.change() as entries:
        entries.remove(deleted.id)
    assert "Take it out of the state: pulumi refresh" in failure_of(stack, "up", "--yes", "--skip-preview", "--refresh")
    stack.output("refresh", "--yes", "--skip-preview")
    up(stack)
    assert deleted.id not in {each.id for each in snapshots(stack.ledger)}


def test_only_snapshots_that_are_to_stay_are_billed_after_destroy(stack: LocalStack) -> None:
    up(stack, keepUpgradeSnapshot="true")
    kept = sorted(each.id for each in snapshots(stack.ledger))
    assert kept
    stack.output("destroy", "--yes", "--skip-preview")
    assert stack.ledger.billed() == kept
