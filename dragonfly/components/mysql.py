"""MySQL with mysqld_exporter: the manager's database."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core import v1 as core

from dragonfly.config_files.document import document_hash
from dragonfly.instance.object_name import object_name
from dragonfly.instance.objects import Instance
from dragonfly.parts import ports
from dragonfly.parts.container_resources import RESOURCES
from dragonfly.parts.databases import DATABASE, USER
from dragonfly.parts.images import Image, Images
from dragonfly.parts.labels import Component
from dragonfly.parts.work_directories import TEMPORARY
from dragonfly.pods import probes
from dragonfly.pods.claim import DATA_VOLUME, asked_size, claimed_size, data_volume, keeps_its_size, volume_claim
from dragonfly.pods.config_mount import config_mount, config_volume
from dragonfly.pods.database_disk import DiskPlace
from dragonfly.pods.metrics_export import prometheus_to_sd
from dragonfly.pods.security import DATABASE_UID, EXPORTER_UID, container_security_context, secured
from dragonfly.settings.fault import PROJECT

EXPORTER_USER = "mysqld_exporter"

ROOT_PASSWORD_KEY = "root-password"  # noqa: S105 - the name of a key
USER_PASSWORD_KEY = "dragonfly-password"  # noqa: S105 - the name of a key
_USER_KEY = "dragonfly-user"
_DATABASE_KEY = "dragonfly-database"

_SIZE_KEY = f"{PROJECT}:dbPersistentDiskSize"
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


@dataclass(frozen=True)
class MysqlArgs:
    """What MySQL needs to know.

    Args:
        instance: the instance that it belongs to.
        images: the installation's images.
        root_password, user_password, exporter_password: secret.
        config_hash_key: key of the hash by which pods roll, secret.
        disk_size: a Kubernetes quantity.
        storage_class: of the disk.
        disk_place: where the program makes the disk; None leaves it to the StorageClass.
        metrics_exporter_enabled: export metrics to Cloud Monitoring too.
    """

    instance: Instance
    images: Images
    root_password: pulumi.Input[str]
    user_password: pulumi.Input[str]
    exporter_password: pulumi.Input[str]
    config_hash_key: pulumi.Input[str]
    disk_size: str
    storage_class: str
    disk_place: DiskPlace | None
    metrics_exporter_enabled: bool


class Mysql(pulumi.ComponentResource):
    """A MySQL server with one replica, its volume claim and its exporter.

    Attributes:
        before_server: what exists before the server's StatefulSet is handed to the engine.
        exporter_address: `host:port` of the exporter's Service within the cluster.
    """

    before_server: list[pulumi.Resource]
    exporter_address: pulumi.Output[str]

    def __init__(self, name: str, args: MysqlArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        opts = pulumi.ResourceOptions.merge(opts, keeps_its_size(name, _SIZE_KEY))
        super().__init__("dragonfly:mysql:Mysql", name, asked_size(args.disk_size), opts)
        instance, names = args.instance, args.instance.names
        child = pulumi.ResourceOptions(parent=self)
        init_sql = pulumi.Output.from_input(args.exporter_password).apply(_exporter_sql)
        exporter_config = pulumi.Output.from_input(args.exporter_password).apply(_exporter_config)

        secret = core.Secret(
            f"{name}-secret",
            metadata=instance.metadata(names.mysql_secret, Component.MYSQL),
            string_data={
                ROOT_PASSWORD_KEY: args.root_password,
                _USER_KEY: USER,
                USER_PASSWORD_KEY: args.user_password,
                _DATABASE_KEY: DATABASE,
            },
            opts=child,
        )
        exporter_secret = core.Secret(
            "mysqld-exporter-secret",
            metadata=instance.metadata(names.mysqld_exporter_secret, Component.MYSQL),
            string_data={
                "mysqld-exporter-username": EXPORTER_USER,
                "mysqld-exporter-password": args.exporter_password,
                _INIT_FILE: init_sql,
                _EXPORTER_FILE: exporter_config,
            },
            opts=child,
        )
        claim = volume_claim(
            name,
            instance,
            name=names.mysql_claim,
            component=Component.MYSQL,
            size=args.disk_size,
            size_key=_SIZE_KEY,
            storage_class=args.storage_class,
            disk_place=args.disk_place,
            parent=self,
        )
        self.before_server = [secret, exporter_secret, claim]
        instance.service(
            f"{name}-headless",
            name=names.mysql_headless,
            component=Component.MYSQL,
            ports={"mysql": ports.MYSQL},
            headless=True,
            parent=self,
        )
        instance.service(
            f"{name}-svc",
            name=names.mysql_service,
            component=Component.MYSQL,
            ports={"mysql": ports.MYSQL},
            # There is one server and nowhere else to go: a pod that is not Ready because its exporter failed still
            # has a working database, and a server that does not listen refuses by itself.
            publish_not_ready_addresses=True,
            parent=self,
        )
        instance.service(
            "mysqld-exporter-svc",
            name=names.mysqld_exporter_service,
            component=Component.MYSQL,
            ports={"mysqld-exporter": ports.MYSQLD_EXPORTER},
            publish_not_ready_addresses=True,
            parent=self,
        )
        secret_name = object_name(secret)
        exporter_secret_name = object_name(exporter_secret)
        containers = [_server(args), _exporter(args)]
        if args.metrics_exporter_enabled:
            containers.append(prometheus_to_sd("mysql", ports.MYSQLD_EXPORTER, args.images))
        instance.stateful_set(
            name,
            name=names.mysql,
            component=Component.MYSQL,
            service_name=names.mysql_headless,
            template=core.PodTemplateSpecArgs(
                metadata=instance.pod_metadata(
                    Component.MYSQL,
                    document_hash(
                        args.config_hash_key, args.root_password, args.user_password, init_sql, exporter_config
                    ),
                ),
                spec=secured(
                    core.PodSpecArgs(
                        # InnoDB writes its buffer pool back before it exits.
                        termination_grace_period_seconds=60,
                        containers=containers,
                        volumes=[
                            data_volume(claim),
                            core.VolumeArgs(name="scratch", empty_dir=core.EmptyDirVolumeSourceArgs(size_limit="2Gi")),
                            config_volume(secret_name, name="passwords"),
                            config_volume(exporter_secret_name, _INIT_FILE, name="init"),
                            config_volume(exporter_secret_name, _EXPORTER_FILE),
                        ],
                    ),
                    DATABASE_UID,
                ),
            ),
            parent=self,
        )
        self.exporter_address = pulumi.Output.from_input(instance.namespace).apply(
            lambda namespace: f"{names.mysqld_exporter_service}.{namespace}.svc:{ports.MYSQLD_EXPORTER}"
        )
        self.register_outputs({"exporterAddress": self.exporter_address, **claimed_size(claim)})


def _server(args: MysqlArgs) -> core.ContainerArgs:
    check = probes.Tcp(ports.MYSQL)
    return core.ContainerArgs(
        name="mysql",
        image=args.images.reference(Image.MYSQL),
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


def _exporter(args: MysqlArgs) -> core.ContainerArgs:
    return core.ContainerArgs(
        name="mysqld-exporter",
        image=args.images.reference(Image.MYSQLD_EXPORTER),
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
    """What the image runs once, on an empty data directory."""
    user = f"'{EXPORTER_USER}'@'127.0.0.1'"
    return (
        f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{password}' WITH MAX_USER_CONNECTIONS 3;\n"
        f"GRANT PROCESS, REPLICATION CLIENT ON *.* TO {user};\n"
        # Not on every schema, as the chart grants it: the exporter could read the password hashes of the console.
        f"GRANT SELECT ON performance_schema.* TO {user};\n"
    )


def _exporter_config(password: str) -> str:
    return f"[client]\nhost=127.0.0.1\nport={ports.MYSQL}\nuser={EXPORTER_USER}\npassword={password}\n"
