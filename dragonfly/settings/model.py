"""The keys of a stack's config, their types and defaults, as one frozen, validated value."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic.alias_generators import to_camel

from dragonfly.google.registries import google_registries
from dragonfly.lines.known_lines import images_of, line_of
from dragonfly.lines.release_line import ReleaseLine
from dragonfly.monitoring.metrics import MANAGED_COLLECTORS, Monitoring
from dragonfly.parts.images import Image, Images
from dragonfly.parts.names import Names
from dragonfly.parts.ports import PeerPorts
from dragonfly.parts.registry_mirrors import DEFAULT_REGISTRIES, registry_port
from dragonfly.parts.traffic import REGISTRY_PORTS
from dragonfly.settings import value_rules as rules
from dragonfly.settings.fault import rule_broken

NodeCount = Annotated[int, rules.NUMBER_OF_NODES]
DiskSize = Annotated[str, rules.DISK_SIZE]
Password = Annotated[SecretStr, rules.PASSWORD]
PeerPort = Annotated[int, rules.UNPRIVILEGED_PORT, rules.NO_EPHEMERAL_PORT]
IPv4Networks = Annotated[list[Annotated[str, rules.IPV4_NETWORK]], rules.NOT_TOO_MANY_NETWORKS]
Namespaces = Annotated[list[Annotated[str, rules.DNS_1123_LABEL]], rules.NO_ENTRY_TWICE]
PullSecrets = Annotated[list[Annotated[str, rules.OBJECT_NAME]], rules.NO_ENTRY_TWICE]
Registries = Annotated[list[Annotated[str, rules.REGISTRY]], rules.REGISTRY_LIST]
RegistryPorts = Annotated[list[Annotated[int, rules.PORT]], rules.NO_ENTRY_TWICE]
ObjectLabels = dict[Annotated[str, rules.LABEL_KEY], Annotated[str, rules.LABEL_VALUE]]
NotificationChannels = Annotated[
    list[Annotated[str, rules.NOTIFICATION_CHANNEL]], rules.NO_ENTRY_TWICE, rules.NOT_TOO_MANY_CHANNELS
]
# Strict validation takes members of an enumeration, not their values.
ImageReferences = dict[Annotated[Image, Field(strict=False)], Annotated[str, rules.IMAGE_REFERENCE]]


class NodeAutoscaling(BaseModel):
    """How many nodes the autoscaler may have in each zone of the cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    min: Annotated[NodeCount, Field(strict=True)]
    max: Annotated[NodeCount, Field(strict=True)]

    @model_validator(mode="after")
    def _min_is_not_above_max(self) -> NodeAutoscaling:
        if self.min > self.max:
            raise rule_broken("has a min above its max")
        return self


