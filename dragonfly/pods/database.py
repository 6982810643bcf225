"""How each of the two databases runs: one server with its disk, its exporter and their Services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import pulumi
from pulumi_kubernetes.core import v1 as core

from dragonfly.instance.objects import Instance
from dragonfly.parts.labels import Component
from dragonfly.pods.claim import asked_size, claimed_size, data_volume, keeps_its_size, volume_claim
from dragonfly.pods.disk import DiskPlace
from dragonfly.pods.metrics_export import prometheus_to_sd
from dragonfly.pods.security import DATABASE_UID, secured


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """What a database needs to know besides its passwords.

    Args:
        instance: the instance that it belongs to.
        after: resources that must exist before its StatefulSet is handed to the engine.
        disk_size: a Kubernetes quantity.
        storage_class: of the disk.
        disk_place: where the program makes the disk; None leaves it to the StorageClass.
        metrics_exporter_enabled: export metrics to Cloud Monitoring too.
    """

    instance: Instance
    after: Sequence[pulumi.Resource]
    disk_size: str
    storage_class: str
    disk_place: DiskPlace | None
    metrics_exporter_enabled: bool


class DatabaseNames(NamedTuple):
    """What a database's objects are called."""

    stateful_set: str
    service: str
    headless_service: str
    exporter_service: str
    claim: str


@dataclass(frozen=True)
class DatabasePod:
    """What the pod of a database holds besides its data.

    Args:
        server: container of the database.
        exporter: container beside it.
        volumes: what the two mount.
        configuration: all that the pod reads at its start; a change of it rolls the pod.
        grace_seconds: how long the server may take to end; Kubernetes' 30 when None.
    """

    server: core.ContainerArgs
    exporter: core.ContainerArgs
    volumes: Sequence[core.VolumeArgs]
    configuration: Sequence[pulumi.Input[str]]
    grace_seconds: int | None = None


class Database(pulumi.ComponentResource):
    """A database with one replica, its volume claim and its exporter.

    Attributes:
        before_server: what exists before the server's StatefulSet is handed to the engine.
        exporter_address: `host:port` of the exporter's Service within the cluster.
    """

    pulumi_type: ClassVar[str]
    component: ClassVar[Component]
    size_key: ClassVar[str]
    port: ClassVar[tuple[str, int]]
    exporter_port: ClassVar[tuple[str, int]]

    before_server: list[pulumi.Resource]
    exporter_address: pulumi.Output[str]

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None) -> None:
        opts = pulumi.ResourceOptions.merge(opts, keeps_its_size(name, self.size_key))
        super().__init__(self.pulumi_type, name, asked_size(args.disk_size), opts)
        self._name, self._args = name, args

    def secret(self, resource_name: str, name: str, data: dict[str, pulumi.Input[str]]) -> core.Secret:
        """Declare a Secret of the database."""
        metadata = self._args.instance.metadata(name, self.component)
        opts = pulumi.ResourceOptions(parent=self, depends_on=self._args.after)
        return core.Secret(resource_name, metadata=metadata, string_data=data, opts=opts)

    def declare(self, names: DatabaseNames, secrets: Sequence[core.Secret], pod: DatabasePod) -> None:
        """Declare claim, Services and StatefulSet, and register the outputs.

        Args:
            names: what they are called.
            secrets: what the pod mounts.
            pod: what it holds.
        """
        name, args, instance = self._name, self._args, self._args.instance
        (server, _), (exporter, exporter_port) = self.port, self.exporter_port
        claim = volume_claim(
            name,
            instance,
            name=names.claim,
            component=self.component,
            size=args.disk_size,
            size_key=self.size_key,
            storage_class=args.storage_class,
            disk_place=args.disk_place,
            parent=self,
        )
        self.before_server = [*secrets, claim]
        instance.service(
            f"{name}-headless",
            name=names.headless_service,
            component=self.component,
            ports=dict([self.port]),
            headless=True,
            parent=self,
        )
        instance.service(
            f"{name}-svc",
            name=names.service,
            component=self.component,
            ports=dict([self.port]),
            # There is one server and nowhere else to go: a pod that is not Ready because its exporter failed still
            # has a working database, and a server that does not listen refuses by itself.
            publish_not_ready_addresses=True,
            parent=self,
        )
        instance.service(
            f"{exporter}-svc",
            name=names.exporter_service,
            component=self.component,
            ports=dict([self.exporter_port]),
            publish_not_ready_addresses=True,
            parent=self,
        )
        containers = [pod.server, pod.exporter]
        if args.metrics_exporter_enabled:
            containers.append(prometheus_to_sd(server, exporter_port, instance.images))
        instance.stateful_set(
            name,
            name=names.stateful_set,
            component=self.component,
            service_name=names.headless_service,
            template=core.PodTemplateSpecArgs(
                metadata=instance.pod_metadata(self.component, *pod.configuration),
                spec=secured(
                    core.PodSpecArgs(
                        termination_grace_period_seconds=pod.grace_seconds,
                        containers=containers,
                        volumes=[data_volume(claim), *pod.volumes],
                    ),
                    DATABASE_UID,
                    instance.pull_secrets,
                ),
            ),
            parent=self,
        )
        self.exporter_address = pulumi.Output.from_input(instance.namespace).apply(
            lambda namespace: f"{names.exporter_service}.{namespace}.svc:{exporter_port}"
        )
        self.register_outputs({"exporterAddress": self.exporter_address, **claimed_size(claim)})
