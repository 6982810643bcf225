"""The cluster as the stack's config asks for it."""

from __future__ import annotations

import pytest
import yaml

from dragonfly.google.cluster_version import GkeVersionError
from dragonfly.google.registries import google_registries
from dragonfly.parts.registry_mirrors import DEFAULT_REGISTRIES
from tests.program.recorded import gke_stack
from tests.program.recorded.gke_stack import cluster, configured_gke, firewall, node, only, pool, run_gke
from tests.program.recorded.known_stacks import DEFAULT_CONFIG
from tests.program.recorded.recorded_program import RecordedProgram, run_main


@pytest.fixture(scope="module")
def gke() -> RecordedProgram:
    return run_gke()


@pytest.fixture(scope="module")
def regional() -> RecordedProgram:
    return configured_gke()


def test_cluster_is_zonal_and_all_of_it_in_one_region(gke: RecordedProgram) -> None:
    assert cluster(gke)["location"] == gke_stack.ZONE
    for kind in ("Subnetwork", "Router", "RouterNat"):
        assert [one.manifest["region"] for one in gke.of_kind(kind)] == ["us-west1"]


def test_region_makes_the_cluster_regional_and_leaves_the_disks_in_the_zone(regional: RecordedProgram) -> None:
    assert cluster(regional)["location"] == "us-west1"
    assert {one.manifest["zone"] for one in regional.of_kind("Disk")} == {gke_stack.ZONE}


def test_disks_zone_is_among_those_of_a_regional_clusters_nodes(
    gke: RecordedProgram, regional: RecordedProgram
) -> None:
    assert "nodeLocations" not in pool(gke)
    disks = {one.manifest["zone"] for one in regional.of_kind("Disk")}
    assert disks < set(pool(regional)["nodeLocations"])
    assert pool(regional)["nodeLocations"] == ["us-west1-a", "us-west1-b", "us-west1-c"]


def test_another_zone_takes_the_disks_along() -> None:
    gke = run_gke(clusterLocation="europe-west1-b")
    assert {one.manifest["zone"] for one in gke.of_kind("Disk")} == {"europe-west1-b"}
    assert only(gke, "gcp:compute/subnetwork:Subnetwork").manifest["region"] == "europe-west1"


def test_default_pool(gke: RecordedProgram) -> None:
    assert (pool(gke)["initialNodeCount"], pool(gke)["nodeCount"]) == (3, 3)
    assert "autoscaling" not in pool(gke)
    assert (node(gke)["machineType"], node(gke)["diskSizeGb"], node(gke)["spot"]) == ("e2-standard-4", 100, False)


def test_configured_pool(regional: RecordedProgram) -> None:
    assert pool(regional)["autoscaling"] == {"minNodeCount": 2, "maxNodeCount": 6}
    assert (pool(regional)["initialNodeCount"], pool(regional)["nodeCount"]) == (2, 2)
    assert (node(regional)["machineType"], node(regional)["diskSizeGb"], node(regional)["spot"]) == (
        "n2-standard-8",
        200,
        True,
    )


def test_pool_is_the_clusters(gke: RecordedProgram, regional: RecordedProgram) -> None:
    for program in (gke, regional):
        assert pool(program)["location"] == cluster(program)["location"]
        assert pool(program)["cluster"] == cluster(program)["name"]


def test_nodes_disk_is_neither_slower_than_the_network_nor_dear(gke: RecordedProgram) -> None:
    assert node(gke)["diskType"] == "pd-balanced"


def test_everything_is_in_the_stacks_project(gke: RecordedProgram) -> None:
    for one in gke.resources:
        if one.type.startswith("gcp:"):
            assert one.manifest["project"] == gke_stack.PROJECT, one.name


def test_names_of_what_the_cluster_has_to_itself(gke: RecordedProgram) -> None:
    network = gke.of_kind("Network", "Subnetwork", "Router", "RouterNat")
    assert {one.manifest["name"] for one in network} == {gke_stack.CLUSTER}
    for rule in ("peers-allow", "peers-deny"):
        assert firewall(gke, rule)["name"] == f"{gke_stack.CLUSTER}-{rule}"
    account = only(gke, "gcp:serviceaccount/account:Account").manifest
    assert account["accountId"] == f"{gke_stack.CLUSTER}-nodes"


