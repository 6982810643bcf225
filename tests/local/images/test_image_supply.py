"""A stack whose images the nodes have not got is told so before its pods wait for them."""

from __future__ import annotations

from collections.abc import Sequence

from local.images.catalog import configured_names
from local.nodes.image_supply import what_is_missing


class PlayedNodes:
    """Nodes whose containerd lists some images."""

    def __init__(self, images: dict[str, list[str]]) -> None:
        self._images = images

    def on_node(self, name: str, command: Sequence[str]) -> list[str]:
        """Writes the images, whatever is asked."""
        listed = "\\n".join(self._images[name])
        return ["sh", "-c", f"printf '{listed}\\n'", name, *command]


def test_nodes_that_have_everything_are_not_spoken_of() -> None:
    nodes = PlayedNodes({"node-1": ["docker.io/library/redis:7.2.4", *configured_names({})]})
    assert what_is_missing(nodes, ["node-1"], ["redis:7.2.4", *configured_names({})]) is None


def test_what_a_node_lacks_is_named_with_the_command_that_gives_it() -> None:
    nodes = PlayedNodes({"node-1": configured_names({}), "node-2": ["registry.test/redis:7.2.40"]})
    wanted = [*configured_names({})[:1], "registry.test/redis:7.2.4"]
    text = what_is_missing(nodes, ["node-1", "node-2"], wanted)
    assert text is not None
    first, second = text.splitlines()[1:3]
    assert first.startswith("  node-1 has no registry.test/redis:7.2.4: ")
    assert first.endswith(" ctr --address /run/containerd/containerd.sock --namespace k8s.io images import - < ARCHIVE")
    assert f"node-2 has no {wanted[0]}, registry.test/redis:7.2.4: " in second


def test_names_follow_from_the_config() -> None:
    assert set(configured_names({"tag": "2.1.35"})) - set(configured_names({})) == {
        f"marketplace.gcr.io/google/dragonfly-{name}2:2.1.35" for name in ("manager", "scheduler", "seed-peer", "dfget")
    }
    assert set(configured_names({"tag": "2.5.1"})) - set(configured_names({})) == {
        "ghcr.io/dragonflyoss/dragonfly/manager:v2.5.1",
        "ghcr.io/dragonflyoss/dragonfly/scheduler:v2.5.1",
        "ghcr.io/dragonflyoss/client:v1.4.3",
    }
    # The program refuses it.
    assert configured_names({"tag": "2.2.0"}) == configured_names({})
    assert all("registry.test/" in name for name in configured_names({"imageRegistry": "registry.test"})[:8])
    added = set(configured_names({"metricsExporterEnabled": "true"})) - set(configured_names({}))
    assert {name.partition(":")[0] for name in added} == {"gke.gcr.io/prometheus-to-sd"}
    own = "registry.test/redis:7.2.4"
    assert set(configured_names({"images": {"redis": own, "nothing": "x"}})) - set(configured_names({})) == {own}
