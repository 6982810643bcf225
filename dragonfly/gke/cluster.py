"""A GKE cluster for Dragonfly: network, service account, control plane, nodes and the way to reach it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_gcp import compute, container, organizations, projects

from dragonfly.access.cluster_access import ClusterAccess
from dragonfly.access.provider import kubernetes_provider
from dragonfly.gke.apis import enabled_apis
from dragonfly.gke.cloud_monitoring import monitored_components
from dragonfly.gke.containerd_config import registry_host
from dragonfly.gke.kubeconfig import gke_kubeconfig
from dragonfly.gke.network import existing_network, own_network
from dragonfly.gke.node_account import node_account
from dragonfly.gke.node_pool import OAUTH_SCOPES, node_pool
from dragonfly.gke.peer_firewall import ANYWHERE, peer_firewall
from dragonfly.gke.provisioned_cluster import ProvisionedCluster
from dragonfly.google.cluster_version import RELEASE_CHANNEL, check_mirror_support, version_with_mirrors
from dragonfly.google.location import GoogleLocation, is_zone, node_zones, stack_location
from dragonfly.parts.registry_mirrors import registry_mirror
from dragonfly.pods.disk import DiskPlace
from dragonfly.quantity import whole_gibibytes
from dragonfly.settings.fault import PROJECT
from dragonfly.settings.model import MaintenanceWindow, Settings
from dragonfly.updates.immutable_config import KeptConfig

# The default pool lives for a minute: GKE makes no cluster without one.
_DEFAULT_POOL_NODES = 1
_DEFAULT_POOL_DISK_GIB = 20


class GkeCluster(pulumi.ComponentResource):
    """A cluster with private nodes in a network of its own, or in one that the stack names.

    Attributes:
        provider: makes the objects in it.
        kubeconfig: YAML without a credential, secret.
        get_credentials_command: gives kubectl the same access.
        provisioned: what the installation needs to know about it.
    """

    provider: kubernetes.Provider
    kubeconfig: pulumi.Output[str]
    get_credentials_command: str
    provisioned: ProvisionedCluster

    def __init__(
        self, name: str, settings: Settings, kept: KeptConfig, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dragonfly:gke:GkeCluster", name, kept.accepted, opts)
        location = stack_location(settings.cluster_location)
        self._console_path = f"{location.cluster_location}/{settings.cluster_name}"
        child = pulumi.ResourceOptions(parent=self)
        apis = enabled_apis(location.project, self)
        if settings.network and settings.subnetwork:
            network = existing_network(settings.network, settings.subnetwork, location.project)
        else:
            network = own_network(settings.cluster_name, location, depends_on=[apis["compute"]], parent=self)
        account = node_account(
            settings.cluster_name,
            location.project,
            depends_on=[apis["iam"], apis["cloudresourcemanager"]],
            parent=self,
        )

        cluster = container.Cluster(
            "cluster",
            name=settings.cluster_name,
            project=location.project,
            location=location.cluster_location,
            min_master_version=self._first_version(settings, location, apis["container"]),
            # New versions come by themselves, after weeks in the rapid channel: what is never upgraded keeps every
            # hole that was found since.
            release_channel=container.ClusterReleaseChannelArgs(channel=RELEASE_CHANNEL),
            # A pool that belongs to the cluster cannot be changed without replacing the cluster.
            remove_default_node_pool=True,
            initial_node_count=_DEFAULT_POOL_NODES,
            node_config=container.ClusterNodeConfigArgs(
                # Even for its one minute the default pool must not run as the account that may edit the project.
                service_account=account.email,
                oauth_scopes=OAUTH_SCOPES,
                disk_size_gb=_DEFAULT_POOL_DISK_GIB,
                # Organizations forbid machines that boot anything.
                shielded_instance_config=container.ClusterNodeConfigShieldedInstanceConfigArgs(
                    enable_secure_boot=True, enable_integrity_monitoring=True
                ),
            ),
            network=network.network,
            subnetwork=network.subnetwork,
            # Pods have addresses of the network, by which the peers' firewall rule knows them; private nodes need it.
            networking_mode="VPC_NATIVE",
            # Where the own network has room for them; GKE finds it by itself in an existing one.
            ip_allocation_policy=container.ClusterIpAllocationPolicyArgs(
                cluster_secondary_range_name=network.pod_range, services_secondary_range_name=network.service_range
            ),
            # Any other takes network policies and does not enforce them: every pod would reach the databases.
            datapath_provider="ADVANCED_DATAPATH",
            private_cluster_config=container.ClusterPrivateClusterConfigArgs(
                # A node with a public address can be attacked from anywhere.
                enable_private_nodes=True,
                # `pulumi up` runs outside of the network; `authorizedNetworks` says from where.
                enable_private_endpoint=False,
            ),
            # A stolen Google credential then works from these networks alone.
            master_authorized_networks_config=_authorized_networks(settings),
            control_plane_endpoints_config=container.ClusterControlPlaneEndpointsConfigArgs(
                # Otherwise a stolen credential works from anywhere: no list of networks holds for the name. What is
                # left out stays as it was.
                dns_endpoint_config=container.ClusterControlPlaneEndpointsConfigDnsEndpointConfigArgs(
                    allow_external_traffic=settings.dns_endpoint
                )
            ),
            # A machine that joins as a node must prove that it is one of ours, booted from what Google signed.
            enable_shielded_nodes=True,
            workload_identity_config=container.ClusterWorkloadIdentityConfigArgs(
                # A pod gets credentials of its own or none; otherwise it would have the node's.
                workload_pool=_workload_pool(location),
            ),
            # A client certificate cannot be taken back once it has leaked.
            master_auth=container.ClusterMasterAuthArgs(
                client_certificate_config=container.ClusterMasterAuthClientCertificateConfigArgs(
                    issue_client_certificate=False
                )
            ),
            # The rules from before RBAC would let every service account do everything.
            enable_legacy_abac=False,
            # Who did what must still be known when the node or the pod that did it is gone.
            logging_config=container.ClusterLoggingConfigArgs(enable_components=["SYSTEM_COMPONENTS", "WORKLOADS"]),
            monitoring_config=container.ClusterMonitoringConfigArgs(
                enable_components=monitored_components(settings),
                managed_prometheus=container.ClusterMonitoringConfigManagedPrometheusArgs(enabled=True),
            ),
            maintenance_policy=_maintenance(settings.maintenance_window),
            # A slip of the hand would take every workload with it; `protect` says so at preview already.
            deletion_protection=settings.deletion_protection,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=settings.deletion_protection,
                depends_on=[*apis.values(), *account.roles],
                ignore_changes=[
                    # The release channel upgrades the control plane; the program only asks for a first version.
                    "minMasterVersion",
                    # Of the default pool, which is gone: another value would replace the cluster.
                    "initialNodeCount",
                    "nodeConfig",
                    # Where GKE tells it, the plug-in would replace the cluster because the program does not.
                    "privateClusterConfig.privateEndpointSubnetwork",
                ],
            ),
        )
        ends_with_cluster = pulumi.ResourceOptions(
            parent=self, deleted_with=cluster, depends_on=[*network.way_out, *account.roles]
        )
        pool = node_pool(
            settings,
            cluster,
            project=location.project,
            zones=self._node_zones(location, apis["compute"]),
            node_account=account.email,
            registry_hosts=_registry_hosts(settings, location, cluster),
            disk_size_gib=whole_gibibytes(settings.node_disk_size),
            opts=ends_with_cluster,
        )
        peer_firewall(
            settings.cluster_name,
            network,
            ports=[settings.peer_port, settings.upload_port, settings.peer_health_port, settings.peer_metrics_port],
            denied_udp_ports=list(settings.line.peer(settings.names, settings.peer_ports).udp_ports.values()),
            node_account=account.email,
            pod_range=cluster.cluster_ipv4_cidr,
            opts=child,
        )
        if settings.metrics_exporter_enabled:
            _metrics_writer(settings, location, cluster, self)

        context = f"gke_{location.project}_{location.cluster_location}_{settings.cluster_name}"
        self.kubeconfig = gke_kubeconfig(context, *_way_in(settings, cluster))
        self.get_credentials_command = (
            f"gcloud container clusters get-credentials {settings.cluster_name} "
            f"--location {location.cluster_location} --project {location.project}"
            + (" --dns-endpoint" if settings.dns_endpoint else "")
        )
        self.provider = kubernetes_provider(
            kubeconfig=self.kubeconfig,
            # The cluster's own id, written out: an output would be unknown in some previews.
            cluster_identifier=(
                f"projects/{location.project}/locations/{location.cluster_location}/clusters/{settings.cluster_name}"
            ),
            # Pods need nodes, when they come and when they go.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[pool]),
        )
        self.provisioned = ProvisionedCluster(
            cluster,
            ClusterAccess(self.kubeconfig),
            DiskPlace(
                project=location.project,
                zone=location.disk_zone,
                cluster_name=settings.cluster_name,
                protect=settings.deletion_protection,
                depends_on=[apis["compute"]],
            ),
        )
        self.register_outputs({"kubeconfig": self.kubeconfig, "getCredentialsCommand": self.get_credentials_command})

    def application_link(self, namespace: pulumi.Input[str], application: str) -> pulumi.Output[str]:
        """Where the Google Cloud console shows an Application of the cluster.

        Args:
            namespace: the Application's namespace.
            application: its name.
        """
        return pulumi.Output.concat(
            f"https://console.cloud.google.com/kubernetes/application/{self._console_path}/",
            namespace,
            f"/{application}",
        )

    def _node_zones(self, location: GoogleLocation, api: pulumi.Resource) -> pulumi.Output[list[str]] | None:
        """Where the nodes of a regional cluster are; None for a zonal one, which has them in its own zone."""
        if is_zone(location.cluster_location):
            return None
        # Asked like the version below. Zones that are down are among the answers: nodes must not move for a while.
        found = compute.get_zones_output(
            project=location.project,
            region=location.region,
            opts=pulumi.InvokeOutputOptions(parent=self, depends_on=[api]),
        )
        return found.apply(lambda zones: node_zones(location.disk_zone, zones.names))

    def _first_version(
        self, settings: Settings, location: GoogleLocation, api: pulumi.Resource
    ) -> pulumi.Output[str] | None:
        """Return the version that a new cluster starts with; None leaves it to the release channel."""
        if not settings.mirrored_registries(location.region):
            return None
        place = location.cluster_location
        # Asked only once the API is on; in the preview of a first installation the answer is unknown.
        offered = container.get_engine_versions_output(
            project=location.project,
            location=place,
            opts=pulumi.InvokeOutputOptions(parent=self, depends_on=[api]),
        )
        return offered.apply(
            lambda versions: version_with_mirrors(
                versions.release_channel_default_version, versions.release_channel_latest_version, place
            )
        )


def _way_in(settings: Settings, cluster: container.Cluster) -> tuple[pulumi.Output[str], pulumi.Output[str] | None]:
    """Return where the control plane answers, and who signs its certificate there; None for who signs everybody's."""
    if settings.dns_endpoint:
        return cluster.control_plane_endpoints_config.apply(_dns_name), None
    return cluster.endpoint, cluster.master_auth.apply(lambda auth: auth.cluster_ca_certificate or "")