def test_way_out_belongs_to_the_own_network(gke: RecordedProgram) -> None:
    for kind in ("Subnetwork", "Router"):
        assert [one.manifest["network"] for one in gke.of_kind(kind)] == ["the-network"]
    nat = only(gke, "gcp:compute/routerNat:RouterNat").manifest
    assert nat["router"] == only(gke, "gcp:compute/router:Router").manifest["name"]
    # The list that it has is the own subnetwork alone.
    assert nat["sourceSubnetworkIpRangesToNat"] == "LIST_OF_SUBNETWORKS"


def test_no_node_is_missing_while_nodes_are_changed(gke: RecordedProgram) -> None:
    assert pool(gke)["upgradeSettings"] == {"strategy": "SURGE", "maxSurge": 1, "maxUnavailable": 0}


def test_autoscalers_and_upgraders_numbers_are_not_fought(gke: RecordedProgram, regional: RecordedProgram) -> None:
    assert only(gke, "gcp:container/nodePool:NodePool").ignored == {"initialNodeCount"}
    assert only(regional, "gcp:container/nodePool:NodePool").ignored == {"initialNodeCount", "nodeCount"}
    assert only(gke, "gcp:container/cluster:Cluster").ignored == {
        "initialNodeCount",
        "minMasterVersion",
        "nodeConfig",
        "privateClusterConfig.privateEndpointSubnetwork",
    }


def test_existing_network_is_left_as_it_is() -> None:
    gke = run_gke(network="projects/host/global/networks/shared", subnetwork="nodes")
    assert not gke.of_kind("Network", "Subnetwork", "Router", "RouterNat")
    assert (cluster(gke)["network"], cluster(gke)["subnetwork"]) == ("projects/host/global/networks/shared", "nodes")
    # GKE adds its own secondary ranges to a subnetwork where none is named.
    assert cluster(gke)["ipAllocationPolicy"] == {}
    # A shared network's rules belong to the project that it is in.
    for rule in ("peers-allow", "peers-deny"):
        assert firewall(gke, rule)["project"] == "host"
        assert firewall(gke, rule)["network"] == "projects/host/global/networks/shared"


def test_every_registry_goes_to_the_peer_first_and_to_the_registry_itself_after(gke: RecordedProgram) -> None:
    mirrors = {one["server"]: one["hosts"] for one in node(gke)["containerdConfig"]["registryHosts"]}
    assert tuple(mirrors) == DEFAULT_REGISTRIES
    for registry, (peer, *rest) in mirrors.items():
        real = "https://registry-1.docker.io" if registry == "docker.io" else f"https://{registry}"
        assert peer["host"] == "http://127.0.0.1:65001"
        assert peer["capabilities"] == ["HOST_CAPABILITY_PULL", "HOST_CAPABILITY_RESOLVE"]
        assert peer["headers"] == [{"key": "X-Dragonfly-Registry", "values": [real]}]
        assert peer["dialTimeout"] == "1s"
        assert rest[-1]["host"] == real
        # Nobody pushes by a mirror, nor by what stands behind it.
        assert all(one["capabilities"] == peer["capabilities"] for one in rest)
        # A fall-back that needs the peer's header would be no fall-back.
        assert all("headers" not in one for one in rest)


def test_docker_hub_falls_back_to_googles_cache_first(gke: RecordedProgram) -> None:
    (docker,) = [one for one in node(gke)["containerdConfig"]["registryHosts"] if one["server"] == "docker.io"]
    assert [one["host"] for one in docker["hosts"]] == [
        "http://127.0.0.1:65001",
        "https://mirror.gcr.io",
        "https://registry-1.docker.io",
    ]


