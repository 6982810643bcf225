"""Each security setting of the cluster: a test that fails when the setting is removed."""

from __future__ import annotations

import ipaddress

import pytest
import yaml

from dragonfly.gke.network import NODE_RANGE, POD_RANGE, SERVICE_RANGE
from tests.program.recorded import gke_stack
from tests.program.recorded.gke_stack import cluster, configured_gke, firewall, node, only, pool, run_gke
from tests.program.recorded.recorded_program import RecordedProgram, revealed, strings_in


@pytest.fixture(scope="module")
def gke() -> RecordedProgram:
    return run_gke()


@pytest.fixture(scope="module")
def guarded() -> RecordedProgram:
    return configured_gke()


def test_nodes_have_no_public_address(gke: RecordedProgram) -> None:
    assert cluster(gke)["privateClusterConfig"]["enablePrivateNodes"] is True
    assert pool(gke)["networkConfig"]["enablePrivateNodes"] is True


def test_nodes_get_out_by_nat_alone(gke: RecordedProgram) -> None:
    nat = only(gke, "gcp:compute/routerNat:RouterNat").manifest
    assert nat["natIpAllocateOption"] == "AUTO_ONLY"
    # Without these two, connections to a registry run out of ports.
    assert nat["enableDynamicPortAllocation"] is True
    assert nat["enableEndpointIndependentMapping"] is False
    assert nat["subnetworks"] == [{"name": "the-subnetwork", "sourceIpRangesToNats": ["ALL_IP_RANGES"]}]


def test_nodes_reach_google_without_the_internet(gke: RecordedProgram) -> None:
    assert only(gke, "gcp:compute/subnetwork:Subnetwork").manifest["privateIpGoogleAccess"] is True


def test_network_has_no_subnetworks_that_nobody_asked_for(gke: RecordedProgram) -> None:
    assert only(gke, "gcp:compute/network:Network").manifest["autoCreateSubnetworks"] is False


def test_cluster_takes_shielded_nodes_only(gke: RecordedProgram) -> None:
    assert cluster(gke)["enableShieldedNodes"] is True


@pytest.mark.parametrize("part", ["enableSecureBoot", "enableIntegrityMonitoring"])
def test_nodes_are_shielded(gke: RecordedProgram, part: str) -> None:
    assert node(gke)["shieldedInstanceConfig"][part] is True
    assert cluster(gke)["nodeConfig"]["shieldedInstanceConfig"][part] is True


def test_nodes_run_the_image_that_google_hardens(gke: RecordedProgram) -> None:
    assert node(gke)["imageType"] == "COS_CONTAINERD"


def test_nodes_never_run_as_the_default_account(gke: RecordedProgram) -> None:
    assert node(gke)["serviceAccount"] == gke_stack.NODE_ACCOUNT
    assert cluster(gke)["nodeConfig"]["serviceAccount"] == gke_stack.NODE_ACCOUNT
    # The roles decide alone; GKE's default scopes would cut them.
    for config in (node(gke), cluster(gke)["nodeConfig"]):
        assert config["oauthScopes"] == ["https://www.googleapis.com/auth/cloud-platform"]


def test_node_account_may_be_a_node_and_read_images_and_nothing_else(gke: RecordedProgram) -> None:
    granted = [one.manifest for one in gke.of_kind("IAMMember")]
    assert {one["role"] for one in granted} == {
        "roles/container.defaultNodeServiceAccount",
        "roles/artifactregistry.reader",
    }
    assert {one["member"] for one in granted} == {f"serviceAccount:{gke_stack.NODE_ACCOUNT}"}


def test_pods_have_identities_of_their_own(gke: RecordedProgram) -> None:
    assert cluster(gke)["workloadIdentityConfig"] == {"workloadPool": f"{gke_stack.PROJECT}.svc.id.goog"}


