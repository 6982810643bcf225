"""The peers: one on every node, which the node's containerd asks for images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import pulumi
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.scheduling import v1 as scheduling

from dragonfly.components.node_mirrors import NodeMirrors
from dragonfly.instance.object_name import object_name
from dragonfly.instance.objects import Instance
from dragonfly.parts.cache import CACHE_SIZE_LIMIT
from dragonfly.parts.images import Image
from dragonfly.parts.labels import Component
from dragonfly.parts.ports import PeerPorts
from dragonfly.pods.program import Program, program_pod

# Above what has none, 0, and below the system's own, 2,000,000,000: a node short of memory ends others first.
_PRIORITY = 1_000_000


@dataclass(frozen=True)
class PeerArgs:
    """What the peers need to know.

    Args:
        instance: the instance that they belong to.
        ports: of each node that the peer listens on.
        after: see `Program.after`.
        priority_class: of the cluster; None for none.
        makes_priority_class: whether it makes one of its own where none is given.
        node_mirrors: mirrors that the peer's pod writes onto its node; None where the nodes have them already.
    """

    instance: Instance
    ports: PeerPorts
    after: Sequence[pulumi.Resource]
    priority_class: str | None
    makes_priority_class: bool
    node_mirrors: NodeMirrors | None


class Peer(pulumi.ComponentResource):
    """The DaemonSet of the peers, on the nodes' own network: containerd reaches the proxy at the loopback address."""

    def __init__(self, name: str, args: PeerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dragonfly:peer:Peer", name, None, opts)
        instance, names = args.instance, args.instance.names
        peer = instance.line.peer(names, args.ports)
        program = Program(
            component=Component.PEER,
            name="dfget",
            image=Image.PEER,
            command=peer.command,
            config_secret=names.peer_config,
            files=peer.files,
            waits_for=peer.waits_for,
            ports=peer.ports,
            udp_ports=peer.udp_ports,
            work_size_limit=CACHE_SIZE_LIMIT,
            after=args.after,
        )
        line_change = instance.line_change.after("StatefulSet", names.seed_peer, name, 3)
        pod = program_pod(name, instance, program, host_network=True, line_change=line_change, parent=self).template
        priority_class = args.priority_class
        if priority_class is None and args.makes_priority_class:
            priority_class = self._priority_class(instance)
        cast("core.PodSpecArgs", pod.spec).priority_class_name = priority_class
        if args.node_mirrors is not None:
            this_one = pulumi.Output.concat(instance.namespace, "/", names.app)
            image = instance.images.reference(Image.PEER)
            _add(pod, args.node_mirrors.container(image, this_one), args.node_mirrors.volumes())
        apps.DaemonSet(
            name,
            metadata=instance.program_metadata(names.peer, Component.PEER),
            spec=apps.DaemonSetSpecArgs(
                selector=instance.selector(Component.PEER),
                # One node after another would take hours on a cluster of a thousand; containerd falls back to the
                # registry while its node's peer restarts.
                update_strategy=apps.DaemonSetUpdateStrategyArgs(
                    type="RollingUpdate", rolling_update=apps.RollingUpdateDaemonSetArgs(max_unavailable="10%")
                ),
                template=pod,
            ),
            opts=pulumi.ResourceOptions.merge(instance.workload_options(self), line_change),
        )
        self.register_outputs({})

    def _priority_class(self, instance: Instance) -> pulumi.Output[str]:
        made = scheduling.PriorityClass(
            "priority-class",
            # Other instances have one too. A name must not begin with `system-`, as a namespace may.
            metadata=instance.cluster_metadata(
                pulumi.Output.concat("dragonfly.", instance.namespace, ".", instance.names.peer), Component.PEER
            ),
            value=_PRIORITY,
            # A peer waits for its place on a full node: what runs there is not ended for it.
            preemption_policy="Never",
            description="Dragonfly's peers: a node without one pulls its images from the registries.",
            opts=pulumi.ResourceOptions(parent=self),
        )
        return object_name(made)


def _add(pod: core.PodTemplateSpecArgs, container: core.ContainerArgs, volumes: list[core.VolumeArgs]) -> None:
    spec = cast("core.PodSpecArgs", pod.spec)
    spec.containers = [*cast("list[core.ContainerArgs]", spec.containers), container]
    spec.volumes = [*cast("list[core.VolumeArgs]", spec.volumes), *volumes]