def test_mirrors_follow_the_config_with_googles_registries_around_the_cluster(regional: RecordedProgram) -> None:
    mirrors = node(regional)["containerdConfig"]["registryHosts"]
    assert [one["server"] for one in mirrors] == [
        "quay.io",
        "gcr.io",
        "us-west1-docker.pkg.dev",
        "us-docker.pkg.dev",
    ]
    assert {one["hosts"][0]["host"] for one in mirrors} == {"http://127.0.0.1:62001"}


@pytest.mark.parametrize(
    ("region", "around"),
    [
        ("europe-west4", ["europe-docker.pkg.dev"]),
        ("asia-northeast1", ["asia-docker.pkg.dev"]),
        # In none of the multi-regions.
        ("australia-southeast1", []),
    ],
)
def test_googles_registries_are_those_of_the_region(region: str, around: list[str]) -> None:
    assert google_registries(region) == [f"{region}-docker.pkg.dev", *around, "gcr.io"]


def test_private_registries_alone_need_nodes_that_know_mirrors_too() -> None:
    gke = run_gke(registryMirrors="[]", mirrorPrivateRegistries="true")
    assert cluster(gke)["minMasterVersion"] == gke_stack.VERSION
    assert len(node(gke)["containerdConfig"]["registryHosts"]) == 3


def test_an_existing_clusters_nodes_can_be_given_the_same_as_a_file(gke: RecordedProgram) -> None:
    """Names as gcloud reads them: `header` and `value`, where the resource has `headers` and `values`."""
    existing = run_main({"dragonfly:provisionCluster": "false"}).completed()
    given = yaml.safe_load(existing.exports["containerdConfig"].value)
    for server in given["registryHosts"]:
        for host in server["hosts"]:
            if "header" in host:
                host["headers"] = [{"key": each["key"], "values": each["value"]} for each in host.pop("header")]
    assert given == node(gke)["containerdConfig"]
    # A program that makes the pool tells it itself; without mirrors there is nothing to tell.
    assert "containerdConfig" not in gke.exports
    assert "containerdConfig" not in run_main(DEFAULT_CONFIG).completed().exports


def test_without_mirrors_those_of_before_are_taken_back_and_no_version_is_asked_for() -> None:
    gke = run_gke(offered="1.30.1-gke.1", running="1.30.1-gke.1", registryMirrors="[]")
    # The plug-in leaves alone what is left out, and shows an empty list as a change for ever.
    assert node(gke)["containerdConfig"] == {"privateRegistryAccessConfig": {"enabled": False}}
    assert "minMasterVersion" not in cluster(gke)


def test_new_cluster_asks_for_a_version_that_has_the_mirrors(gke: RecordedProgram) -> None:
    assert cluster(gke)["minMasterVersion"] == gke_stack.VERSION


@pytest.mark.parametrize(
    ("function", "arguments", "first"),
    [
        ("gcp:compute/getZones:getZones", {"project": "my-project", "region": "us-west1"}, "compute-api"),
        (
            "gcp:container/getEngineVersions:getEngineVersions",
            {"project": "my-project", "location": "us-west1"},
            "container-api",
        ),
        ("gcp:organizations/getProject:getProject", {"projectId": "my-project"}, "cluster"),
    ],
)
def test_google_is_asked_for_the_stacks_own_place_once_it_can_answer(
    regional: RecordedProgram, function: str, arguments: dict[str, str], first: str
) -> None:
    asked, before = regional.asked[function]
    assert asked == arguments
    assert first in before


def test_old_release_channel_is_refused_before_the_cluster_is_made() -> None:
    with pytest.raises(GkeVersionError, match=r"need GKE 1\.34\.1-gke\.2980000 or later, and release channel REGULAR"):
        run_gke(offered="1.33.5-gke.1")


def test_old_cluster_is_refused_before_its_nodes_are_changed() -> None:
    with pytest.raises(GkeVersionError, match=r"the cluster runs 1\.34\.1-gke\.2979999"):
        run_gke(running="1.34.1-gke.2979999")


def test_nodes_that_lag_behind_are_refused_before_they_are_changed() -> None:
    with pytest.raises(GkeVersionError, match=r"its nodes run 1\.34\.1-gke\.2979999;.*pulumi refresh"):
        run_gke(nodes="1.34.1-gke.2979999*")