def test_metadata_server_hides_the_nodes_credentials_from_pods(gke: RecordedProgram) -> None:
    assert node(gke)["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}
    assert node(gke)["metadata"]["disable-legacy-endpoints"] == "true"


def test_network_policy_is_enforced(gke: RecordedProgram) -> None:
    assert cluster(gke)["datapathProvider"] == "ADVANCED_DATAPATH"


def test_upgrades_come_by_themselves(gke: RecordedProgram) -> None:
    assert cluster(gke)["releaseChannel"] == {"channel": "REGULAR"}
    assert pool(gke)["management"] == {"autoRepair": True, "autoUpgrade": True}


def test_no_client_certificate_and_no_rules_from_before_rbac(gke: RecordedProgram) -> None:
    assert cluster(gke)["masterAuth"]["clientCertificateConfig"]["issueClientCertificate"] is False
    assert cluster(gke)["enableLegacyAbac"] is False


def test_control_plane_answers_authorized_networks_alone(guarded: RecordedProgram) -> None:
    assert cluster(guarded)["masterAuthorizedNetworksConfig"] == {
        "cidrBlocks": [{"cidrBlock": "203.0.113.0/24"}, {"cidrBlock": "198.51.100.7/32"}],
        "gcpPublicCidrsAccessEnabled": False,
    }


def test_control_plane_answers_everywhere_unless_told(gke: RecordedProgram) -> None:
    # Said and not left out, which would keep a list from before.
    assert cluster(gke)["masterAuthorizedNetworksConfig"] == {
        "cidrBlocks": [{"cidrBlock": "0.0.0.0/0"}],
        "gcpPublicCidrsAccessEnabled": True,
    }


def test_nobody_gets_in_by_the_dns_name_unless_told(gke: RecordedProgram, guarded: RecordedProgram) -> None:
    for program, allowed in ((gke, False), (guarded, True)):
        dns = cluster(program)["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]
        assert dns == {"allowExternalTraffic": allowed}


def test_control_plane_can_be_reached_from_outside_of_the_network(gke: RecordedProgram) -> None:
    assert cluster(gke)["privateClusterConfig"]["enablePrivateEndpoint"] is False


def test_logs_and_metrics_leave_the_node(gke: RecordedProgram) -> None:
    assert set(cluster(gke)["loggingConfig"]["enableComponents"]) == {"SYSTEM_COMPONENTS", "WORKLOADS"}
    assert cluster(gke)["monitoringConfig"]["managedPrometheus"]["enabled"] is True


def test_cluster_keeps_no_default_pool(gke: RecordedProgram) -> None:
    assert cluster(gke)["removeDefaultNodePool"] is True


@pytest.mark.parametrize(("rule", "priority"), [("peers-allow", 900), ("peers-deny", 901)])
def test_firewall_rules_speak_of_the_peers_ports_on_our_nodes(gke: RecordedProgram, rule: str, priority: int) -> None:
    found = firewall(gke, rule)
    verb = "allows" if rule == "peers-allow" else "denies"
    assert found[verb] == [{"protocol": "tcp", "ports": ["65000", "65002", "65003", "65004"]}]
    assert found["targetServiceAccounts"] == [gke_stack.NODE_ACCOUNT]
    assert found["direction"] == "INGRESS"
    assert found["priority"] == priority
    assert found["network"] == "the-network"


def test_only_our_nodes_and_pods_reach_the_peers(gke: RecordedProgram) -> None:
    allowed, denied = firewall(gke, "peers-allow"), firewall(gke, "peers-deny")
    assert allowed["sourceServiceAccounts"] == [gke_stack.NODE_ACCOUNT]
    assert allowed["sourceRanges"] == [gke_stack.POD_RANGE]
    assert "denies" in denied
    assert denied["sourceRanges"] == ["0.0.0.0/0"]
    # GKE's own rules and usual "allow internal" rules stand at 1000.
    assert allowed["priority"] < denied["priority"] < 1000


def test_firewall_follows_the_configured_ports(guarded: RecordedProgram) -> None:
    for rule, verb in (("peers-allow", "allows"), ("peers-deny", "denies")):
        assert firewall(guarded, rule)[verb][0]["ports"] == ["62000", "62002", "62003", "62004"]


def test_proxy_port_is_open_to_nobody(gke: RecordedProgram) -> None:
    assert "65001" not in set(strings_in([firewall(gke, "peers-allow")]))


def test_kubeconfig_holds_no_credential_and_is_secret_all_the_same(gke: RecordedProgram) -> None:
    exported = gke.exports["kubeconfig"]
    assert exported.secret
    (user,) = yaml.safe_load(exported.value)["users"]
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["command"] == "gke-gcloud-auth-plugin"
    provider = only(gke, "pulumi:providers:kubernetes")
    assert provider.inputs["kubeconfig"] != revealed(provider.inputs["kubeconfig"])


def test_ranges_of_the_own_network_do_not_overlap(gke: RecordedProgram) -> None:
    subnetwork = only(gke, "gcp:compute/subnetwork:Subnetwork").manifest
    secondary = {one["rangeName"]: one["ipCidrRange"] for one in subnetwork["secondaryIpRanges"]}
    # 4,096 nodes, 262,144 pods, 4,096 Services.
    assert (NODE_RANGE, POD_RANGE, SERVICE_RANGE) == ("10.0.0.0/20", "10.4.0.0/14", "10.8.0.0/20")
    assert subnetwork["ipCidrRange"] == NODE_RANGE
    assert secondary == {"pods": POD_RANGE, "services": SERVICE_RANGE}
    # GKE's nodes keep 172.17.0.0/16 to themselves.
    ranges = [ipaddress.ip_network(one) for one in (NODE_RANGE, POD_RANGE, SERVICE_RANGE, "172.17.0.0/16")]
    assert not any(a.overlaps(b) for i, a in enumerate(ranges) for b in ranges[i + 1 :])
    assert cluster(gke)["ipAllocationPolicy"] == {
        "clusterSecondaryRangeName": "pods",
        "servicesSecondaryRangeName": "services",
    }


def test_apis_stay_on_when_the_stack_goes(gke: RecordedProgram) -> None:
    apis = [one.manifest for one in gke.of_kind("Service") if one.type == "gcp:projects/service:Service"]
    assert {one["service"] for one in apis} == {
        f"{api}.googleapis.com"
        for api in (
            "container",
            "compute",
            "iam",
            "cloudresourcemanager",
            "artifactregistry",
            "logging",
            "monitoring",
        )
    }
    assert all(one["disableOnDestroy"] is False for one in apis)


def test_metrics_exporters_may_write_metrics_with_workload_identity(guarded: RecordedProgram) -> None:
    granted = only(guarded, "gcp:projects/iAMMember:IAMMember", "metrics-writer-role").manifest
    assert granted["role"] == "roles/monitoring.metricWriter"
    assert granted["member"] == (
        "principal://iam.googleapis.com/projects/123456789/locations/global/workloadIdentityPools/"
        "my-project.svc.id.goog/subject/ns/p2p/sa/default"
    )
