"""The seed peer: fetches from the registry first, so that every other peer can fetch from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pulumi
from pulumi_kubernetes.core import v1 as core

from dragonfly.instance.objects import Instance
from dragonfly.parts import ports
from dragonfly.parts.cache import CACHE_SIZE_LIMIT, DISK_LIFETIME, POD_CACHE, Cache
from dragonfly.parts.images import Image
from dragonfly.parts.labels import Component
from dragonfly.parts.ports import PeerPorts
from dragonfly.pods.claim import asked_size, claimed_size, keeps_its_size, volume_claim
from dragonfly.pods.disk import DiskPlace
from dragonfly.pods.program import Program, program_pod
from dragonfly.settings.fault import PROJECT

_SIZE_KEY = f"{PROJECT}:seedPeerCacheSize"


@dataclass(frozen=True)
class SeedPeerArgs:
    """What the seed peer needs to know.

    Args:
        instance: the instance that it belongs to.
        after: see `Program.after`.
        cache_size: a Kubernetes quantity; None where the cache goes with the pod.
        storage_class: of the cache's disk.
        disk_place: where the program makes the disk; None leaves it to the StorageClass.
    """

    instance: Instance
    after: Sequence[pulumi.Resource]
    cache_size: str | None
    storage_class: str
    disk_place: DiskPlace | None


class SeedPeer(pulumi.ComponentResource):
    """One seed peer with a stable name. Without a claim its cache is refilled from the registries."""

    def __init__(self, name: str, args: SeedPeerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = None
        if args.cache_size:
            inputs = asked_size(args.cache_size)
            opts = pulumi.ResourceOptions.merge(opts, keeps_its_size(name, _SIZE_KEY))
        super().__init__("dragonfly:seed_peer:SeedPeer", name, inputs, opts)
        instance, names = args.instance, args.instance.names
        instance.service(
            f"{name}-headless",
            name=names.seed_peer_headless,
            component=Component.SEED_PEER,
            ports={"grpc": ports.SEED_PEER_GRPC, "upload": ports.SEED_PEER_UPLOAD},
            headless=True,
            parent=self,
        )
        claim = self._claim(name, args, args.cache_size) if args.cache_size else None
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
            Cache(args.cache_size, DISK_LIFETIME) if args.cache_size else POD_CACHE,
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
            data_claim=claim,
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
        self.register_outputs(claimed_size(claim) if claim else {})

    def _claim(self, name: str, args: SeedPeerArgs, size: str) -> core.PersistentVolumeClaim:
        return volume_claim(
            name,
            args.instance,
            name=args.instance.names.seed_peer_claim,
            component=Component.SEED_PEER,
            size=size,
            size_key=_SIZE_KEY,
            storage_class=args.storage_class,
            # What is lost with it can be fetched again.
            disk_place=replace(args.disk_place, protect=False) if args.disk_place else None,
            parent=self,
        )
