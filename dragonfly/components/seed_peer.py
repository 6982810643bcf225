"""The seed peer: fetches from the registry first, so that every other peer can fetch from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from dragonfly.instance.objects import Instance
from dragonfly.parts import ports
from dragonfly.parts.cache import CACHE_SIZE_LIMIT
from dragonfly.parts.images import Image
from dragonfly.parts.labels import Component
from dragonfly.parts.ports import PeerPorts
from dragonfly.pods.program import Program, program_pod


@dataclass(frozen=True)
class SeedPeerArgs:
    """What the seed peer needs to know.

    Args:
        instance: the instance that it belongs to.
        after: see `Program.after`.
    """

    instance: Instance
    after: Sequence[pulumi.Resource]


class SeedPeer(pulumi.ComponentResource):
    """One seed peer with a stable name. Its cache is refilled from the registry, so it has no claim."""

    def __init__(self, name: str, args: SeedPeerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dragonfly:seed_peer:SeedPeer", name, None, opts)
        instance, names = args.instance, args.instance.names
        instance.service(
            f"{name}-headless",
            name=names.seed_peer_headless,
            component=Component.SEED_PEER,
            ports={"grpc": ports.SEED_PEER_GRPC, "upload": ports.SEED_PEER_UPLOAD},
            headless=True,
            parent=self,
        )
        seed_peer = instance.line.seed_peer(
            names,
            PeerPorts(
                grpc=ports.SEED_PEER_GRPC,
                proxy=ports.SEED_PEER_PROXY,
                upload=ports.SEED_PEER_UPLOAD,
                health=ports.SEED_PEER_HEALTH,
                metrics=ports.METRICS,
                stats=ports.SEED_PEER_STATS,
                quic=ports.SEED_PEER_QUIC,
            ),
        )
        program = Program(
            component=Component.SEED_PEER,
            name="seed-peer",
            image=Image.SEED_PEER,
            command=seed_peer.command,
            config_secret=names.seed_peer_config,
            files=seed_peer.files,
            waits_for=seed_peer.waits_for,
            ports=seed_peer.ports,
            udp_ports=seed_peer.udp_ports,
            work_size_limit=CACHE_SIZE_LIMIT,
            after=args.after,
        )
        line_change = instance.line_change.after("StatefulSet", names.scheduler, name, 2)
        instance.stateful_set(
            name,
            name=names.seed_peer,
            component=Component.SEED_PEER,
            service_name=names.seed_peer_headless,
            template=program_pod(name, instance, program, line_change=line_change, parent=self).template,
            parent=self,
            line_change=line_change,
        )
        self.register_outputs({})
