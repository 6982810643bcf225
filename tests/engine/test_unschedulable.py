"""Nodes that are too small for the installation."""

from __future__ import annotations

import time

import pytest
from kubernetes.client.api_client import ApiClient

from dragonfly.parts.names import Names
from local.engine.stack import StackError
from tests.engine.cluster_objects import no_room
from tests.engine.conftest import StackFactory
from tests.engine.status_command import status
from tests.waiting import while_busy

NAMES = Names("dragonfly-1")


def test_too_small_nodes_end_the_update_within_a_minute_with_the_schedulers_reason(
    make_stack: StackFactory, api: ApiClient
) -> None:
    stack = make_stack("small", readyTimeoutSeconds=10)
    # MySQL alone asks for more.
    with no_room(api, "memory", "100Mi"):
        started = time.monotonic()
        with pytest.raises(StackError):
            stack.output("up", "--yes", "--skip-preview")
        assert time.monotonic() - started < while_busy(60)
        told = status(stack)
    assert (told.code, told.errors) == (1, "")
    assert f"{NAMES.mysql} not Ready no node takes it: 0/3 nodes are available: 3 Insufficient memory." in told.words
    assert "-> give the cluster larger nodes, or more" in told.words
