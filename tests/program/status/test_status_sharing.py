"""How much was shared, by the schedulers' own counters (upstream, scheduler/metrics)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dragonfly.access.port_forward import PageUnreadableError
from dragonfly.monitoring.scope import Scope
from dragonfly.parts.labels import COMPONENT_LABEL, Component
from dragonfly.parts.names import Names
from dragonfly.status.sharing import (
    Sharing,
    last_hour_in_words,
    shared_in_the_last_hour,
    shared_in_words,
    sharing,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
METRICS = """\
# TYPE dragonfly_scheduler_traffic counter
dragonfly_scheduler_traffic{host_type="normal",task_type="STANDARD",type="REMOTE_PEER"} 3e+09
dragonfly_scheduler_traffic{host_type="normal",task_type="PERSISTENT",type="REMOTE_PEER"} 6.54e+08
dragonfly_scheduler_traffic{host_type="normal",task_type="STANDARD",type="BACK_TO_SOURCE"} 5.46e+08
dragonfly_scheduler_traffic{host_type="super",task_type="STANDARD",type="BACK_TO_SOURCE"} 2e+08
dragonfly_scheduler_traffic{host_type="super",task_type="STANDARD",type="REMOTE_PEER"} 7
dragonfly_scheduler_traffic{host_type="normal",task_type="STANDARD",type="LOCAL_PEER"} 7
dragonfly_scheduler_host_traffic{host_type="normal",type="download"} 7
"""


def scheduler(name: str = "scheduler-0", component: Component = Component.SCHEDULER, **age: int) -> dict[str, Any]:
    started = (NOW - timedelta(**age)).isoformat().replace("+00:00", "Z")
    return {
        "metadata": {"name": name, "labels": {COMPONENT_LABEL: component.value}},
        "status": {"containerStatuses": [{"state": {"running": {"startedAt": started}} if age else {"waiting": {}}}]},
    }


def asked(pods: list[dict[str, Any]], pages: Mapping[str, str]) -> Sharing:
    def page(name: str, component: Component) -> str:
        assert name.startswith(component.short_name)
        if name not in pages:
            raise PageUnreadableError(f"{name} cannot be asked: refused")
        return pages[name]

    found = sharing(pods, page, NOW)
    assert found is not None
    return found


def test_what_nodes_had_from_others_and_from_registries_is_added_up() -> None:
    pods = [scheduler(hours=3), scheduler("manager-0", Component.MANAGER, hours=9)]
    found = asked(pods, {"scheduler-0": METRICS})
    assert found == Sharing(3_654_000_000, 546_000_000, 200_000_000, 10800)
    assert shared_in_words(found) == (
        "87 % of 4.2 GB came from other nodes or the seed peer in the 3 hours since the scheduler started; 746.0 MB "
        "came from registries"
    )


SEED_PEER = "# TYPE dragonfly_client_upload_traffic counter\ndragonfly_client_upload_traffic 1200000000\n"


@pytest.mark.parametrize(("minutes", "when"), [(180, ""), (20, " in its own 20 minutes")])
def test_what_the_seed_peer_gave_is_told_apart_with_its_own_age(minutes: int, when: str) -> None:
    pods = [scheduler(hours=3), scheduler("seed-peer-0", Component.SEED_PEER, minutes=minutes)]
    found = asked(pods, {"scheduler-0": METRICS, "seed-peer-0": SEED_PEER})
    assert (found.from_seed_peer, found.seed_peer_seconds) == (1_200_000_000, 60 * minutes)
    assert f"started; the seed peer gave 1.2 GB{when}; 746.0 MB came" in str(shared_in_words(found))


def test_a_seed_peer_that_does_not_count_or_cannot_be_asked_is_left_out() -> None:
    pods = [scheduler(hours=3), scheduler("seed-peer-0", Component.SEED_PEER, hours=3)]
    silent = asked(pods, {"scheduler-0": METRICS, "seed-peer-0": ""})
    away = asked(pods, {"scheduler-0": METRICS})
    assert (silent.from_seed_peer, silent.faults) == (None, ())
    assert away.faults == ("seed-peer-0 cannot be asked: refused",)
    assert "seed peer gave" not in str(shared_in_words(silent))


def test_a_prometheus_is_asked_for_the_last_hour() -> None:
    asked_for: list[str] = []

    def query(expression: str) -> float:
        asked_for.append(expression)
        return 1e9 * (len(asked_for) - 1) if "increase" in expression else 1.0

    found = shared_in_the_last_hour(Scope("p2p", Names("d")), None, query)
    assert found is not None
    assert last_hour_in_words(found) == (
        "33 % of 3.0 GB came from other nodes or the seed peer in the last hour; the seed peer gave 4.0 GB; 5.0 GB "
        "came from registries"
    )
    assert len(set(asked_for)) == 5
    assert all('namespace="p2p"' in one for one in asked_for)


def test_a_prometheus_that_has_read_no_scheduler_knows_nothing() -> None:
    assert shared_in_the_last_hour(Scope("p2p", Names("d")), "c", lambda expression: 0.0) is None


def test_a_prometheus_of_several_clusters_with_the_same_names_is_told_of() -> None:
    asked_for: list[str] = []

    def query(expression: str) -> float:
        asked_for.append(expression)
        if "increase" in expression:
            return 1e9
        assert "by (project_id, cluster, location)" in expression
        return 1.0 if 'cluster="ours"' in expression else 2.0

    for name in (None, "another"):
        found = shared_in_the_last_hour(Scope("p2p", Names("d")), name, query)
        assert found == Sharing(
            faults=("--prometheus has read d-scheduler in p2p of 2 clusters, and would add them up",)
        )
    asked_for.clear()
    found = shared_in_the_last_hour(Scope("p2p", Names("d")), "ours", query)
    assert found is not None
    assert found.from_peers == 10**9
    assert all('cluster="ours"' in one for one in asked_for[1:])


def test_schedulers_count_together_since_the_oldest_of_them_started() -> None:
    pods = [scheduler(hours=3), scheduler("scheduler-1", days=2)]
    found = asked(pods, {"scheduler-0": METRICS, "scheduler-1": METRICS})
    assert (found.from_peers, found.seconds) == (2 * 3_654_000_000, 172800)


def test_before_the_first_pull_it_says_so() -> None:
    found = asked([scheduler(seconds=59)], {"scheduler-0": ""})
    assert found == Sharing(seconds=59)
    assert (
        shared_in_words(found) == "nothing was pulled through the peers in the 59 seconds since the scheduler started"
    )


def test_a_scheduler_that_cannot_be_asked_is_named_to_programs_alone() -> None:
    found = asked([scheduler(hours=1), scheduler("scheduler-1", minutes=5)], {"scheduler-0": METRICS})
    assert found.faults == ("scheduler-1 cannot be asked: refused",)
    silent = asked([scheduler(hours=1)], {})
    assert silent == Sharing(faults=("scheduler-0 cannot be asked: refused",))
    assert shared_in_words(silent) is None


def test_without_a_scheduler_that_runs_there_is_nothing_to_tell() -> None:
    pods = [scheduler(), scheduler("manager-0", Component.MANAGER, hours=1)]
    assert sharing(pods, lambda name, component: "", NOW) is None


@pytest.mark.parametrize(
    ("size", "words"), [(999, "999 bytes"), (1000, "1.0 kB"), (5_000_000, "5.0 MB"), (2 * 10**12, "2.0 TB")]
)
def test_sizes_are_in_the_nearest_unit(size: int, words: str) -> None:
    assert f"of {words} came" in str(shared_in_words(Sharing(from_peers=size, seconds=60)))
