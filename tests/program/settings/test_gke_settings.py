"""Config of a GKE stack: every faulty one ends in one message that names its faults."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from dragonfly.google.location import GoogleLocation, is_zone, node_zones, region_of
from dragonfly.google.resource_names import google_name
from dragonfly.settings.model import Settings
from dragonfly.settings.node_pool_capacity import Pods
from dragonfly.settings.report import SettingsError
from dragonfly.settings.stack_config import settings_of
from tests.program.recorded.gke_stack import GKE_CONFIG
from tests.program.recorded.recorded_program import ROOT


def settings(environment: dict[str, str] | None = None, /, **keys: str) -> Settings:
    given = {key if ":" in key else f"dragonfly:{key}": value for key, value in keys.items()}
    config = {key: value for key, value in {**GKE_CONFIG, **given}.items() if value or key != "gcp:zone"}
    return settings_of(config, frozenset(), stack="dev", environment=environment or {})


def faults(environment: dict[str, str] | None = None, /, **keys: str) -> dict[str, str]:
    """Key and rule of every fault that a stack has."""
    return {key: rule for key, rule, _ in _faults(environment, keys)}


def remedies(**keys: str) -> list[str]:
    """What to type for every fault that a stack has."""
    return [remedy for _, _, remedy in _faults(None, keys)]


def _faults(environment: dict[str, str] | None, keys: dict[str, str]) -> list[tuple[str, str, str]]:
    with pytest.raises(SettingsError) as refused:
        settings(environment, **keys)
    found = re.findall(r"^  (\S+?)(?::? [^\n]*)?\n    ([^\n]+)\n    ([^\n]+)$", str(refused.value), re.MULTILINE)
    assert all(remedy.startswith("pulumi config ") for _, _, remedy in found)
    return [(key.removeprefix("dragonfly:").rstrip(":"), rule, remedy) for key, rule, remedy in found]


ZONE_RULE = "must be a zone such as us-west1-a; `gcloud compute zones list` shows them"


@pytest.mark.parametrize(
    ("key", "value", "place", "rule"),
    [
        ("clusterLocation", "moon", "clusterLocation", "zone such as us-west1-a"),
        ("clusterLocation", "us-west1-", "clusterLocation", "zone such as us-west1-a"),
        ("clusterLocation", "europe-west1", "clusterLocation", "gcp:zone, us-west1-a, is not in"),
        ("gcp:zone", "us-west1", "gcp:zone", f"is a region and {ZONE_RULE}"),
        ("gcp:zone", "moon", "gcp:zone", f"is no zone and {ZONE_RULE}"),
        ("network", "vpc", "subnetwork", "is not set, but dragonfly:network is"),
        ("subnetwork", "nodes", "network", "is not set, but dragonfly:subnetwork is"),
        ("network", "My_Network", "network", "must be a network's name"),
        ("subnetwork", "projects/x/nodes", "subnetwork", "must be a subnetwork's name"),
        ("nodeMachineType", "e2-standart-4", "nodeMachineType", "did you mean e2-standard-4"),
        ("nodeMachineType", "e2-standard-3", "nodeMachineType", "did you mean e2-standard-"),
        ("nodeMachineType", "n2-custom-2-2048", "nodeMachineType", "the smallest type that can is e2-medium"),
        ("nodeMachineType", "n1-highcpu-2", "nodeMachineType", "the smallest type that can is e2-medium"),
        ("nodeMachineType", "e2-small", "nodeMachineType", "the smallest type that can is e2-medium"),
        ("nodeCount", "0", "nodeCount", "1 to 1000 nodes"),
        ("nodeCount", "1001", "nodeCount", "1 to 1000 nodes"),
        ("nodeCount", "three", "nodeCount", "must be a whole number"),
        ("nodeCount", "true", "nodeCount", "must be a whole number"),
        ("nodeAutoscaling", "5", "nodeAutoscaling", "an object with min and max"),
        ("peerPriorityClass", "system-node-critical", "peerPriorityClass", "which GKE keeps for kube-system"),
        ("nodeAutoscaling", '{"min": 3}', "nodeAutoscaling.max", "must be given"),
        ("nodeAutoscaling", '{"min": 3, "max": "5"}', "nodeAutoscaling.max", "must be a whole number"),
        ("nodeAutoscaling", '{"min": "3", "max": 5}', "nodeAutoscaling.min", "must be a whole number"),
        ("nodeAutoscaling", '{"min": 5, "max": 3}', "nodeAutoscaling", "a min above its max"),
        ("nodeAutoscaling", '{"min": 0, "max": 3}', "nodeAutoscaling.min", "1 to 1000 nodes"),
        ("nodeAutoscaling", '{"min": 3, "max": 3, "size": 3}', "nodeAutoscaling.size", "is not known here"),
        ("nodeDiskSize", "5Gi", "nodeDiskSize", "must be 10Gi to 65536Gi"),
        ("nodeDiskSize", "100Ti", "nodeDiskSize", "must be 10Gi to 65536Gi"),
        ("nodeDiskSize", "100GB", "nodeDiskSize", "must be a Kubernetes quantity"),
        ("spot", "yes", "spot", "must be true or false"),
        ("notificationChannels", '["on-call"]', "notificationChannels[0]", "must be an e-mail address, or projects/"),
        ("notificationChannels", '["a@example.com", "a@example.com"]', "notificationChannels", "names an entry twice"),
        (
            "notificationChannels",
            json.dumps([f"{number}@example.com" for number in range(17)]),
            "notificationChannels",
            "an alert policy takes at most 16",
        ),
        ("deletionProtection", "no", "deletionProtection", "must be true or false"),
        ("authorizedNetworks", "203.0.113.0/24", "authorizedNetworks", "must be a list"),
        ("authorizedNetworks", '["203.0.113.7/24"]', "authorizedNetworks[0]", "host bits are zero"),
        ("authorizedNetworks", '["203.0.113.0/24", "2001:db8::/32"]', "authorizedNetworks[1]", "IPv4 network"),
        ("authorizedNetworks", json.dumps(["203.0.113.0/24"] * 101), "authorizedNetworks", "at most 100"),
        ("registryMirrors", "docker.io", "registryMirrors", "must be a list"),
        ("registryMirrors", '["quay.io", 7]', "registryMirrors[1]", "must be a string"),
        ("registryMirrors", '["https://quay.io"]', "registryMirrors[0]", "without a scheme"),
        ("registryMirrors", '["quay.io", "quay.io"]', "registryMirrors", "twice"),
        ("defaultStorageClass", "fast", "defaultStorageClass", "is no StorageClass of a new GKE cluster"),
        ("dbPersistentDiskSize", "65Ti", "dbPersistentDiskSize", "Compute Engine's greatest disk"),
    ],
)
def test_bad_stack(key: str, value: str, place: str, rule: str) -> None:
    found = faults(**{key: value})
    assert list(found) == [place]
    assert rule in found[place]


def test_googles_registries_count_among_the_mirrors_that_gke_takes() -> None:
    listed = json.dumps([f"registry-{number}.example.com" for number in range(23)])
    found = faults(registryMirrors=listed, mirrorPrivateRegistries="true")
    assert list(found) == ["registryMirrors"]
    assert "dragonfly:mirrorPrivateRegistries adds 3, and GKE takes at most 25" in found["registryMirrors"]


def test_a_cache_must_fit_a_disk_of_compute_engine() -> None:
    found = faults(tag="2.5.1", seedPeerCacheSize="65Ti")
    assert list(found) == ["seedPeerCacheSize"]
    assert "Compute Engine's greatest disk" in found["seedPeerCacheSize"]


@pytest.mark.parametrize(
    ("key", "value", "secret"),
    [
        ("nodeMachineType", "e2-secret-4", "e2-secret-4"),
        ("nodeMachineType", "e2-small", "e2-small"),
        ("registryMirrors", '["secret.io", "secret.io"]', "secret.io"),
        ("registryMirrors", '["https://secret.io"]', "secret.io"),
        ("nodeAutoscaling", '{"min": 77, "max": 66}', "77"),
        ("authorizedNetworks", '["203.0.113.77/24"]', "203.0.113.77"),
        ("defaultStorageClass", "secret", '"secret"'),
        ("clusterLocation", "secret", "secret"),
    ],
)
def test_what_the_stack_encrypts_is_not_shown(key: str, value: str, secret: str) -> None:
    config = {**GKE_CONFIG, f"dragonfly:{key}": value}
    with pytest.raises(SettingsError) as refused:
        settings_of(config, frozenset({f"dragonfly:{key}"}), stack="dev", environment={})
    assert f"dragonfly:{key}" in str(refused.value)
    assert secret not in str(refused.value).replace("--secret", "")


@pytest.mark.parametrize(
    "keys",
    [
        *({"network": name, "subnetwork": name} for name in ("n0", "n9", "n09n", "nn", "n" * 63)),
        *({"network": f"projects/{digit}/global/networks/n", "subnetwork": "n"} for digit in "09"),
        *({"network": "n", "subnetwork": f"projects/{digit}/regions/us-west1/subnetworks/n"} for digit in "09"),
        *(
            {
                "network": "n",
                "subnetwork": f"projects/p/regions/{region}/subnetworks/n",
                "gcp:zone": f"{region}-a",
            }
            for region in ("europe-west9", "europe-west10")
        ),
        {"nodeCount": "1000"},
        *({"nodeDiskSize": size} for size in ("10Gi", "65536Gi")),
        *({key: "64Ti"} for key in ("dbPersistentDiskSize", "redisPersistentDiskSize")),
        {"registryMirrors": json.dumps([f"r{n}.example.com" for n in range(22)]), "mirrorPrivateRegistries": "true"},
        {"authorizedNetworks": json.dumps([f"203.0.113.{host}/32" for host in range(100)])},
    ],
    ids=str,
)
def test_good_value_at_the_edge(keys: dict[str, str]) -> None:
    settings(**keys)


@pytest.mark.parametrize("key", ["network", "subnetwork"])
def test_a_name_of_64_is_too_long(key: str) -> None:
    assert list(faults(**{"network": "n", "subnetwork": "n", key: "n" * 64})) == [key]


def test_all_faults_are_named_at_once() -> None:
    found = faults(
        clusterLocation="europe-west1",
        network="vpc",
        spot="maybe",
        registryMirrors='["*.example.com"]',
        nodeMachineType="e2-small",
        dbUserPassword="short",
    )
    assert set(found) == {
        "clusterLocation",
        "subnetwork",
        "spot",
        "registryMirrors[0]",
        "nodeMachineType",
        "dbUserPassword",
    }


@pytest.mark.parametrize(
    ("place", "fits"),
    [
        ({"gcp:zone": "us-west1-a"}, True),
        ({"gcp:zone": "us-east1-b"}, False),
        ({"gcp:zone": "us-east1-b", "clusterLocation": "us-west1-a"}, True),
        ({"gcp:zone": "us-west1-a", "clusterLocation": "us-east1-b"}, False),
    ],
)
def test_subnetwork_is_in_the_clusters_region(place: dict[str, str], fits: bool) -> None:
    keys = {"network": "vpc", "subnetwork": "projects/host/regions/us-west1/subnetworks/nodes", **place}
    if fits:
        assert settings(**keys).subnetwork == keys["subnetwork"]
    else:
        assert list(faults(**keys)) == ["subnetwork"]
        assert faults(**keys)["subnetwork"] == (
            "is in us-west1 and the cluster in us-east1: GKE takes a subnetwork of the cluster's own region only"
        )
        assert remedies(**keys) == ["pulumi config set dragonfly:subnetwork <value>"]
    assert settings(**{**keys, "subnetwork": "nodes"}).subnetwork == "nodes"


def test_rules_of_a_new_cluster_do_not_bind_an_existing_one() -> None:
    existing = settings(provisionCluster="false", defaultStorageClass="fast", nodeMachineType="e2-small")
    assert existing.default_storage_class == "fast"


def test_autoscaling_counts_with_all_its_nodes() -> None:
    assert settings(nodeMachineType="e2-medium", nodeAutoscaling='{"min": 1, "max": 3}').node_autoscaling
    assert "nodeMachineType" in faults(nodeMachineType="e2-medium", nodeAutoscaling='{"min": 1, "max": 2}')


@pytest.mark.parametrize(
    "machine_type", ["n2-standard-16", "e2-custom-4-8192", "n1-standard-4", "c4-standard-2", "z9-future-4", "tiny"]
)
def test_machine_type_that_is_large_enough_or_that_google_alone_knows(machine_type: str) -> None:
    assert settings(nodeMachineType=machine_type).node_machine_type == machine_type


@pytest.mark.parametrize("variable", ["GOOGLE_ZONE", "GCLOUD_ZONE", "CLOUDSDK_COMPUTE_ZONE"])
def test_zone_of_the_environment_is_judged_like_the_configs(variable: str) -> None:
    other = {variable: "europe-west1-b"}
    assert settings(other, clusterLocation="europe-west1", **{"gcp:zone": ""}).cluster_location == "europe-west1"
    found = faults(other, clusterLocation="us-west1", **{"gcp:zone": ""})
    assert "gcp:zone, europe-west1-b, is not in" in found["clusterLocation"]
    # The config's goes first, as the provider has it.
    assert settings(other, clusterLocation="us-west1").cluster_location == "us-west1"


@pytest.mark.parametrize(
    ("nodes", "count", "enough"), [("1", "one node", "e2-standard-2"), ("2", "2 nodes", "e2-standard-2")]
)
def test_pool_that_is_too_small_is_told_what_would_do(nodes: str, count: str, enough: str) -> None:
    assert faults(nodeMachineType="e2-small", nodeCount=nodes) == {
        "nodeMachineType": f"is too small: {count} of it cannot hold what Dragonfly and GKE's own pods request; "
        f"the smallest type that can is {enough}"
    }


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("nodeMachineType", "e2-standart-4", "nodeMachineType"),
        ("nodeCount", "0", "nodeCount"),
        ("nodeAutoscaling", '{"min": 5, "max": 3}', "nodeAutoscaling"),
        ("nodeDiskSize", "5Gi", "nodeDiskSize"),
        ("metricsExporterEnabled", "yes", "metricsExporterEnabled"),
    ],
)
def test_pool_is_not_judged_by_a_default_in_place_of_a_fault(
    monkeypatch: pytest.MonkeyPatch, key: str, value: str, place: str
) -> None:
    def too_small(*_: object, **__: object) -> bool:
        return False

    monkeypatch.setattr(Pods, "fit", too_small)
    assert [found for found, _, _ in _faults(None, {key: value})] == [place]


def test_remedies_can_be_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    # There is no us-east1-a.
    assert remedies(clusterLocation="us-east1") == ["pulumi config set gcp:zone <zone>"]
    small = {"nodeMachineType": "e2-small"}
    one_at_most = '{"min": 1, "max": 1}'
    assert remedies(**small, nodeCount="1") == ["pulumi config set dragonfly:nodeMachineType e2-standard-2"]

    def none(*_: object, **__: object) -> None: ...

    monkeypatch.setattr(Pods, "smallest_machine_type", none)
    assert remedies(**small, nodeCount="1") == ["pulumi config set dragonfly:nodeCount <value>"]
    assert remedies(**small, nodeAutoscaling=one_at_most) == [
        "pulumi config set --path dragonfly:nodeAutoscaling.max <value>"
    ]


def test_empty_values_mean_not_set() -> None:
    one = settings(clusterLocation="", network="", subnetwork="", nodeAutoscaling="")
    assert (one.cluster_location, one.network, one.subnetwork, one.node_autoscaling) == (None, None, None, None)


def test_dev_stack_needs_a_project_and_nothing_else() -> None:
    config = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    with pytest.raises(SettingsError) as refused:
        settings_of(text, frozenset(), stack="dev", environment={})
    assert "has 1 fault;" in str(refused.value)
    assert "gcp:project" in str(refused.value)
    dev = settings_of({**text, "gcp:project": "my-project"}, frozenset(), stack="dev", environment={})
    assert dev.deletion_protection is False
    assert dev.default_storage_class == "standard-rwo"


@pytest.mark.parametrize(
    ("location", "region", "zone"),
    [
        ("us-west1-a", "us-west1", True),
        ("us-west1", "us-west1", False),
        ("northamerica-northeast2-c", "northamerica-northeast2", True),
        ("us-central1-ai1a", "us-central1", True),
        ("us-central1-ai0a", "us-central1", True),
        ("us-central1-ai9a", "us-central1", True),
        ("me-central2", "me-central2", False),
        ("us-west", None, False),
        ("US-west1-a", None, False),
    ],
)
def test_locations(location: str, region: str | None, zone: bool) -> None:
    assert (region_of(location), is_zone(location)) == (region, zone)


def test_disks_are_where_the_nodes_are() -> None:
    assert GoogleLocation("p", "us-west1-b", "us-west1").disk_zone == "us-west1-b"
    assert GoogleLocation("p", "us-west1-b", "us-west1-c").disk_zone == "us-west1-c"


@pytest.mark.parametrize(
    ("zone", "region", "expected"),
    [("us-central1-f", ("a", "b", "c", "f"), ("a", "b", "f")), ("us-east1-d", ("d", "c", "b"), ("b", "c", "d"))],
)
def test_nodes_are_where_the_disks_are(zone: str, region: tuple[str, ...], expected: tuple[str, ...]) -> None:
    name = region_of(zone)
    zones = [f"{name}-{letter}" for letter in region]
    assert node_zones(zone, [f"{name}-ai1a", *zones]) == [f"{name}-{letter}" for letter in expected]


def test_names_stay_different_when_they_are_shortened() -> None:
    names = {google_name("a" * 40, "b" * number, "mysql") for number in range(10, 40)}
    assert len(names) == 30
    assert all(len(name) <= 63 and re.fullmatch(r"[a-z](?:[a-z0-9-]*[a-z0-9])?", name) for name in names)
    assert google_name("cluster", "nodes", limit=30) == "cluster-nodes"
    assert google_name("cluster", "nodes", limit=13) == "cluster-nodes"
    assert re.fullmatch(r"x{17}-[0-9a-f]{6}-nodes", google_name("x" * 40, "nodes", limit=30))
    # As long as it may be, with 24 bits of the hash.
    assert re.fullmatch(r"a{17}-[0-9a-f]{6}-nodes", google_name("a" * 40, "nodes", limit=30))
    assert re.fullmatch(r"a{16}-[0-9a-f]{6}-nodes", google_name("a" * 16, "b" * 9, "nodes", limit=30))
