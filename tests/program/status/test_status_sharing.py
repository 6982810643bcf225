"""How much was shared, by the schedulers' own counters (upstream, scheduler/metrics)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dragonfly.access.port_forward import PageUnreadableError
from dragonfly.parts.labels import COMPONENT_LABEL, Component
from dragonfly.status.sharing import Sharing, shared_in_words, sharing

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
    def page(name: str) -> str:
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
    assert sharing(pods, lambda name: "", NOW) is None


@pytest.mark.parametrize(
    ("size", "words"), [(999, "999 bytes"), (1000, "1.0 kB"), (5_000_000, "5.0 MB"), (2 * 10**12, "2.0 TB")]
)
def test_sizes_are_in_the_nearest_unit(size: int, words: str) -> None:
    assert f"of {words} came" in str(shared_in_words(Sharing(from_peers=size, seconds=60)))
