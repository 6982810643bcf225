"""One Dragonfly installation: every component, composed into one namespace."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi_gcp import compute
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from dragonfly.access.existing_cluster import existing_cluster_access
from dragonfly.components.application import Application, ApplicationArgs
from dragonfly.components.manager import Manager, ManagerArgs
from dragonfly.components.mysql import Mysql, MysqlArgs
from dragonfly.components.network_policies import NetworkPolicies, NetworkPoliciesArgs
from dragonfly.components.node_mirrors import NodeMirrors
from dragonfly.components.peer import Peer, PeerArgs
from dragonfly.components.prometheus import Prometheus, PrometheusArgs
from dragonfly.components.redis import Redis, RedisArgs
from dragonfly.components.scheduler import Scheduler, SchedulerArgs
from dragonfly.components.seed_peer import SeedPeer, SeedPeerArgs
from dragonfly.gke.provisioned_cluster import ProvisionedCluster
from dragonfly.gke.upgrade_snapshot import upgrade_snapshots
from dragonfly.instance.credentials import Credentials, CredentialsArgs
from dragonfly.instance.object_name import object_name
from dragonfly.instance.objects import PATCH_FORCE, Instance
from dragonfly.monitoring.metrics import Monitoring
from dragonfly.parts.console import CONSOLE_URL, port_forward_command
from dragonfly.parts.images import Image
from dragonfly.parts.labels import instance_labels
from dragonfly.parts.registry_mirrors import registry_mirror
from dragonfly.pods.security import POD_SECURITY
from dragonfly.pods.stateless_objects import deleted_with
from dragonfly.settings.model import Settings
from dragonfly.updates.created_namespace import CreatedNamespace
from dragonfly.updates.existing_object import stack_mark, takes_nothing_over
from dragonfly.updates.immutable_config import KeptConfig
from dragonfly.updates.line_change import LineChange
from dragonfly.updates.served_kind import has_kind

_MANAGER = "manager"


class Dragonfly(pulumi.ComponentResource):
    """Everything that runs in the cluster. All of it is applied at once; what needs another waits inside its pod.

    Attributes:
        namespace: name of the namespace.
        credentials: the installation's passwords.
        console_url: where the console answers while the port forwarding runs.
        port_forward_command: makes the console reachable from a workstation.
        mysqld_exporter_address, redis_exporter_address: `host:port` within the cluster, for Prometheus.
        images: image reference of each container, by its config key.
        upgrade_snapshots: of MySQL's disk, the newest last.
    """

    namespace: pulumi.Output[str]
    credentials: Credentials
    console_url: str
    port_forward_command: pulumi.Output[str]
    mysqld_exporter_address: pulumi.Output[str]
    redis_exporter_address: pulumi.Output[str]
    images: dict[str, str]
    upgrade_snapshots: list[compute.Snapshot]

    def __init__(
        self,
        name: str,
        settings: Settings,
        kept: KeptConfig,
        cluster: ProvisionedCluster | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the installation.

        Args:
            name: Pulumi's name of it.
            settings: what the stack decides.
            kept: what of it an installed stack keeps.
            cluster: the cluster, where it is made and destroyed with the stack.
            opts: the Kubernetes provider.
        """
        access = cluster.access if cluster else existing_cluster_access(settings)
        if cluster:
            with_disk = (Mysql, Redis, *([SeedPeer] if settings.seed_peer_cache_size else []))
            ends_with_cluster = [deleted_with(cluster.resource, with_disk)]
            opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(transformations=ends_with_cluster))
        super().__init__("dragonfly:release:Dragonfly", name, kept.accepted, opts)
        disk_place = cluster.disk_place if cluster else None
        child = pulumi.ResourceOptions(parent=self)
        names, images = settings.names, settings.images

        self.credentials = Credentials(
            "credentials",
            CredentialsArgs(
                db_root_password=settings.db_root_password,
                db_user_password=settings.db_user_password,
                db_exporter_password=settings.db_exporter_password,
                redis_password=settings.redis_password,
            ),
            child,
        )
        config_hash_key = self.credentials.config_hash_key
        if cluster is None:
            child = pulumi.ResourceOptions.merge(child, takes_nothing_over(access, stack_mark(config_hash_key)))
        self.namespace = self._namespace(settings, child)
        seconds = settings.ready_timeout_seconds
        line_change = LineChange(names, self.namespace, access, seconds, settings.allow_downgrade)
        instance = Instance(
            names,
            self.namespace,
            seconds,
            access,
            settings.line,
            images,
            settings.image_pull_secrets,
            config_hash_key,
            line_change,
        )
        self.console_url = CONSOLE_URL
        self.port_forward_command = self.namespace.apply(
            lambda namespace: port_forward_command(namespace, names, access.context)
        )
        # No pod is there before the policies that are about it, nor after them.
        policies = self._network_policies(settings, instance, child)
        mysql = Mysql(
            "mysql",
            MysqlArgs(
                instance=instance,
                after=policies,
                root_password=self.credentials.db_root_password,
                user_password=self.credentials.db_user_password,
                exporter_password=self.credentials.db_exporter_password,
                disk_size=settings.db_persistent_disk_size,
                storage_class=settings.default_storage_class,
                disk_place=disk_place,
                metrics_exporter_enabled=settings.metrics_exporter_enabled,
            ),
            child,
        )
        redis = Redis(
            "redis",
            RedisArgs(
                instance=instance,
                after=policies,
                password=self.credentials.redis_password,
                disk_size=settings.redis_persistent_disk_size,
                storage_class=settings.default_storage_class,
                disk_place=disk_place,
                metrics_exporter_enabled=settings.metrics_exporter_enabled,
            ),
            child,
        )
        # The engine runs four operations per CPU at once, and awaits workloads while it does. With one CPU, four that
        # wait for the databases would take every place before the databases have theirs, until all time out.
        after_databases = [*mysql.before_server, *redis.before_server]
        self.upgrade_snapshots = []
        if cluster:
            after_disk = pulumi.ResourceOptions(parent=mysql, depends_on=after_databases)
            manager = (Manager.pulumi_type, _MANAGER)
            self.upgrade_snapshots = upgrade_snapshots(settings, cluster, manager, after_disk)
        before_programs = [*policies, *after_databases, *self.upgrade_snapshots]
        Manager(
            _MANAGER,
            ManagerArgs(
                instance=instance,
                mysql_password=self.credentials.db_user_password,
                redis_password=self.credentials.redis_password,
                token_key=self.credentials.token_key,
                root_password=self.credentials.console_root_password,
                after=before_programs,
            ),
            child,
        )
        Scheduler(
            "scheduler",
            SchedulerArgs(
                instance=instance,
                redis_password=self.credentials.redis_password,
                after=before_programs,
            ),
            child,
        )
        SeedPeer(
            "seed-peer",
            SeedPeerArgs(
                instance=instance,
                after=before_programs,
                cache_size=settings.seed_peer_cache_size,
                storage_class=settings.default_storage_class,
                disk_place=disk_place,
            ),
            child,
        )
        Peer(
            "dfget",
            PeerArgs(
                instance=instance,
                ports=settings.peer_ports,
                priority_class=settings.peer_priority_class,
                # Who may install into an existing cluster need not have rights on the whole of it.
                makes_priority_class=cluster is not None,
                after=before_programs,
                node_mirrors=None if cluster else _node_mirrors(settings),
            ),
            child,
        )
        Application(
            "application",
            ApplicationArgs(
                instance=instance,
                version=settings.tag,
                install_crd=settings.install_application_crd,
                # Whoever reads it in the cluster has contexts of their own.
                port_forward_command=self.namespace.apply(lambda found: port_forward_command(found, names, None)),
                console_url=self.console_url,
            ),
            child,
        )
        if settings.monitored_by is not Monitoring.NONE:
            # In an existing cluster the kind is looked for by whoever looks for objects that are there already.
            comes = settings.monitored_by is Monitoring.MANAGED
            first = has_kind(access, line_change.failed, comes=comes) if cluster else None
            prometheus = PrometheusArgs(instance, settings.monitored_by, settings.monitoring_labels, first)
            Prometheus("prometheus", prometheus, child)
        self.mysqld_exporter_address = mysql.exporter_address
        self.redis_exporter_address = redis.exporter_address
        self.images = {
            image.value: images.reference(image)
            for image in Image
            if image is not Image.METRICS_EXPORTER or settings.metrics_exporter_enabled
        }
        self.register_outputs({"namespace": self.namespace, "images": self.images})

    def _network_policies(
        self, settings: Settings, instance: Instance, child: pulumi.ResourceOptions
    ) -> Sequence[pulumi.Resource]:
        if not settings.network_policies:
            return []
        args = NetworkPoliciesArgs(
            instance=instance,
            peer_ports=settings.peer_ports,
            console_from=settings.console_from,
            metrics_from=settings.metrics_namespaces,
            registries_in=settings.registries_in,
            registry_ports=settings.all_registry_ports,
            metrics_exporter_enabled=settings.metrics_exporter_enabled,
        )
        return NetworkPolicies("network-policies", args, child).policies

    def _namespace(self, settings: Settings, child: pulumi.ResourceOptions) -> pulumi.Output[str]:
        created = None
        if settings.namespace_is_created:
            namespace = core.Namespace(
                "namespace",
                metadata=meta.ObjectMetaArgs(
                    name=settings.namespace,
                    labels={**instance_labels(settings.app_instance_name), **POD_SECURITY},
                    annotations=PATCH_FORCE,
                ),
                opts=child,
            )
            # The name known only once the namespace exists: everything in it waits for it, and goes before it.
            created = object_name(namespace)
        CreatedNamespace("created-namespace", created, child)
        return pulumi.Output.from_input(settings.namespace) if created is None else created


def _node_mirrors(settings: Settings) -> NodeMirrors | None:
    if not settings.registry_mirrors:
        return None
    mirrors = [registry_mirror(registry) for registry in settings.registry_mirrors]
    return NodeMirrors(mirrors, settings.proxy_port, settings.registry_config_path)