def test_pool_of_spot_machines_has_a_name_of_its_own_so_that_it_comes_before_the_other_goes(
    gke: RecordedProgram, regional: RecordedProgram
) -> None:
    assert (node(gke)["spot"], node(regional)["spot"]) == (False, True)
    assert (pool(gke)["name"], pool(regional)["name"]) == ("dragonfly", "dragonfly-spot")
    # Every other change of the nodes leaves the pool where it is.
    changed = run_gke(nodeMachineType="n2-standard-8", nodeCount="5", nodeDiskSize="200Gi", registryMirrors="[]")
    assert pool(changed)["name"] == "dragonfly"


def test_kubeconfig_leads_to_the_cluster(gke: RecordedProgram) -> None:
    document = yaml.safe_load(gke.exports["kubeconfig"].value)
    (named,) = document["clusters"]
    assert named["cluster"] == {
        "server": f"https://{gke_stack.ENDPOINT}",
        "certificate-authority-data": gke_stack.AUTHORITY,
    }
    assert document["current-context"] == f"gke_{gke_stack.PROJECT}_{gke_stack.ZONE}_{gke_stack.CLUSTER}"


def test_kubeconfig_by_the_dns_name_trusts_who_signs_for_everybody(regional: RecordedProgram) -> None:
    document = yaml.safe_load(regional.exports["kubeconfig"].value)
    (named,) = document["clusters"]
    assert named["cluster"] == {"server": f"https://{gke_stack.DNS_ENDPOINT}"}
    # As before otherwise: kubectl's contexts stay.
    assert document["current-context"] == "gke_my-project_us-west1_images"


def test_provider_stays_the_same_for_as_long_as_the_cluster_does(gke: RecordedProgram) -> None:
    provider = only(gke, "pulumi:providers:kubernetes").manifest
    assert provider["clusterIdentifier"] == (
        f"projects/{gke_stack.PROJECT}/locations/{gke_stack.ZONE}/clusters/{gke_stack.CLUSTER}"
    )
    assert provider["enableSecretMutable"] == "true"


def test_every_object_goes_to_this_cluster(gke: RecordedProgram) -> None:
    provider = only(gke, "pulumi:providers:kubernetes")
    assert {one.provider.rpartition("::")[0] for one in gke.objects} == {provider.urn}


def test_credentials_come_by_the_address_unless_the_stack_says_otherwise(gke: RecordedProgram) -> None:
    assert gke.exports["getCredentialsCommand"].value == (
        "gcloud container clusters get-credentials dragonfly-cluster --location us-west1-a --project my-project"
    )


def test_outputs(regional: RecordedProgram) -> None:
    exports = {name: export.value for name, export in regional.exports.items()}
    assert exports["getCredentialsCommand"] == (
        "gcloud container clusters get-credentials images --location us-west1 --project my-project --dns-endpoint"
    )
    assert exports["applicationLink"] == (
        "https://console.cloud.google.com/kubernetes/application/us-west1/images/p2p/images-eu"
    )


def test_names_that_google_limits_are_short_enough() -> None:
    gke = run_gke(clusterName="a" * 40, appInstanceName="b" * 42)
    account = only(gke, "gcp:serviceaccount/account:Account").manifest["accountId"]
    assert 6 <= len(account) <= 30
    names = [one.manifest["name"] for one in gke.of_kind("Disk", "Firewall", "Network", "Router", "RouterNat")]
    assert all(len(name) <= 63 for name in names)
    assert len(set(names)) == len(names) - 2


def test_google_upgrades_when_the_stack_says_so(gke: RecordedProgram, regional: RecordedProgram) -> None:
    windows = [cluster(one)["maintenancePolicy"]["recurringWindow"] for one in (gke, regional)]
    assert {one["recurrence"] for one in windows} == {"FREQ=DAILY"}
    assert [(one["startTime"], one["endTime"]) for one in windows] == [
        ("2026-01-01T03:00:00Z", "2026-01-01T07:00:00Z"),
        # Over midnight.
        ("2026-01-01T22:30:00Z", "2026-01-02T04:30:00Z"),
    ]
