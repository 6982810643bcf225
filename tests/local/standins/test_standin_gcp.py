"""The stand-in for pulumi-resource-gcp against its ledger, without the engine and without a control plane."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from dragonfly.google.resource_ids import google_id
from local.ledger.ledger import CLUSTER, DISK, Entry, Ledger
from local.ledger.locations import node_zones_of
from local.standins.cloud.clusters import Clusters
from local.standins.plugins.google.kinds.kind import Cloud
from local.standins.plugins.google.labels import labels_after
from local.standins.plugins.google.provider import KINDS, GcpProvider
from local.standins.plugins.google.schema import planned
from local.standins.plugins.property_values import UNKNOWN, Properties, read_properties, write_properties
from local.standins.plugins.provider_errors import InitializationError, ProviderError
from tests.google_resources import (
    ACCOUNT,
    FIREWALL,
    HOST,
    MEMBER,
    NAT,
    NETWORK,
    POOL,
    PROJECT,
    ROUTER,
    SERVICE,
    SUBNETWORK,
    VALID,
    Silence,
    changed,
    create,
    delete,
    provider_of,
    urn,
    wire,
)

HOSTS = "nodeConfig.containerdConfig.registryHosts.0"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.json")


@pytest.fixture
def provider(ledger: Ledger) -> GcpProvider:
    return provider_of(ledger)


def failures(provider: GcpProvider, kind: str, inputs: Properties) -> list[str]:
    answer = provider.check(wire.CheckRequest(urn=urn(kind), news=write_properties(inputs)))
    return [failure.reason for failure in answer.failures]


def difference(
    provider: GcpProvider, kind: str, new: Properties, old: Properties | None = None
) -> tuple[list[str], list[str], bool]:
    """What changes, what of it replaces, and whether the old one goes first."""
    fields = KINDS[kind].fields
    state = planned(fields, {}, old or VALID[kind])
    answer = provider.diff(
        wire.DiffRequest(
            urn=urn(kind),
            olds=write_properties({**KINDS[kind].defaults(state), **state, **labels_after(fields, None, state)}),
            news=write_properties(new),
        )
    )
    return list(answer.diffs), list(answer.replaces), answer.deleteBeforeReplace


@pytest.mark.parametrize("kind", VALID)
def test_valid_inputs_pass(provider: GcpProvider, kind: str) -> None:
    assert failures(provider, kind, VALID[kind]) == []


@pytest.mark.parametrize("kind", VALID)
def test_what_is_not_known_yet_passes(provider: GcpProvider, kind: str) -> None:
    unknown: Properties = dict.fromkeys(VALID[kind], UNKNOWN)
    assert failures(provider, kind, unknown) == []


@pytest.mark.parametrize(
    ("kind", "path", "value", "reason"),
    [
        (NETWORK, "autoCreateSubnetwork", False, "Invalid or unknown key"),
        (POOL, "nodeConfig.machinetype", "x", "Invalid or unknown key"),
        (POOL, f"{HOSTS}.hosts.0.url", "x", "Invalid or unknown key"),
        (SUBNETWORK, "network", None, "Missing required argument"),
        (POOL, "nodeConfig.taints", [{"key": "a", "value": "b"}], 'The argument "effect" is required'),
        (DISK, "size", "8Gi", "expected a whole number, found '8Gi'"),
        (DISK, "size", 8.5, "expected a whole number"),
        (DISK, "size", True, "expected a whole number"),
        (DISK, "labels", ["a"], "expected a map, found a list"),
        (DISK, "labels.a", 1, "expected a string, found 1"),
        (POOL, "nodeConfig", "x", "expected an object"),
        (POOL, "nodeConfig.oauthScopes", "x", "expected a list"),
        (POOL, f"{HOSTS}.hosts.0.capabilities.0", 1, "expected a string, found 1"),
        (NETWORK, "name", "Net", "doesn't match regexp"),
        (NETWORK, "name", "n" * 64, "doesn't match regexp"),
        (FIREWALL, "name", "rule-", "doesn't match regexp"),
        (ACCOUNT, "accountId", "short", "doesn't match regexp"),
        (CLUSTER, "name", "c" * 41, "cannot be longer than 40 characters"),
        (CLUSTER, "name", "a_b", "can only contain lowercase"),
        (CLUSTER, "name", "1", "must start with a letter"),
        (SUBNETWORK, "ipCidrRange", "10.0.0.0", "valid network CIDR"),
        (SUBNETWORK, "ipCidrRange", "10.0.0.1/20", "valid network CIDR"),
        (SUBNETWORK, "secondaryIpRanges.0.ipCidrRange", "10.0.0.0/33", "valid network CIDR"),
        (CLUSTER, "privateClusterConfig.masterIpv4CidrBlock", "172.16.0.0/24", "with 28 to 28 significant bits"),
        (CLUSTER, "masterAuthorizedNetworksConfig", {"cidrBlocks": [{"cidrBlock": "x"}]}, "valid network CIDR"),
        (CLUSTER, "releaseChannel", {"channel": "FAST"}, "to be one of [RAPID"),
        (POOL, "nodeCount", -1, "at least (0)"),
        (POOL, "nodeConfig.diskSizeGb", 9, "at least (10)"),
        (POOL, "nodeConfig.taints", [{"key": "a", "value": "b", "effect": "NoSchedule"}], "to be one of [NO_SCHED"),
        (FIREWALL, "denies", [{"protocol": "tcp"}], "one of `allow,deny`"),
        (POOL, "upgradeSettings", {"strategy": "FAST"}, "to be one of [SURGE BLUE_GREEN]"),
        (FIREWALL, "sourceRanges", None, "one of source_tags, source_ranges"),
        (FIREWALL, "priority", 65536, "0 - 65535"),
    ],
)
def test_what_the_plug_in_rejects_at_preview(
    provider: GcpProvider, kind: str, path: str, value: Any, reason: str
) -> None:
    found = failures(provider, kind, changed(kind, path, value))
    assert len(found) == 1, found
    assert reason in found[0]
    assert f"{kind} resource 'it' has a problem" in found[0]


@pytest.mark.parametrize(
    ("kind", "path", "value", "reason"),
    [
        (SUBNETWORK, "secondaryIpRanges.0.ipCidrRange", "10.0.8.0/21", "conflicts with the range of ipCidrRange"),
        (SUBNETWORK, "secondaryIpRanges.1.ipCidrRange", "10.5.0.0/20", "conflicts with the range of secondary"),
        (CLUSTER, "initialNodeCount", None, "must be greater than zero"),
        (CLUSTER, "workloadIdentityConfig", {"workloadPool": "x"}, "identity namespace"),
        (POOL, "name", "p" * 41, "cannot be longer than 40 characters"),
        (POOL, "autoscaling", {"minNodeCount": 3, "maxNodeCount": 2}, "must not exceed"),
        (POOL, "nodeConfig.machineType", "e2-standard-3", "does not exist"),
        (POOL, "upgradeSettings", {"maxSurge": 0, "maxUnavailable": 0}, "must be 1 to 20"),
        (POOL, f"{HOSTS}.server", "https://docker.io", "schemes, paths and wildcards"),
        (POOL, f"{HOSTS}.server", "docker.io/library", "schemes, paths and wildcards"),
        (POOL, f"{HOSTS}.server", "*.docker.io", "schemes, paths and wildcards"),
        (POOL, f"{HOSTS}.hosts.0.host", "127.0.0.1:65001", "start with http:// or https://"),
        (POOL, f"{HOSTS}.hosts.0.capabilities.0", "PULL", "HOST_CAPABILITY_PULL"),
        (POOL, f"{HOSTS}.hosts.0.dialTimeout", "181s", "0s to 180s"),
        (POOL, f"{HOSTS}.hosts.0.dialTimeout", "1m", "0s to 180s"),
        (POOL, f"{HOSTS}.hosts", [HOST] * 11, "at most 10"),
        (
            POOL,
            "nodeConfig.containerdConfig.registryHosts",
            [{"server": f"r{number}.example.com"} for number in range(26)],
            "at most 25",
        ),
        (FIREWALL, "sourceRanges", ["10.0.0.1/20"], "valid network CIDR"),
        (FIREWALL, "allows.0.ports.0", "tcp", "is no port"),
        (NAT, "natIps", ["a"], "AUTO_ONLY"),
        (NAT, "sourceSubnetworkIpRangesToNat", "ALL_SUBNETWORKS_ALL_IP_RANGES", "LIST_OF_SUBNETWORKS"),
        (DISK, "size", 0, "smaller than 1 GB"),
        (MEMBER, "member", "jane@example.com", "must be a type and an identity"),
        (SERVICE, "service", "compute", "compute.googleapis.com"),
    ],
)
def test_what_the_plug_in_passes_on_and_googles_apis_reject(
    provider: GcpProvider, ledger: Ledger, kind: str, path: str, value: Any, reason: str
) -> None:
    inputs = changed(kind, path, value)
    assert failures(provider, kind, inputs) == []
    with pytest.raises(ProviderError, match=rf"(?s)Error creating .*: googleapi: Error 400: .*{reason}"):
        create(provider, kind, inputs)
    assert ledger.billed() == []


def test_what_a_change_may_not_be(provider: GcpProvider, ledger: Ledger) -> None:
    subnetwork = create(provider, NETWORK) and create(provider, SUBNETWORK)
    news = write_properties(changed(SUBNETWORK, "secondaryIpRanges.0.ipCidrRange", "10.0.8.0/21"))
    before = ledger.read().get(subnetwork)
    with pytest.raises(ProviderError, match=r"Error updating Subnetwork: googleapi: Error 400: .*conflicts"):
        provider.update(wire.UpdateRequest(urn=urn(SUBNETWORK), id=subnetwork, news=news))
    assert ledger.read().get(subnetwork) == before
    news = write_properties(changed(SUBNETWORK, "privateIpGoogleAccess", True))
    provider.update(wire.UpdateRequest(urn=urn(SUBNETWORK), id=subnetwork, news=news))


@pytest.mark.parametrize(
    ("kind", "path", "value", "replaces"),
    [
        (CLUSTER, "name", "other", True),
        (CLUSTER, "location", "us-west1-b", True),
        (CLUSTER, "network", "other", True),
        (CLUSTER, "subnetwork", "other", True),
        (CLUSTER, "ipAllocationPolicy.clusterSecondaryRangeName", "other", True),
        (CLUSTER, "privateClusterConfig.masterIpv4CidrBlock", "172.16.0.16/28", True),
        (CLUSTER, "deletionProtection", True, False),
        (CLUSTER, "privateClusterConfig.enablePrivateEndpoint", True, False),
        (POOL, "nodeCount", 4, False),
        (POOL, "nodeConfig.machineType", "e2-standard-8", False),
        (POOL, "nodeConfig.diskSizeGb", 50, False),
        (POOL, f"{HOSTS}.server", "quay.io", False),
        (POOL, "nodeConfig.spot", True, True),
        (POOL, "nodeConfig.serviceAccount", "a@b", True),
        (POOL, "nodeConfig.oauthScopes", ["a"], True),
        (POOL, "cluster", "other", True),
        (DISK, "size", 9, False),
        (DISK, "size", 7, True),
        (DISK, "type", "pd-ssd", True),
        (DISK, "zone", "us-west1-b", True),
        (SUBNETWORK, "ipCidrRange", "10.0.0.0/19", False),
        (SUBNETWORK, "ipCidrRange", "10.0.0.0/21", True),
        (SUBNETWORK, "secondaryIpRanges.1.ipCidrRange", "10.8.0.0/21", False),
        (FIREWALL, "sourceRanges", ["10.0.0.0/8"], False),
        (FIREWALL, "network", "other", False),
        (NETWORK, "enableUlaInternalIpv6", True, False),
        (POOL, "nodeConfig.confidentialNodes", {"enabled": False}, False),
        (POOL, "nodeConfig.shieldedInstanceConfig", {"enableSecureBoot": True}, True),
        (CLUSTER, "ipAllocationPolicy.stackType", "IPV4_IPV6", False),
        (NAT, "maxPortsPerVm", 64, False),
        (MEMBER, "role", "roles/editor", True),
        (ACCOUNT, "displayName", "x", False),
        (ACCOUNT, "accountId", "others", True),
    ],
)
def test_what_replaces_and_what_changes_in_place(
    provider: GcpProvider, kind: str, path: str, value: Any, replaces: bool
) -> None:
    diffs, replacing, first = difference(provider, kind, changed(kind, path, value))
    assert len(diffs) == 1, diffs
    assert bool(replacing) is replaces
    assert first is (replaces and kind != ACCOUNT)


@pytest.mark.parametrize(
    "path",
    [
        "nodeConfig.containerdConfig",
        "nodeConfig.machineType",
        "nodeConfig.oauthScopes",
        "nodeConfig",
        "nodeCount",
    ],
)
def test_what_is_computed_stays_at_every_depth_when_it_is_left_out(provider: GcpProvider, path: str) -> None:
    assert difference(provider, POOL, changed(POOL, path, None)) == ([], [], False)


def test_what_is_left_out_and_not_computed_goes_or_has_its_default(provider: GcpProvider) -> None:
    spot = changed(POOL, "nodeConfig.spot", True)
    assert difference(provider, POOL, VALID[POOL], spot) == (["nodeConfig.spot"], ["nodeConfig.spot"], True)
    networks = changed(CLUSTER, "masterAuthorizedNetworksConfig", {"cidrBlocks": [{"cidrBlock": "203.0.113.0/24"}]})
    assert difference(provider, CLUSTER, VALID[CLUSTER], networks)[0] == []
    emptied = changed(CLUSTER, "masterAuthorizedNetworksConfig", {"cidrBlocks": []})
    assert difference(provider, CLUSTER, emptied, networks)[0] == ["masterAuthorizedNetworksConfig.cidrBlocks"]
    # As the API may give it back, though nobody asked for it.
    given = changed(CLUSTER, "privateClusterConfig.privateEndpointSubnetwork", "sub")
    assert difference(provider, CLUSTER, VALID[CLUSTER], given)[1] == ["privateClusterConfig.privateEndpointSubnetwork"]


@pytest.mark.parametrize(
    ("name", "first"),
    [({"name": "other"}, True), ({"__defaults": ["name"], "name": "net-1234567"}, False)],
)
def test_a_name_that_is_given_goes_before_its_successor(provider: GcpProvider, name: Properties, first: bool) -> None:
    new: Properties = {**VALID[NETWORK], "description": "x", **name}
    assert difference(provider, NETWORK, new) == (["description", "name"], ["description", "name"], first)


@pytest.mark.parametrize("kind", VALID)
def test_nothing_changes_by_itself(provider: GcpProvider, kind: str) -> None:
    assert difference(provider, kind, VALID[kind]) == ([], [], False)


@pytest.mark.parametrize(
    "network", ["net", f"projects/{PROJECT}/global/networks/net", f"https://x/projects/{PROJECT}/global/networks/net"]
)
def test_a_network_may_be_called_by_name_path_or_url(provider: GcpProvider, network: str) -> None:
    assert difference(provider, FIREWALL, changed(FIREWALL, "network", network))[0] == []


def test_the_order_of_a_set_is_no_change(provider: GcpProvider) -> None:
    assert difference(provider, POOL, changed(POOL, "nodeConfig.oauthScopes", ["b", "a"]))[0] == []


@pytest.mark.parametrize(
    ("kind", "resource_id"),
    [
        (NETWORK, f"projects/{PROJECT}/global/networks/net"),
        (SUBNETWORK, f"projects/{PROJECT}/regions/us-west1/subnetworks/sub"),
        (ROUTER, f"projects/{PROJECT}/regions/us-west1/routers/router"),
        (NAT, f"{PROJECT}/us-west1/router/nat"),
        (FIREWALL, f"projects/{PROJECT}/global/firewalls/rule"),
        (DISK, f"projects/{PROJECT}/zones/us-west1-a/disks/disk"),
        (ACCOUNT, f"projects/{PROJECT}/serviceAccounts/my-nodes@{PROJECT}.iam.gserviceaccount.com"),
        (MEMBER, f"{PROJECT}/roles/viewer/serviceAccount:my-nodes@{PROJECT}.iam.gserviceaccount.com"),
    ],
)
def test_life_of_a_resource(provider: GcpProvider, ledger: Ledger, kind: str, resource_id: str) -> None:
    needs = {SUBNETWORK: [NETWORK], ROUTER: [NETWORK], FIREWALL: [NETWORK], NAT: [NETWORK, SUBNETWORK, ROUTER]}
    for needed in needs.get(kind, [ACCOUNT] if kind == MEMBER else []):
        create(provider, needed)
    assert create(provider, kind) == resource_id
    assert resource_id in ledger.billed()
    if kind != MEMBER:
        with pytest.raises(ProviderError, match=r"Error 409.*already exists"):
            create(provider, kind)
    read = provider.read(wire.ReadRequest(urn=urn(kind), id=resource_id))
    assert read.id == resource_id
    assert failures(provider, kind, read_properties(read.inputs)) == []
    delete(provider, kind, resource_id)
    assert resource_id not in ledger.billed()
    assert provider.read(wire.ReadRequest(urn=urn(kind), id=resource_id)).id == ""
    delete(provider, kind, resource_id)


def test_a_preview_changes_nothing_and_knows_no_output(provider: GcpProvider, ledger: Ledger) -> None:
    inputs = changed(CLUSTER, "masterAuth.clientCertificateConfig", {"issueClientCertificate": False})
    request = wire.CreateRequest(urn=urn(CLUSTER), properties=write_properties(inputs), preview=True)
    foreseen = read_properties(provider.create(request).properties)
    assert foreseen["endpoint"] == foreseen["clusterIpv4Cidr"] == UNKNOWN
    assert foreseen["loggingConfig"] == UNKNOWN
    assert (foreseen["name"], foreseen["enableShieldedNodes"]) == ("c", True)
    assert cast(Properties, foreseen["masterAuth"])["clusterCaCertificate"] == UNKNOWN
    assert ledger.billed() == []


def test_an_api_that_is_off(provider: GcpProvider, ledger: Ledger) -> None:
    with ledger.change() as entries:
        entries.remove(f"{PROJECT}/compute.googleapis.com")
    with pytest.raises(ProviderError, match=r"Compute Engine API has not been used in project [0-9]+ before"):
        create(provider, NETWORK)
    assert create(provider, SERVICE) == f"{PROJECT}/compute.googleapis.com"
    create(provider, NETWORK)
    delete(provider, SERVICE, f"{PROJECT}/compute.googleapis.com", {"disableOnDestroy": False})
    assert ledger.read().get(f"{PROJECT}/compute.googleapis.com") is not None
    # Switched on costs nothing.
    assert ledger.billed() == [f"projects/{PROJECT}/global/networks/net"]


def test_a_project_needs_two_apis_before_the_others_can_be_switched_on(provider: GcpProvider, ledger: Ledger) -> None:
    services: list[Properties] = [
        {"service": f"{api}.googleapis.com"} for api in ("logging", "cloudresourcemanager", "monitoring")
    ]
    ledger.switch_off(PROJECT, "serviceusage", "cloudresourcemanager")
    with pytest.raises(ProviderError, match="Service Usage API has not been used in project"):
        create(provider, SERVICE, services[1])
    with ledger.change() as entries:
        entries.put(Entry(SERVICE, f"{PROJECT}/serviceusage.googleapis.com"))
    for inputs in (services[0], services[2]):
        with pytest.raises(InitializationError, match="Cloud Resource Manager API has not been used") as refused:
            create(provider, SERVICE, inputs)
        assert refused.value.resource_id == f"{PROJECT}/{inputs['service']}"
        if inputs is services[0]:
            # Switched on, but a moment ago.
            create(provider, SERVICE, services[1])
    for inputs in services:
        create(provider, SERVICE, inputs)


@pytest.mark.parametrize("switched_off", [False, True])
def test_labels_that_the_plug_in_manages(provider: GcpProvider, ledger: Ledger, switched_off: bool) -> None:
    disk, mark = create(provider, DISK), {"goog-pulumi-provisioned": "true"}
    with ledger.change() as entries:
        entry = entries.get(disk)
        assert entry is not None
        assert entry.properties["pulumiLabels"] == entry.properties["effectiveLabels"] == {"a": "b", **mark}
        # As somebody adds one by hand, or takes the mark away.
        entry.properties["effectiveLabels"] = {"a": "b", "other": "x", **({} if switched_off else mark)}

    def read(state: Properties) -> Properties:
        request = wire.ReadRequest(urn=urn(DISK), id=disk, properties=write_properties(state))
        return read_properties(provider.read(request).properties)

    state = read({**VALID[DISK], "pulumiLabels": {"a": "b", **mark}})
    assert state["labels"] == {"a": "b"}
    assert state["pulumiLabels"] == {"a": "b", **({} if switched_off else mark)}
    news = changed(DISK, "labels.a", "c")
    answer = provider.diff(wire.DiffRequest(urn=urn(DISK), olds=write_properties(state), news=write_properties(news)))
    assert list(answer.diffs) == ["effectiveLabels", "labels.a", "pulumiLabels"]
    request = wire.UpdateRequest(urn=urn(DISK), id=disk, olds=write_properties(state), news=write_properties(news))
    updated = read_properties(provider.update(request).properties)
    assert updated["effectiveLabels"] == {"a": "c", "other": "x", **({} if switched_off else mark)}
    # As a recovery enters it.
    entered = read(news)
    assert entered["pulumiLabels"] == {}
    answer = provider.diff(wire.DiffRequest(urn=urn(DISK), olds=write_properties(entered), news=write_properties(news)))
    assert list(answer.diffs) == ["pulumiLabels"]
    assert list(answer.replaces) == []


def test_a_read_of_what_has_no_labels_is_no_change(provider: GcpProvider) -> None:
    cleared = planned(KINDS[CLUSTER].fields, {}, {**VALID[CLUSTER], "resourceLabels": {}})
    assert difference(provider, CLUSTER, VALID[CLUSTER], cleared) == ([], [], False)


def test_project_and_place_of_the_provider(ledger: Ledger) -> None:
    nowhere = GcpProvider(Silence(), Cloud(ledger, Clusters(ledger), seconds=0))
    with pytest.raises(ProviderError, match="project: required field is not set"):
        create(nowhere, NETWORK)
    with pytest.raises(ProviderError, match="Cannot determine zone"):
        create(nowhere, DISK, {"name": "d", "project": PROJECT})
    with pytest.raises(ProviderError, match=r"Error 403.*forbidden"):
        create(nowhere, SERVICE, {"service": "compute.googleapis.com", "project": "No Project"})


@pytest.mark.parametrize(
    ("kind", "path", "value", "reason"),
    [
        (DISK, "zone", "us-west1-z", "Unknown zone"),
        (DISK, "zone", "us-east1-a", "Unknown zone"),
        (SUBNETWORK, "network", "other", "networks/other' was not found"),
        (CLUSTER, "location", "moon", 'Location "moon" does not exist'),
        (CLUSTER, "subnetwork", "other", "subnetworks/other' was not found"),
        (CLUSTER, "ipAllocationPolicy.clusterSecondaryRangeName", "x", 'secondary range "x" does not exist'),
        (CLUSTER, "privateClusterConfig.masterIpv4CidrBlock", "10.0.0.0/28", "overlaps with subnetwork sub"),
        (CLUSTER, "minMasterVersion", "1.2.3", "is unsupported"),
        (POOL, "cluster", "other", "clusters/other"),
        (MEMBER, "member", f"serviceAccount:x@{PROJECT}.iam.gserviceaccount.com", "does not exist"),
        (NAT, "subnetworks.0.name", "other", "subnetworks/other' was not found"),
    ],
)
def test_what_does_not_fit_the_rest(provider: GcpProvider, kind: str, path: str, value: Any, reason: str) -> None:
    for needed in (NETWORK, SUBNETWORK, ROUTER):
        if needed != kind:
            create(provider, needed)
    with pytest.raises(ProviderError, match=f"(?s)Error creating.*{reason}"):
        create(provider, kind, changed(kind, path, value))


def test_ranges_of_two_subnetworks(provider: GcpProvider) -> None:
    create(provider, NETWORK)
    create(provider, SUBNETWORK)
    other: Properties = {"name": "two", "network": "net", "region": "us-west1", "ipCidrRange": "10.6.0.0/20"}
    with pytest.raises(ProviderError, match="conflicts with existing subnetwork"):
        create(provider, SUBNETWORK, other)
    create(provider, SUBNETWORK, {**other, "ipCidrRange": "10.9.0.0/20"})


def test_a_network_in_use_stays(provider: GcpProvider, ledger: Ledger) -> None:
    network = create(provider, NETWORK)
    users = {SUBNETWORK: create(provider, SUBNETWORK), FIREWALL: create(provider, FIREWALL)}
    moved = write_properties(changed(FIREWALL, "network", "other"))
    with pytest.raises(ProviderError, match="networks/other' was not found"):
        provider.update(wire.UpdateRequest(urn=urn(FIREWALL), id=users[FIREWALL], news=moved))
    for kind, user in users.items():
        with pytest.raises(ProviderError, match=f"already being used by '{user}', resourceInUseByAnotherResource"):
            delete(provider, NETWORK, network)
        delete(provider, kind, user)
    delete(provider, NETWORK, network)
    assert ledger.billed() == []


def test_a_subnetwork_whose_addresses_are_translated_stays(provider: GcpProvider) -> None:
    ids = {kind: create(provider, kind) for kind in (NETWORK, SUBNETWORK, ROUTER, NAT)}
    with pytest.raises(ProviderError, match=f"already being used by '{ids[NAT]}'"):
        delete(provider, SUBNETWORK, ids[SUBNETWORK])


def test_a_subnetwork_with_a_cluster_stays(provider: GcpProvider, ledger: Ledger) -> None:
    create(provider, NETWORK)
    subnetwork = create(provider, SUBNETWORK)
    cluster = Entry(CLUSTER, f"projects/{PROJECT}/locations/us-west1-a/clusters/c", {"subnetwork": "sub"})
    with ledger.change() as entries:
        entries.put(cluster)
    with pytest.raises(ProviderError, match=f"already being used by '{cluster.id}'"):
        delete(provider, SUBNETWORK, subnetwork)


@pytest.mark.parametrize("state", [{"deletionProtection": True}, {}])
def test_a_protected_cluster_is_not_deleted(provider: GcpProvider, ledger: Ledger, state: Properties) -> None:
    cluster = Entry(CLUSTER, f"projects/{PROJECT}/locations/us-west1-a/clusters/c")
    with ledger.change() as entries:
        entries.put(cluster)
    with pytest.raises(ProviderError, match="Cannot destroy cluster because deletion_protection is set to true"):
        delete(provider, CLUSTER, cluster.id, state)
    assert ledger.billed() == [cluster.id]


def test_what_belongs_to_a_cluster_goes_with_it_and_disks_stay(ledger: Ledger) -> None:
    cluster = Entry(CLUSTER, f"projects/{PROJECT}/locations/us-west1-a/clusters/c")
    disk = Entry(DISK, f"projects/{PROJECT}/zones/us-west1-a/disks/pvc-1")
    with ledger.change() as entries:
        for entry in (cluster, disk, Entry(POOL, f"{cluster.id}/nodePools/p", owner=cluster.id)):
            entries.put(entry)
    with ledger.change() as entries:
        entries.remove(cluster.id)
    assert ledger.billed() == [disk.id]


def test_a_disk_grows_in_place(provider: GcpProvider, ledger: Ledger) -> None:
    disk = create(provider, DISK)
    answer = provider.update(
        wire.UpdateRequest(
            urn=urn(DISK), id=disk, olds=write_properties({}), news=write_properties(changed(DISK, "size", 20))
        )
    )
    assert read_properties(answer.properties)["size"] == 20
    entry = ledger.read().get(disk)
    assert entry is not None
    assert entry.properties["size"] == 20
    assert entry.properties["selfLink"].endswith(disk)


def test_a_pool_that_exists_is_told_by_the_plug_in(provider: GcpProvider, ledger: Ledger) -> None:
    cluster = f"projects/{PROJECT}/locations/us-west1-a/clusters/c"
    with ledger.change() as entries:
        entries.put(Entry(CLUSTER, cluster))
        entries.put(Entry(POOL, f"{cluster}/nodePools/p"))
    with pytest.raises(ProviderError, match=rf"occurred:\n\t\* resource - {cluster}/nodePools/p - already exists$"):
        create(provider, POOL)


@pytest.mark.parametrize("status", ["PROVISIONING", "STOPPING"])
def test_a_read_does_not_wait_for_what_goes_on(provider: GcpProvider, ledger: Ledger, status: str) -> None:
    cluster = Entry(CLUSTER, f"projects/{PROJECT}/locations/us-west1-a/clusters/c", status=status)
    with ledger.change() as entries:
        entries.put(cluster)
    assert provider.read(wire.ReadRequest(urn=urn(CLUSTER), id=cluster.id)).id == cluster.id
    assert ledger.read().get(cluster.id) == cluster


def test_gke_chooses_three_zones_and_takes_those_it_is_told(provider: GcpProvider, ledger: Ledger) -> None:
    assert node_zones_of("us-central1") == ["us-central1-b", "us-central1-c", "us-central1-f"]
    cluster = Entry(CLUSTER, f"projects/{PROJECT}/locations/us-central1/clusters/c")
    with ledger.change() as entries:
        entries.put(cluster)
    inputs = changed(POOL, "location", "us-central1")
    with pytest.raises(ProviderError, match='Zone "us-west1-a" does not exist in region "us-central1"'):
        create(provider, POOL, {**inputs, "nodeLocations": ["us-central1-a", "us-west1-a"]})
    pool = Entry(POOL, f"{cluster.id}/nodePools/p", inputs=inputs, owner=cluster.id)
    with ledger.change() as entries:
        entries.put(pool)
    news = write_properties({**inputs, "nodeLocations": ["us-central1-d"]})
    with pytest.raises(ProviderError, match='Zone "us-central1-d" does not exist in region "us-central1"'):
        provider.update(wire.UpdateRequest(urn=urn(POOL), id=pool.id, olds=write_properties({}), news=news))


def test_names_are_made_up_once(provider: GcpProvider) -> None:
    request = wire.CheckRequest(urn=urn(NETWORK), news=write_properties({}))
    first = read_properties(provider.check(request).inputs)
    assert str(first["name"]).startswith("it-")
    again = wire.CheckRequest(urn=urn(NETWORK), olds=write_properties(first), news=write_properties({}))
    assert read_properties(provider.check(again).inputs) == first


def test_an_interrupted_write_leaves_the_ledger_as_it_was(ledger: Ledger) -> None:
    def interrupted() -> None:
        with ledger.change() as entries:
            entries.put(Entry(DISK, "b"))
            raise KeyboardInterrupt

    with ledger.change() as entries:
        entries.put(Entry(DISK, "a"))
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ledger.billed() == ["a"]


def test_functions(provider: GcpProvider) -> None:
    def ask(token: str, arguments: Properties) -> Properties:
        request = wire.InvokeRequest(tok=token, args=write_properties(arguments))
        return read_properties(getattr(provider.invoke(request), "return"))

    versions = ask("gcp:container/getEngineVersions:getEngineVersions", {"location": "us-west1-a"})
    channels = cast(Properties, versions["releaseChannelDefaultVersion"])
    assert channels["REGULAR"] == versions["latestMasterVersion"]
    assert str(ask("gcp:organizations/getProject:getProject", {"projectId": PROJECT})["number"]).isdigit()
    zones = ask("gcp:compute/getZones:getZones", {"region": "us-central1"})
    assert zones["names"] == [f"us-central1-{letter}" for letter in "abcf"]
    with pytest.raises(ProviderError, match="has no function gcp:x"):
        ask("gcp:x", {})


@pytest.mark.parametrize("kind", VALID)
def test_a_recovery_knows_the_same_ids(kind: str) -> None:
    inputs: Properties = {**VALID[kind], "project": PROJECT}
    assert google_id(kind, inputs) == KINDS[kind].id_of(inputs)


def test_an_unknown_kind_is_named(provider: GcpProvider) -> None:
    with pytest.raises(ProviderError, match="has no gcp:storage/bucket:Bucket; it has: "):
        provider.check(wire.CheckRequest(urn=urn("gcp:storage/bucket:Bucket")))
