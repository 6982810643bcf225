"""Whether the plug-in waited for a StatefulSet, by what it returned."""

from __future__ import annotations

import pytest

from dragonfly.rollout_warning import was_awaited


@pytest.mark.parametrize(
    ("status", "awaited"), [({"observedGeneration": 2}, True), ({"observedGeneration": 1}, False), ({}, False)]
)
def test_a_controller_that_has_not_seen_the_change_was_not_waited_for(status: dict[str, int], awaited: bool) -> None:
    assert was_awaited({"metadata": {"generation": 2}, "status": status}) is awaited
