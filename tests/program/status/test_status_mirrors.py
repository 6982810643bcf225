"""Whether nodes pull through their peers, read from what the real script of the writer logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dragonfly.parts.registry_mirrors import MIRROR_WRITER
from dragonfly.status.mirrors import HOW_TO_ASK, NodeMirror, node_mirrors, told

CERTS = "/etc/containerd/certs.d"
# Word for word what registry_mirrors.sh writes; a test compares the two.
IGNORED = f"containerd on this node does not name {CERTS} as its config_path: it would ignore mirrors, none are written"
GOOD = ["pulls from docker.io go through the peer", "pulls from quay.io go through the peer"]
OTHERWISE = "pulls from quay.io go through the peer, by a hosts.toml that is not ours"
THEIRS = f"{CERTS}/quay.io/hosts.toml is not ours: left as it is, pulls from quay.io do not go through the peer"
UNWRITTEN = f"{CERTS}/quay.io/hosts.toml could not be written"
SAID_NOTHING = "the writer of its mirrors has said nothing yet"
IS_IGNORED = f"containerd does not name {CERTS} as its config_path"


def pod(node: str | None, *containers: str) -> dict[str, Any]:
    names = [{"name": name} for name in ("dfget", *containers)]
    placed = {"nodeName": node} if node else {}
    return {"metadata": {"name": f"pod-of-{node}"}, "spec": {**placed, "containers": names}}


def read(lines: list[str] | None) -> NodeMirror:
    (found,) = node_mirrors([pod("node-1", MIRROR_WRITER)], lambda name, container: lines)
    return found


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (GOOD, None),
        ([], SAID_NOTHING),
        (["something else"], SAID_NOTHING),
        ([GOOD[0], OTHERWISE], None),
        (None, f"the log of its container {MIRROR_WRITER} cannot be read"),
        ([GOOD[0], THEIRS], THEIRS),
        ([UNWRITTEN, GOOD[0]], UNWRITTEN),
        ([THEIRS, *GOOD], None),
        ([IGNORED], IS_IGNORED),
        ([*GOOD, IGNORED], IS_IGNORED),
        ([IGNORED, *GOOD], None),
        ([IGNORED, GOOD[0], THEIRS], THEIRS),
    ],
)
def test_the_last_word_on_each_registry_counts(lines: list[str] | None, fault: str | None) -> None:
    found = read(lines)
    assert found.fault == fault
    assert found.is_ignored == (fault == IS_IGNORED)


def test_each_node_with_a_writer_is_asked_once() -> None:
    asked: list[tuple[str, str]] = []

    def log_lines(name: str, container: str) -> list[str]:
        asked.append((name, container))
        return GOOD if name == "pod-of-b" else [IGNORED]

    leaving = pod("b", MIRROR_WRITER)
    leaving["metadata"] = {"name": "leaving", "deletionTimestamp": "2026-11-28T00:00:00Z"}
    pods = [pod("b", MIRROR_WRITER), leaving, pod("a", MIRROR_WRITER), pod("c"), pod(None, MIRROR_WRITER)]
    found = node_mirrors(pods, log_lines)
    assert [(each.node, each.fault) for each in found] == [("a", IS_IGNORED), ("b", None)]
    assert sorted(asked) == [("pod-of-a", MIRROR_WRITER), ("pod-of-b", MIRROR_WRITER)]


def test_people_read_of_nodes_that_are_alike_together_and_what_to_do() -> None:
    good = [NodeMirror(f"good-{number}") for number in range(2)]
    ignored = [NodeMirror(f"node-{number}", IS_IGNORED, is_ignored=True) for number in range(4)]
    assert list(told(good)) == ["pulls go through the peer on 2 of 2 nodes"]
    assert list(told([*good, *ignored])) == [
        "pulls go through the peer on 2 of 6 nodes",
        f"node-0, node-1, node-2, ... (4 of 6): {IS_IGNORED}",
        f"-> {HOW_TO_ASK}",
    ]
    assert list(told([NodeMirror("node-1", THEIRS)])) == [f"node-1 (1 of 1): {THEIRS}"]
    assert list(told([])) == []


def test_the_words_are_those_of_the_script() -> None:
    script = Path("dragonfly/scripts/registry_mirrors.sh").read_text()
    for words in (IGNORED, THEIRS, OTHERWISE, UNWRITTEN, GOOD[0]):
        template = words.replace(CERTS, "$path").replace("quay.io", "$1").replace("docker.io", "$1")
        assert f'"{template}"' in script, template
