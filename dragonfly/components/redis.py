"""Redis with redis_exporter: the cache of the manager and the job queue of manager and scheduler."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core import v1 as core

from dragonfly.instance.object_name import object_name
from dragonfly.parts import ports
from dragonfly.parts.container_resources import RESOURCES
from dragonfly.parts.images import Image, Images
from dragonfly.parts.labels import Component
from dragonfly.pods import probes
from dragonfly.pods.claim import DATA_VOLUME
from dragonfly.pods.config_mount import config_mount, config_volume
from dragonfly.pods.database import Database, DatabaseArgs, DatabaseNames, DatabasePod
from dragonfly.pods.security import EXPORTER_UID, container_security_context
from dragonfly.quantity import parse_quantity
from dragonfly.settings.fault import PROJECT

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


@dataclass(frozen=True, kw_only=True)
class RedisArgs(DatabaseArgs):
    """What Redis needs to know.

    Args:
        password: of the default user, secret.
    """

    password: pulumi.Input[str]


class Redis(Database):
    """A Redis server with one replica, its volume claim and its exporter."""

    pulumi_type = "dragonfly:redis:Redis"
    component = Component.REDIS
    size_key = f"{PROJECT}:redisPersistentDiskSize"
    port = ("redis", ports.REDIS)
    exporter_port = ("redis-exporter", ports.REDIS_EXPORTER)

    def __init__(self, name: str, args: RedisArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args, opts)
        names = args.instance.names
        config = pulumi.Output.from_input(args.password).apply(_redis_conf)
        exporter_passwords = pulumi.Output.json_dumps({_ADDRESS: args.password})
        secret = self.secret(f"{name}-secret", names.redis_secret, {PASSWORD_KEY: args.password})
        config_secret = self.secret(
            f"{name}-config", names.redis_config, {_CONFIG_FILE: config, _EXPORTER_FILE: exporter_passwords}
        )
        config_name = object_name(config_secret)
        pod = DatabasePod(
            _server(args.instance.images),
            _exporter(args.instance.images),
            volumes=[
                config_volume(config_name, _CONFIG_FILE),
                config_volume(object_name(secret), name="password"),
                config_volume(config_name, _EXPORTER_FILE, name="exporter"),
            ],
            configuration=[config],
        )
        called = DatabaseNames(
            names.redis, names.redis_service, names.redis_headless, names.redis_exporter_service, names.redis_claim
        )
        self.declare(called, [secret, config_secret], pod)


def _server(images: Images) -> core.ContainerArgs:
    # The port is open while the append-only file is still being read; only a PONG says that commands are served.
    # From a file, not from the container's environment: where kubelet does not have the Secret yet, it mounts it half a
    # second later, but begins anew with a container only after 10 to 15 s (kubelet's `backOffPeriod`).
    password = f'REDISCLI_AUTH="$(cat {_SECRETS_DIRECTORY}/{PASSWORD_KEY})"'
    serves = probes.Command(("sh", "-c", f'test "$({password} redis-cli -p {ports.REDIS} ping)" = PONG'))
    return core.ContainerArgs(
        name="redis",
        image=images.reference(Image.REDIS),
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


def _exporter(images: Images) -> core.ContainerArgs:
    return core.ContainerArgs(
        name="redis-exporter",
        image=images.reference(Image.REDIS_EXPORTER),
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