class MaintenanceWindow(BaseModel):
    """When Google may upgrade control plane and nodes, each day."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    start: Annotated[str, Field(strict=True), rules.TIME_OF_DAY] = "03:00"
    hours: Annotated[int, Field(strict=True), rules.MAINTENANCE_HOURS] = 4


class Settings(BaseModel):
    """Everything that a stack decides. Field names are the config keys in snake case, in the namespace `dragonfly`.

    The defaults stand in `Pulumi.yaml` too, where `pulumi config` shows them; a test compares the two.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        # Without this an error would carry the value that was found, secrets included.
        hide_input_in_errors=True,
    )

    provision_cluster: bool = True
    cluster_name: Annotated[str, rules.CLUSTER_NAME] = "dragonfly-cluster"
    cluster_location: Annotated[str, rules.CLUSTER_LOCATION] | None = None
    network: Annotated[str, rules.NETWORK] | None = None
    subnetwork: Annotated[str, rules.SUBNETWORK] | None = None
    authorized_networks: Annotated[IPv4Networks, Field(default_factory=list)]
    dns_endpoint: bool = False
    node_machine_type: Annotated[str, rules.MACHINE_TYPE] = "e2-standard-4"
    node_count: NodeCount = 3
    node_autoscaling: NodeAutoscaling | None = None
    maintenance_window: Annotated[MaintenanceWindow, Field(default_factory=MaintenanceWindow)]
    node_disk_size: Annotated[str, rules.NODE_DISK_SIZE] = "100Gi"
    spot: bool = False
    registry_mirrors: Annotated[Registries, Field(default_factory=lambda: list(DEFAULT_REGISTRIES))]
    mirror_private_registries: bool = False
    registry_config_path: Annotated[str, rules.REGISTRY_CONFIG_PATH] = "/etc/containerd/certs.d"
    deletion_protection: bool = True
    network_policies: bool = True
    console_from: Annotated[Namespaces, Field(default_factory=list)]
    metrics_from: Annotated[Namespaces, Field(default_factory=lambda: [MANAGED_COLLECTORS])]
    registries_in: Annotated[Namespaces, Field(default_factory=list)]
    registry_ports: Annotated[RegistryPorts, Field(default_factory=list)]
    kubeconfig: Annotated[SecretStr, rules.KUBECONFIG] | None = None
    kube_context: str | None = None
    app_instance_name: Annotated[str, rules.DNS_1035_LABEL, rules.SHORT_ENOUGH_FOR_ALL_NAMES] = "dragonfly-1"
    namespace: Annotated[str, rules.DNS_1123_LABEL, rules.NOT_OF_KUBERNETES] = "default"
    create_namespace: bool = True
    default_storage_class: Annotated[str, rules.STORAGE_CLASS] = "standard"
    db_persistent_disk_size: DiskSize = "8Gi"
    redis_persistent_disk_size: DiskSize = "5Gi"
    seed_peer_cache_size: Annotated[str, rules.CACHE_SIZE] | None = None
    metrics_exporter_enabled: bool = False
    monitoring: Annotated[str, rules.MONITORING] | None = None
    monitoring_labels: Annotated[ObjectLabels, Field(default_factory=dict)]
    notification_channels: Annotated[NotificationChannels, Field(default_factory=list)]
    tag: Annotated[str, rules.IMAGE_TAG, rules.RELEASE] = "2.1.34"
    client_tag: Annotated[str, rules.IMAGE_TAG, rules.CLIENT_RELEASE] = "1.4.3"
    allow_downgrade: bool = False
    keep_upgrade_snapshot: bool = False
    image_registry: Annotated[str, rules.IMAGE_REGISTRY] | None = None
    image_pull_secrets: Annotated[PullSecrets, Field(default_factory=list)]
    image_overrides: Annotated[ImageReferences, Field(alias="images", default_factory=dict)]
    db_user_password: Password | None = None
    db_root_password: Password | None = None
    db_exporter_password: Password | None = None
    redis_password: Password | None = None
    peer_port: PeerPort = 65000
    proxy_port: PeerPort = 65001
    upload_port: PeerPort = 65002
    peer_health_port: PeerPort = 65003
    peer_metrics_port: PeerPort = 65004
    peer_stats_port: PeerPort = 65005
    peer_quic_port: PeerPort = 65006
    peer_priority_class: Annotated[str, rules.OBJECT_NAME] | None = None
    install_application_crd: bool = True
    ready_timeout_seconds: Annotated[int, rules.READY_SECONDS] = 600

    @property
    def names(self) -> Names:
        """Names of the instance's objects."""
        return Names(self.app_instance_name)

    @property
    def images(self) -> Images:
        """Image references of the instance's containers."""
        return images_of(self.image_registry, self.tag, self.client_tag, self.image_overrides)

    @property
    def line(self) -> ReleaseLine:
        """The release line of Dragonfly."""
        return line_of(self.tag)

    @property
    def peer_ports(self) -> PeerPorts:
        """What a peer listens on."""
        return PeerPorts(
            grpc=self.peer_port,
            proxy=self.proxy_port,
            upload=self.upload_port,
            health=self.peer_health_port,
            metrics=self.peer_metrics_port,
            stats=self.peer_stats_port,
            quic=self.peer_quic_port,
        )

    @property
    def all_registry_ports(self) -> tuple[int, ...]:
        """Where any registry listens: those of mirrors that are named with a port stand in their names."""
        named = filter(None, map(registry_port, self.registry_mirrors))
        return tuple(dict.fromkeys([*REGISTRY_PORTS, *named, *self.registry_ports]))

    def mirrored_registries(self, region: str) -> list[str]:
        """Return whose images the nodes of a GKE cluster fetch through their peers.

        Args:
            region: the cluster's.
        """
        # Whoever knows a layer's digest gets it from a peer, and from the scheduler the credentials of its last pull.
        private = google_registries(region) if self.mirror_private_registries else []
        return list(dict.fromkeys([*self.registry_mirrors, *private]))

    @property
    def monitored_by(self) -> Monitoring:
        """Who reads the metrics."""
        if self.monitoring is not None:
            return Monitoring(self.monitoring)
        return Monitoring.MANAGED if self.provision_cluster else Monitoring.NONE

    @property
    def has_alert_policies(self) -> bool:
        """Whether Google Cloud tells of what is wrong."""
        return self.provision_cluster and self.monitored_by is Monitoring.MANAGED

    @property
    def metrics_namespaces(self) -> list[str]:
        """Namespaces whose pods may read the metrics."""
        collectors = [MANAGED_COLLECTORS] if self.monitored_by is Monitoring.MANAGED else []
        return list(dict.fromkeys([*self.metrics_from, *collectors]))

    @property
    def namespace_is_created(self) -> bool:
        """Whether the program makes the namespace; `default` exists in every cluster and cannot be deleted."""
        return self.create_namespace and self.namespace != "default"
