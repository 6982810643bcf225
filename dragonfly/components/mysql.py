"""MySQL with mysqld_exporter: the manager's database."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core import v1 as core

from dragonfly.instance.object_name import object_name
from dragonfly.parts import ports
from dragonfly.parts.container_resources import RESOURCES
from dragonfly.parts.databases import DATABASE, USER
from dragonfly.parts.images import Image, Images
from dragonfly.parts.labels import Component
from dragonfly.parts.work_directories import TEMPORARY
from dragonfly.pods import probes
from dragonfly.pods.claim import DATA_VOLUME
from dragonfly.pods.config_mount import config_mount, config_volume
from dragonfly.pods.database import Database, DatabaseArgs, DatabaseNames, DatabasePod
from dragonfly.pods.security import EXPORTER_UID, container_security_context
from dragonfly.settings.fault import PROJECT

EXPORTER_USER = "mysqld_exporter"

ROOT_PASSWORD_KEY = "root-password"  # noqa: S105 - the name of a key
USER_PASSWORD_KEY = "dragonfly-password"  # noqa: S105 - the name of a key
_USER_KEY = "dragonfly-user"
_DATABASE_KEY = "dragonfly-database"

_DATA_DIRECTORY = "/var/lib/mysql"
# Below the volume's root, which a new disk's lost+found makes look like a data directory in use.
_DATA_SUBDIRECTORY = "mysql"
_INIT_DIRECTORY = "/docker-entrypoint-initdb.d"
_INIT_FILE = "mysqld_exporter.sql"
_SECRETS_DIRECTORY = "/run/secrets/mysql"
_EXPORTER_DIRECTORY = "/etc/mysqld-exporter"
_EXPORTER_FILE = "my.cnf"
# What the image's entrypoint and the server write to besides the data.
_SCRATCH_DIRECTORIES = {"run": "/var/run/mysqld", "tmp": TEMPORARY}


@dataclass(frozen=True, kw_only=True)
class MysqlArgs(DatabaseArgs):
    """What MySQL needs to know.

    Args:
        root_password, user_password, exporter_password: secret.
    """

    root_password: pulumi.Input[str]
    user_password: pulumi.Input[str]
    exporter_password: pulumi.Input[str]


class Mysql(Database):
    """A MySQL server with one replica, its volume claim and its exporter."""

    pulumi_type = "dragonfly:mysql:Mysql"
    component = Component.MYSQL
    size_key = f"{PROJECT}:dbPersistentDiskSize"
    port = ("mysql", ports.MYSQL)
    exporter_port = ("mysqld-exporter", ports.MYSQLD_EXPORTER)

    def __init__(self, name: str, args: MysqlArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args, opts)
        names = args.instance.names
        init_sql = pulumi.Output.from_input(args.exporter_password).apply(_exporter_sql)
        exporter_config = pulumi.Output.from_input(args.exporter_password).apply(_exporter_config)
        secret = self.secret(
            f"{name}-secret",
            names.mysql_secret,
            {
                ROOT_PASSWORD_KEY: args.root_password,
                _USER_KEY: USER,
                USER_PASSWORD_KEY: args.user_password,
                _DATABASE_KEY: DATABASE,
            },
        )
        exporter_secret = self.secret(
            "mysqld-exporter-secret",
            names.mysqld_exporter_secret,
            {
                "mysqld-exporter-username": EXPORTER_USER,
                "mysqld-exporter-password": args.exporter_password,
                _INIT_FILE: init_sql,
                _EXPORTER_FILE: exporter_config,
            },
        )
        exporter_secret_name = object_name(exporter_secret)
        pod = DatabasePod(
            _server(args.instance.images),
            _exporter(args.instance.images),
            volumes=[
                core.VolumeArgs(name="scratch", empty_dir=core.EmptyDirVolumeSourceArgs(size_limit="2Gi")),
                config_volume(object_name(secret), name="passwords"),
                config_volume(exporter_secret_name, _INIT_FILE, name="init"),
                config_volume(exporter_secret_name, _EXPORTER_FILE),
            ],
            configuration=[args.root_password, args.user_password, init_sql, exporter_config],
            # InnoDB writes its buffer pool back before it exits.
            grace_seconds=60,
        )
        called = DatabaseNames(
            names.mysql, names.mysql_service, names.mysql_headless, names.mysqld_exporter_service, names.mysql_claim
        )
        self.declare(called, [secret, exporter_secret], pod)


def _server(images: Images) -> core.ContainerArgs:
    check = probes.Tcp(ports.MYSQL)
    return core.ContainerArgs(
        name="mysql",
        image=images.reference(Image.MYSQL),
        args=[
            "mysqld",
            # A client's reverse DNS name plays no part in who may sign in, and looking it up delays each connection.
            "--skip-name-resolve",
            # The server blocks a host after a hundred connections that end before the handshake, and that is what
            # kubelet's probe and every waiting client do.
            "--host-cache-size=0",
        ],
        env=[
            # Files, not values: an environment variable shows in the pod's spec and in every child process.
            core.EnvVarArgs(name="MYSQL_ROOT_PASSWORD_FILE", value=f"{_SECRETS_DIRECTORY}/{ROOT_PASSWORD_KEY}"),
            core.EnvVarArgs(name="MYSQL_DATABASE_FILE", value=f"{_SECRETS_DIRECTORY}/{_DATABASE_KEY}"),
            core.EnvVarArgs(name="MYSQL_USER_FILE", value=f"{_SECRETS_DIRECTORY}/{_USER_KEY}"),
            core.EnvVarArgs(name="MYSQL_PASSWORD_FILE", value=f"{_SECRETS_DIRECTORY}/{USER_PASSWORD_KEY}"),
            # The time zone tables take seconds to load at the first start; the manager uses none of them.
            core.EnvVarArgs(name="MYSQL_INITDB_SKIP_TZINFO", value="1"),
        ],
        ports=[core.ContainerPortArgs(name="mysql", container_port=ports.MYSQL)],
        resources=RESOURCES[Image.MYSQL].requirements(),
        security_context=container_security_context(),
        startup_probe=probes.startup(check),
        readiness_probe=probes.readiness(check),
        liveness_probe=probes.liveness(check),
        volume_mounts=[
            core.VolumeMountArgs(name=DATA_VOLUME, mount_path=_DATA_DIRECTORY, sub_path=_DATA_SUBDIRECTORY),
            *(
                core.VolumeMountArgs(name="scratch", mount_path=path, sub_path=directory)
                for directory, path in _SCRATCH_DIRECTORIES.items()
            ),
            config_mount(_SECRETS_DIRECTORY, "passwords"),
            config_mount(_INIT_DIRECTORY, "init"),
        ],
    )


def _exporter(images: Images) -> core.ContainerArgs:
    return core.ContainerArgs(
        name="mysqld-exporter",
        image=images.reference(Image.MYSQLD_EXPORTER),
        # The one way that both 0.14 and later versions of the exporter understand; no password in the pod's spec.
        args=[f"--config.my-cnf={_EXPORTER_DIRECTORY}/{_EXPORTER_FILE}"],
        ports=[core.ContainerPortArgs(name="mysqld-exporter", container_port=ports.MYSQLD_EXPORTER)],
        resources=RESOURCES[Image.MYSQLD_EXPORTER].requirements(),
        security_context=container_security_context(EXPORTER_UID),
        # No readiness probe: the database must not wait for its exporter.
        liveness_probe=probes.liveness(probes.Http("/", ports.MYSQLD_EXPORTER)),
        volume_mounts=[config_mount(_EXPORTER_DIRECTORY)],
    )


def _exporter_sql(password: str) -> str:
    """Return what the image runs once, on an empty data directory."""
    user = f"'{EXPORTER_USER}'@'127.0.0.1'"
    return (
        f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{password}' WITH MAX_USER_CONNECTIONS 3;\n"
        f"GRANT PROCESS, REPLICATION CLIENT ON *.* TO {user};\n"
        # Not on every schema, as the chart grants it: the exporter could read the password hashes of the console.
        f"GRANT SELECT ON performance_schema.* TO {user};\n"
    )


def _exporter_config(password: str) -> str:
    return f"[client]\nhost=127.0.0.1\nport={ports.MYSQL}\nuser={EXPORTER_USER}\npassword={password}\n"
