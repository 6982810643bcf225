"""Redis with redis_exporter: the cache of the manager and the job queue of manager and scheduler."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core import v1 as core

from dragonfly.config_files.document import document_hash
from dragonfly.instance.object_name import object_name
from dragonfly.instance.objects import Instance
from dragonfly.parts import ports
from dragonfly.parts.container_resources import RESOURCES
from dragonfly.parts.images import Image, Images
from dragonfly.parts.labels import Component
from dragonfly.pods import probes
from dragonfly.pods.claim import DATA_VOLUME, asked_size, claimed_size, data_volume, keeps_its_size, volume_claim
from dragonfly.pods.config_mount import config_mount, config_volume
from dragonfly.pods.database_disk import DiskPlace
from dragonfly.pods.metrics_export import prometheus_to_sd
from dragonfly.pods.security import DATABASE_UID, EXPORTER_UID, container_security_context, secured
from dragonfly.quantity import parse_quantity
from dragonfly.settings.fault import PROJECT

_SIZE_KEY = f"{PROJECT}:redisPersistentDiskSize"
_DATA_DIRECTORY = "/data"
_CONFIG_DIRECTORY = "/etc/redis"
_CONFIG_FILE = "redis.conf"
_SECRETS_DIRECTORY = "/run/secrets/redis"
_EXPORTER_DIRECTORY = "/etc/redis-exporter"
_EXPORTER_FILE = "passwords.json"
_ADDRESS = f"redis://localhost:{ports.REDIS}"
# The rest is for clients' buffers, and for the pages that are copied while the append-only file is rewritten.
_MAXIMUM_DATA_BYTES = int(parse_quantity(RESOURCES[Image.REDIS].memory_limit) * 6 / 10)
PASSWORD_KEY = "password"  # noqa: S105 - the name of a key


@dataclass(frozen=True)
class RedisArgs:
    """What Redis needs to know.

    Args:
        instance: the instance that it belongs to.
        images: the installation's images.
        password: of the default user, secret.
        config_hash_key: key of the hash by which pods roll, secret.
        disk_size: a Kubernetes quantity.
        storage_class: of the disk.
        disk_place: where the program makes the disk; None leaves it to the StorageClass.
        metrics_exporter_enabled: export metrics to Cloud Monitoring too.
    """

    instance: Instance
    images: Images
    password: pulumi.Input[str]
    config_hash_key: pulumi.Input[str]
    disk_size: str
    storage_class: str
    disk_place: DiskPlace | None
    metrics_exporter_enabled: bool


class Redis(pulumi.ComponentResource):
    """A Redis server with one replica, its volume claim and its exporter.

    Attributes:
        before_server: what exists before the server's StatefulSet is handed to the engine.
        exporter_address: `host:port` of the exporter's Service within the cluster.
    """

    before_server: list[pulumi.Resource]
    exporter_address: pulumi.Output[str]

    def __init__(self, name: str, args: RedisArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        opts = pulumi.ResourceOptions.merge(opts, keeps_its_size(name, _SIZE_KEY))
        super().__init__("dragonfly:redis:Redis", name, asked_size(args.disk_size), opts)
        instance, names = args.instance, args.instance.names
        child = pulumi.ResourceOptions(parent=self)
        config = pulumi.Output.from_input(args.password).apply(_redis_conf)
        exporter_passwords = pulumi.Output.json_dumps({_ADDRESS: args.password})

        secret = core.Secret(
            f"{name}-secret",
            metadata=instance.metadata(names.redis_secret, Component.REDIS),
            string_data={PASSWORD_KEY: args.password},
            opts=child,
        )
        config_secret = core.Secret(
            f"{name}-config",
            metadata=instance.metadata(names.redis_config, Component.REDIS),
            string_data={_CONFIG_FILE: config, _EXPORTER_FILE: exporter_passwords},
            opts=child,
        )
        claim = volume_claim(
            name,
            instance,
            name=names.redis_claim,
            component=Component.REDIS,
            size=args.disk_size,
            size_key=_SIZE_KEY,
            storage_class=args.storage_class,
            disk_place=args.disk_place,
            parent=self,
        )
        self.before_server = [secret, config_secret, claim]
        instance.service(
            f"{name}-headless",
            name=names.redis_headless,
            component=Component.REDIS,
            ports={"redis": ports.REDIS},
            headless=True,
            parent=self,
        )
        instance.service(
            f"{name}-svc",
            name=names.redis_service,
            component=Component.REDIS,
            ports={"redis": ports.REDIS},
            # As for MySQL: one server, and its exporter must not take it away from its clients.
            publish_not_ready_addresses=True,
            parent=self,
        )
        instance.service(
            "redis-exporter-svc",
            name=names.redis_exporter_service,
            component=Component.REDIS,
            ports={"redis-exporter": ports.REDIS_EXPORTER},
            publish_not_ready_addresses=True,
            parent=self,
        )
        config_name = object_name(config_secret)
        containers = [_server(args), _exporter(args)]
        if args.metrics_exporter_enabled:
            containers.append(prometheus_to_sd("redis", ports.REDIS_EXPORTER, args.images))
        instance.stateful_set(
            name,
            name=names.redis,
            component=Component.REDIS,
            service_name=names.redis_headless,
            template=core.PodTemplateSpecArgs(
                metadata=instance.pod_metadata(Component.REDIS, document_hash(args.config_hash_key, config)),
                spec=secured(
                    core.PodSpecArgs(
                        containers=containers,
                        volumes=[
                            data_volume(claim),
                            config_volume(config_name, _CONFIG_FILE),
                            config_volume(object_name(secret), name="password"),
                            config_volume(config_name, _EXPORTER_FILE, name="exporter"),
                        ],
                    ),
                    DATABASE_UID,
                ),
            ),
            parent=self,
        )
        self.exporter_address = pulumi.Output.from_input(instance.namespace).apply(
            lambda namespace: f"{names.redis_exporter_service}.{namespace}.svc:{ports.REDIS_EXPORTER}"
        )
        self.register_outputs({"exporterAddress": self.exporter_address, **claimed_size(claim)})


def _server(args: RedisArgs) -> core.ContainerArgs:
    # The port is open while the append-only file is still being read; only a PONG says that commands are served.
    # From a file, not from the container's environment: where kubelet does not have the Secret yet, it mounts it half a
    # second later, but begins anew with a container only after 10 to 15 s (kubelet's `backOffPeriod`).
    password = f'REDISCLI_AUTH="$(cat {_SECRETS_DIRECTORY}/{PASSWORD_KEY})"'
    serves = probes.Command(("sh", "-c", f'test "$({password} redis-cli -p {ports.REDIS} ping)" = PONG'))
    return core.ContainerArgs(
        name="redis",
        image=args.images.reference(Image.REDIS),
        args=["redis-server", f"{_CONFIG_DIRECTORY}/{_CONFIG_FILE}"],
        ports=[core.ContainerPortArgs(name="redis", container_port=ports.REDIS)],
        resources=RESOURCES[Image.REDIS].requirements(),
        security_context=container_security_context(),
        startup_probe=probes.startup(serves),
        readiness_probe=probes.readiness(serves),
        liveness_probe=probes.liveness(probes.Tcp(ports.REDIS)),
        volume_mounts=[
            core.VolumeMountArgs(name=DATA_VOLUME, mount_path=_DATA_DIRECTORY),
            config_mount(_CONFIG_DIRECTORY),
            config_mount(_SECRETS_DIRECTORY, "password"),
        ],
    )


def _exporter(args: RedisArgs) -> core.ContainerArgs:
    return core.ContainerArgs(
        name="redis-exporter",
        image=args.images.reference(Image.REDIS_EXPORTER),
        env=[
            core.EnvVarArgs(name="REDIS_ADDR", value=_ADDRESS),
            core.EnvVarArgs(name="REDIS_PASSWORD_FILE", value=f"{_EXPORTER_DIRECTORY}/{_EXPORTER_FILE}"),
        ],
        ports=[core.ContainerPortArgs(name="redis-exporter", container_port=ports.REDIS_EXPORTER)],
        resources=RESOURCES[Image.REDIS_EXPORTER].requirements(),
        security_context=container_security_context(EXPORTER_UID),
        # No readiness probe: the database must not wait for its exporter.
        liveness_probe=probes.liveness(probes.Http("/", ports.REDIS_EXPORTER)),
        volume_mounts=[config_mount(_EXPORTER_DIRECTORY, "exporter")],
    )


def _redis_conf(password: str) -> str:
    return (
        f'requirepass "{password}"\n'
        f"port {ports.REDIS}\n"
        f"dir {_DATA_DIRECTORY}\n"
        # Every write is on the disk within a second; without it a restart loses what came after the last snapshot.
        "appendonly yes\n"
        "appendfsync everysec\n"
        # Beyond this, writes are refused. Without it a full queue ends at the container's limit: the kernel kills the
        # server, which reads the same data again and is killed again.
        f"maxmemory {_MAXIMUM_DATA_BYTES}\n"
        # A job that is dropped to make room would be lost without a word.
        "maxmemory-policy noeviction\n"
    )
