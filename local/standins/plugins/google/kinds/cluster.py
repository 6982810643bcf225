"""GKE clusters: `gcp.container.Cluster`. Each is a control plane on this machine; its nodes come with node pools."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, cast

from local.ledger.ledger import CLUSTER, NODE_POOL, Entries, Entry
from local.ledger.locations import is_region, is_zone, node_zones_of, region_of
from local.standins.plugins.google.kinds.accounts import check_account
from local.standins.plugins.google.kinds.kind import (
    PROVISIONING,
    RUNNING,
    STOPPING,
    Cloud,
    GoogleError,
    OperatedKind,
    referred,
    refers,
)
from local.standins.plugins.google.kinds.networks import NETWORK_PATH, Firewall, Subnetwork
from local.standins.plugins.google.labels import labels_after
from local.standins.plugins.google.rules import Network as Range
from local.standins.plugins.google.rules import choice_faults, cluster_name_faults, overlap, range_at, range_faults
from local.standins.plugins.google.types import Fault
from local.standins.plugins.google.versions import CHANNELS, newest_version
from local.standins.plugins.object_fields import number_at, object_at, objects_at, text_at, value_at
from local.standins.plugins.property_values import Properties
from local.standins.plugins.provider_errors import ProviderError

_POD_RANGE: Final = "10.60.0.0/14"
_DEFAULT_POOL: Final = "default-pool"
_SERVICE_RANGE: Final = "34.118.224.0/20"


class Cluster(OperatedKind):
    """`gcp.container.Cluster`."""

    type = CLUSTER
    resource = "google_container_cluster"
    path = "projects/{project}/locations/{location}/clusters/{name}"
    api = "container"
    place = "location"
    link = "https://container.googleapis.com/v1"
    unread = ("removeDefaultNodePool", "deletionProtection")

    def faults(self, inputs: Properties) -> list[Fault]:
        faults = cluster_name_faults(inputs)
        faults += range_faults(inputs, "clusterIpv4Cidr", "clusterIpv4Cidr")
        master = ("privateClusterConfig", "masterIpv4CidrBlock")
        faults += range_faults(inputs, ".".join(master), *master)
        found = range_at(inputs, *master)
        if found is not None and found.prefixlen != 28:
            faults.append(Fault(".".join(master), f"expected a network with 28 to 28 significant bits, got {found}"))
        for index, block in enumerate(objects_at(inputs, "masterAuthorizedNetworksConfig", "cidrBlocks")):
            path = f"masterAuthorizedNetworksConfig.cidrBlocks[{index}].cidrBlock"
            faults += range_faults(block, path, "cidrBlock")
        faults += choice_faults(inputs, ("releaseChannel", "channel"), (*CHANNELS, "UNSPECIFIED"))
        return faults + choice_faults(inputs, ("datapathProvider",), ("LEGACY_DATAPATH", "ADVANCED_DATAPATH"))

    def refusals(self, inputs: Properties) -> list[Fault]:
        faults: list[Fault] = []
        if number_at(inputs, "initialNodeCount") < 1 and not objects_at(inputs, "nodePools"):
            faults.append(Fault("initialNodeCount", "Cluster.initial_node_count must be greater than zero."))
        pool = value_at(inputs, "workloadIdentityConfig", "workloadPool")
        if isinstance(pool, str) and pool != f"{text_at(inputs, 'project')}.svc.id.goog":
            reason = f'Currently, the only supported identity namespace is that of the project, not "{pool}".'
            faults.append(Fault("workloadIdentityConfig.workloadPool", reason))
        return faults

    def defaults(self, inputs: Properties) -> Properties:
        return {
            "networkingMode": "VPC_NATIVE",
            "loggingService": "logging.googleapis.com/kubernetes",
            "monitoringService": "monitoring.googleapis.com/kubernetes",
        }

    def check_place(self, place: str) -> None:
        if not is_region(place) and not is_zone(place):
            raise GoogleError(400, f'Location "{place}" does not exist.', "badRequest")

    def meet(self, entries: Entries, inputs: Properties) -> None:
        project, location = text_at(inputs, "project"), text_at(inputs, "location")
        network = referred(entries, text_at(inputs, "network"), NETWORK_PATH, project)
        subnetwork = None
        if name := text_at(inputs, "subnetwork"):
            path = f"projects/{{project}}/regions/{region_of(location)}/subnetworks/{{name}}"
            subnetwork = referred(entries, name, path, project)
            if not refers(subnetwork, "network", network):
                raise GoogleError(
                    400, f'Subnetwork "{subnetwork.id}" is not a subnetwork of network "{network.id}".', "badRequest"
                )
        elif network.properties.get("autoCreateSubnetworks") is False:
            raise GoogleError(400, f'Network "{network.name}" requires specifying a subnetwork.', "badRequest")
        for field in ("clusterSecondaryRangeName", "servicesSecondaryRangeName"):
            self._secondary_range(subnetwork, inputs, field)
        ranges = [(f"subnetwork {name}", found) for name, found in _subnetwork_ranges(subnetwork)]
        if master := range_at(inputs, "privateClusterConfig", "masterIpv4CidrBlock"):
            clash = overlap([*ranges, ("the control plane", master)])
            if clash:
                raise GoogleError(
                    400,
                    f"Requested CIDR {master} for peering is not available: it overlaps with {clash[0]} of network "
                    f'"{network.name}".',
                    "badRequest",
                )
        version = text_at(inputs, "minMasterVersion")
        if version and not newest_version().startswith(version):
            raise GoogleError(400, f'Master version "{version}" is unsupported in location "{location}".', "badRequest")
        if account := text_at(inputs, "nodeConfig", "serviceAccount"):
            check_account(entries, account, f'Service account "{account}" does not exist.')

    @staticmethod
    def _secondary_range(subnetwork: Entry | None, inputs: Properties, field: str) -> Range | None:
        name = text_at(inputs, "ipAllocationPolicy", field)
        if not name:
            return None
        if subnetwork is not None:
            for secondary in objects_at(subnetwork.properties, "secondaryIpRanges"):
                if secondary.get("rangeName") == name:
                    return range_at(secondary, "ipCidrRange")
        where = subnetwork.name if subnetwork else "default"
        raise GoogleError(400, f'Pod secondary range "{name}" does not exist in subnetwork "{where}".', "badRequest")

    def create(self, cloud: Cloud, inputs: Properties, status: Callable[[str], None]) -> Entry:
        entry = Entry(self.type, self.id_of(inputs), dict(inputs), inputs, status=PROVISIONING)
        with cloud.ledger.change() as entries:
            self._admit(cloud, entries, inputs)
            self.meet(entries, inputs)
            found = {**self._found(cloud, entries, entry), **labels_after(self.fields, None, inputs)}
            entry = replace(entry, properties={**entry.properties, **found})
            entries.put(entry)
        status("the control plane starts")
        try:
            entry = self.started(cloud, entry, status)
        except Exception:
            # A cluster in error is deleted by the real plug-in too.
            cloud.clusters.remove(entry.id)
            with cloud.ledger.change() as entries:
                entries.remove(entry.id)
            raise
        self._remove_pool(cloud, entry)
        return entry

    def provision(self, cloud: Cloud, entry: Entry, status: Callable[[str], None]) -> Entry:
        from local.cluster.control_plane import ClusterError
        from local.machine.processes import ProcessError
        from local.tools.building.tool import ToolchainError

        cloud.pause()
        try:
            cloud.clusters.start(entry.id)
        except (ClusterError, ProcessError, ToolchainError) as error:
            raise ProviderError(f"Error waiting for creating GKE cluster: {error}") from error
        with cloud.ledger.change() as entries:
            running = replace(entry, status=RUNNING)
            running = replace(running, properties={**entry.properties, **self._found(cloud, entries, running)})
            entries.put(running)
            # The rules by which the control plane reaches the nodes: GKE makes and deletes them itself.
            digest = hashlib.sha256(entry.id.encode()).hexdigest()[:8]
            name = f"gke-{entry.name}-{digest}-all"
            rule = f"projects/{entry.properties['project']}/global/firewalls/{name}"
            about = {"name": name, "network": entry.properties["network"], "project": entry.properties["project"]}
            entries.put(Entry(Firewall.type, rule, about, owner=entry.id))
            if not objects_at(entry.inputs, "nodePools"):
                # Without nodes: it goes before there is a pod.
                about = {name: entry.inputs.get(name) for name in ("project", "location")}
                about |= {"name": _DEFAULT_POOL, "nodeCount": entry.inputs.get("initialNodeCount")}
                entries.put(Entry(NODE_POOL, f"{entry.id}/nodePools/{_DEFAULT_POOL}", about, about, entry.id))
        return running

    @staticmethod
    def _remove_pool(cloud: Cloud, entry: Entry) -> None:
        """Take the default pool away where the program does not want it: the plug-in does that, not GKE."""
        if entry.inputs.get("removeDefaultNodePool") is True:
            with cloud.ledger.change() as entries:
                entries.remove(f"{entry.id}/nodePools/{_DEFAULT_POOL}")

    def _found(self, cloud: Cloud, entries: Entries, entry: Entry) -> Properties:
        inputs = entry.inputs
        # Known only once it runs.
        running = entry.status == RUNNING
        endpoint, authority = cloud.clusters.endpoint(entry.id) if running else ("", "")
        location = text_at(inputs, "location")
        version = newest_version()
        subnetworks = entries.of_type(Subnetwork.type)
        subnetwork = next((other for other in subnetworks if refers(entry, "subnetwork", other)), None)
        pods = self._secondary_range(subnetwork, inputs, "clusterSecondaryRangeName")
        services = self._secondary_range(subnetwork, inputs, "servicesSecondaryRangeName")
        path = f"zones/{location}" if is_zone(location) else f"locations/{location}"
        zones = inputs.get("nodeLocations") or ([] if is_zone(location) else node_zones_of(location))
        return {
            "endpoint": endpoint,
            "masterAuth": {
                "clientCertificateConfig": {"issueClientCertificate": False},
                **object_at(inputs, "masterAuth"),
                "clusterCaCertificate": authority,
                "clientCertificate": "",
                "clientKey": "",
            },
            # Always there, with nobody let in unless the program says so.
            "controlPlaneEndpointsConfig": {
                "dnsEndpointConfig": {
                    "allowExternalTraffic": False,
                    **object_at(inputs, "controlPlaneEndpointsConfig", "dnsEndpointConfig"),
                    "endpoint": cloud.clusters.dns_endpoint(entry.id) if running else "",
                },
                "ipEndpointsConfig": {
                    "enabled": True,
                    **object_at(inputs, "controlPlaneEndpointsConfig", "ipEndpointsConfig"),
                },
            },
            "masterVersion": version,
            "nodeVersion": version,
            "clusterIpv4Cidr": str(pods or _POD_RANGE),
            "servicesIpv4Cidr": str(services or _SERVICE_RANGE),
            "nodeLocations": cast(Any, zones),
            "selfLink": f"{self.link}/projects/{text_at(inputs, 'project')}/{path}/clusters/{entry.name}",
            "labelFingerprint": "a9dc16a7",
            "tpuIpv4CidrBlock": "",
            "operation": "",
        }

    def update(self, cloud: Cloud, entry: Entry, inputs: Properties, status: Callable[[str], None]) -> Entry:
        cloud.pause()
        with cloud.ledger.change() as entries:
            changed = replace(entry, inputs=inputs)
            labels = labels_after(self.fields, entry.properties, inputs)
            found = {**self._found(cloud, entries, changed), **labels}
            changed = replace(changed, properties={**entry.properties, **inputs, **found})
            entries.put(changed)
        # The plug-in looks at the argument's change and not at the pools.
        if entry.properties.get("removeDefaultNodePool") is not True:
            self._remove_pool(cloud, changed)
        return changed

    def delete(self, cloud: Cloud, entry: Entry, state: Properties, status: Callable[[str], None]) -> None:
        if state.get("deletionProtection") is not False:
            raise ProviderError(
                "Cannot destroy cluster because deletion_protection is set to true. Set it to false to proceed with "
                "cluster deletion."
            )
        super().delete(cloud, entry, state, status)

    def end(self, cloud: Cloud, entry: Entry) -> None:
        cloud.pause()
        cloud.clusters.remove(entry.id)
        with cloud.ledger.change() as entries:
            entries.remove(entry.id)


def running_cluster(entries: Entries, reference: str, location: str, project: str) -> Entry:
    """Return the cluster that a node pool names.

    Args:
        entries: the ledger's.
        reference: the cluster's name or ID.
        location: the node pool's.
        project: the node pool's.

    Raises:
        GoogleError: there is none, or it does not run.
    """
    cluster_id = reference if "/" in reference else f"projects/{project}/locations/{location}/clusters/{reference}"
    found = entries.get(cluster_id)
    if found is None or found.status == STOPPING:
        raise GoogleError(404, f"Not found: {cluster_id}.", "notFound")
    if found.status != RUNNING:
        raise GoogleError(400, f"Cluster is running incompatible operation: {found.status}.", "failedPrecondition")
    return found


def _subnetwork_ranges(subnetwork: Entry | None) -> list[tuple[str, Range]]:
    if subnetwork is None:
        return []
    found = [(subnetwork.name, range_at(subnetwork.properties, "ipCidrRange"))]
    found += [
        (f"{subnetwork.name} ({secondary.get('rangeName')})", range_at(secondary, "ipCidrRange"))
        for secondary in objects_at(subnetwork.properties, "secondaryIpRanges")
    ]
    return [(name, item) for name, item in found if item is not None]
