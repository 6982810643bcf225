"""IDs under which a killed update's Google Cloud resources are found again."""

from __future__ import annotations

from typing import Any

import pytest

from dragonfly.google.attribution_label import attributed
from dragonfly.google.resource_ids import NAMED_BY_GOOGLE, google_id
from dragonfly.recovery import enter_pending_creations, object_id
from tests.program.recorded.gke_stack import GKE_CONFIG, VERSION, google, run_gke
from tests.program.recorded.recorded_program import run_main

IDS = {
    "container-api": "my-project/container.googleapis.com",
    "network": "projects/my-project/global/networks/dragonfly-cluster",
    "subnetwork": "projects/my-project/regions/us-west1/subnetworks/dragonfly-cluster",
    "router": "projects/my-project/regions/us-west1/routers/dragonfly-cluster",
    "nat": "my-project/us-west1/dragonfly-cluster/dragonfly-cluster",
    "peers-allow": "projects/my-project/global/firewalls/dragonfly-cluster-peers-allow",
    "node-account": ("projects/my-project/serviceAccounts/dragonfly-cluster-nodes@my-project.iam.gserviceaccount.com"),
    "node-role": (
        "my-project/roles/container.defaultNodeServiceAccount/serviceAccount:nodes@my-project.iam.gserviceaccount.com"
    ),
    "cluster": "projects/my-project/locations/us-west1-a/clusters/dragonfly-cluster",
    "node-pool": "projects/my-project/locations/us-west1-a/clusters/dragonfly-cluster/nodePools/dragonfly",
    "mysql-disk": "projects/my-project/zones/us-west1-a/disks/dragonfly-cluster-dragonfly-1-mysql",
}


@pytest.mark.parametrize("name", IDS)
def test_id(name: str) -> None:
    (resource,) = [one for one in run_gke().resources if one.name == name and one.type.startswith("gcp:")]
    assert google_id(resource.type, resource.manifest) == IDS[name]


def test_every_google_resource_of_the_program_has_one() -> None:
    resources = [
        one for one in run_gke().resources if one.type.startswith("gcp:") and not one.type.startswith(NAMED_BY_GOOGLE)
    ]
    found = [google_id(one.type, one.manifest) for one in resources]
    assert None not in found
    assert len(set(found)) == len(found)


def test_a_snapshot_has_one_with_the_name_that_the_plug_in_made_up() -> None:
    snapshot = {"project": "p", "name": "mysql-upgrade-1-0123456"}
    assert google_id("gcp:compute/snapshot:Snapshot", snapshot) == "projects/p/global/snapshots/mysql-upgrade-1-0123456"


def test_what_has_labels_is_marked_as_the_providers() -> None:
    manager: dict[str, Any] = {"type": "kubernetes:apps/v1:Deployment", "outputs": {"metadata": {}}}
    cloud = google(offered=VERSION, running=VERSION, nodes=VERSION, recorded={"urn:a::b::c::manager": manager})
    config = {**GKE_CONFIG, "dragonfly:tag": "2.5.1", "dragonfly:seedPeerCacheSize": "20Gi"}
    labelled = {
        one.type
        for one in run_main(config, cloud=cloud).completed().resources
        if one.type.startswith("gcp:") and {"labels", "resourceLabels"} & set(one.manifest)
    }
    assert "gcp:compute/snapshot:Snapshot" in labelled
    assert [kind for kind in labelled if not attributed(kind, {})] == []


def test_what_is_not_known_has_none() -> None:
    assert google_id("gcp:storage/bucket:Bucket", {"name": "bucket"}) is None
    assert google_id("gcp:compute/disk:Disk", {"name": "disk"}) is None
    assert object_id({"type": "random:index/randomPassword:RandomPassword", "inputs": {}}) is None


def test_pending_creation_of_a_disk_is_entered_for_the_refresh_to_judge() -> None:
    inputs = {"project": "p", "zone": "z", "name": "n", "labels": {"dragonfly-instance": "d"}}
    # What the plug-in would otherwise take for somebody else's labels, and announce as a change.
    labels = {"dragonfly-instance": "d", "goog-pulumi-provisioned": "true"}
    disk = {"urn": "urn:disk", "type": "gcp:compute/disk:Disk", "inputs": inputs}
    deployment = {"resources": [], "pending_operations": [{"type": "creating", "resource": disk}]}
    assert enter_pending_creations(deployment) == 1
    assert deployment == {
        "resources": [{**disk, "id": "projects/p/zones/z/disks/n", "outputs": {**inputs, "pulumiLabels": labels}}],
        "pending_operations": [],
    }


DISK: dict[str, Any] = {
    "urn": "urn:disk",
    "type": "gcp:compute/disk:Disk",
    "inputs": {"project": "p", "zone": "z", "name": "n"},
}
OLD_DISK = {**DISK, "id": "projects/p/zones/z/disks/n", "outputs": {"sizeGb": 8}}
NEW_DISK = {
    **OLD_DISK,
    "outputs": {**DISK["inputs"], "pulumiLabels": {"goog-pulumi-provisioned": "true"}},
}
BEFORE, BEHIND = {"urn": "urn:before"}, {"urn": "urn:behind", "dependencies": ["urn:disk"]}


def entered(*resources: dict[str, Any], creating: dict[str, Any] = DISK) -> list[dict[str, Any]]:
    """The resources of a state once a pending creation has been entered."""
    deployment = {
        "resources": list(resources),
        "pending_operations": [{"type": "creating", "resource": creating}],
    }
    assert enter_pending_creations(deployment) == 1
    assert deployment["pending_operations"] == []
    return deployment["resources"]


def test_creation_that_replaces_what_is_deleted_takes_its_place() -> None:
    assert entered(BEFORE, {**OLD_DISK, "pendingReplacement": True}, BEHIND) == [BEFORE, NEW_DISK, BEHIND]


def test_creation_that_replaces_what_is_still_there_leaves_it_to_be_deleted() -> None:
    assert entered(BEFORE, OLD_DISK, BEHIND) == [BEFORE, NEW_DISK, {**OLD_DISK, "delete": True}, BEHIND]


def test_creation_beside_what_an_earlier_replacement_left_is_a_resource_of_its_own() -> None:
    left = {**OLD_DISK, "delete": True}
    assert entered(left, BEHIND) == [left, BEHIND, NEW_DISK]


def test_default_pool_of_a_cluster_whose_creation_was_killed_is_removed_by_the_next_update() -> None:
    (found,) = [one for one in run_gke().resources if one.name == "cluster"]
    inputs = {**found.manifest, "resourceLabels": {"a": "b"}}
    (cluster,) = entered(creating={"urn": found.urn, "type": found.type, "inputs": inputs})
    assert cluster["inputs"]["removeDefaultNodePool"] is True
    labels = {"a": "b", "goog-pulumi-provisioned": "true"}
    assert cluster["outputs"] == {**inputs, "removeDefaultNodePool": False, "pulumiLabels": labels}