def _dns_name(endpoints: container.outputs.ClusterControlPlaneEndpointsConfig | None) -> str:
    dns = endpoints.dns_endpoint_config if endpoints else None
    if not dns or not dns.endpoint:
        raise pulumi.RunError(
            f"{PROJECT}:dnsEndpoint is true, and GKE tells no DNS name of the cluster's control plane: "
            f"pulumi config set {PROJECT}:dnsEndpoint false"
        )
    return dns.endpoint


def _maintenance(window: MaintenanceWindow) -> container.ClusterMaintenancePolicyArgs:
    # Upgrades restart control planes and nodes. The day counts from when on: any that is over.
    start = datetime.fromisoformat(f"2026-01-01T{window.start}:00")
    begins, ends = (f"{time.isoformat()}Z" for time in (start, start + timedelta(hours=window.hours)))
    return container.ClusterMaintenancePolicyArgs(
        recurring_window=container.ClusterMaintenancePolicyRecurringWindowArgs(
            start_time=begins, end_time=ends, recurrence="FREQ=DAILY"
        )
    )


def _workload_pool(location: GoogleLocation) -> str:
    return f"{location.project}.svc.id.goog"


def _authorized_networks(settings: Settings) -> container.ClusterMasterAuthorizedNetworksConfigArgs:
    return container.ClusterMasterAuthorizedNetworksConfigArgs(
        cidr_blocks=[
            container.ClusterMasterAuthorizedNetworksConfigCidrBlockArgs(cidr_block=network)
            # Everywhere is written out: what is left out stays as it was, and a list could not be emptied again.
            for network in settings.authorized_networks or [ANYWHERE]
        ],
        # Anybody can rent a machine in Google Cloud.
        gcp_public_cidrs_access_enabled=not settings.authorized_networks,
    )


def _registry_hosts(
    settings: Settings, location: GoogleLocation, cluster: container.Cluster
) -> pulumi.Output[list[container.NodePoolNodeConfigContainerdConfigRegistryHostArgs]] | None:
    mirrored = settings.mirrored_registries(location.region)
    if not mirrored:
        return None
    hosts = [registry_host(registry_mirror(registry), settings.proxy_port) for registry in mirrored]

    def checked(versions: list[str]) -> list[container.NodePoolNodeConfigContainerdConfigRegistryHostArgs]:
        control_plane, nodes = versions
        check_mirror_support(control_plane, nodes)
        return hosts

    # The cluster's own word on its nodes: the pool cannot be asked before it is declared.
    return pulumi.Output.all(cluster.master_version, cluster.node_version).apply(checked)


def _metrics_writer(
    settings: Settings, location: GoogleLocation, cluster: container.Cluster, parent: pulumi.Resource
) -> None:
    """Lets the databases' pods write metrics: with Workload Identity they do not have the node's credentials."""
    number = organizations.get_project_output(
        project_id=location.project, opts=pulumi.InvokeOutputOptions(parent=parent, depends_on=[cluster])
    ).number
    projects.IAMMember(
        "metrics-writer-role",
        project=location.project,
        role="roles/monitoring.metricWriter",
        member=pulumi.Output.concat(
            "principal://iam.googleapis.com/projects/",
            number,
            f"/locations/global/workloadIdentityPools/{_workload_pool(location)}",
            f"/subject/ns/{settings.namespace}/sa/default",
        ),
        # The pool of identities exists once the project has a cluster that uses it.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[cluster]),
    )
