"""IDs under which a killed update's Google Cloud resources are found again."""

from __future__ import annotations

import pytest

from dragonfly.google_ids import google_id
from dragonfly.recovery import enter_pending_creations, object_id
from tests.unit.gke_stack import run_gke

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
    resources = [one for one in run_gke().resources if one.type.startswith("gcp:")]
    found = [google_id(one.type, one.manifest) for one in resources]
    assert None not in found
    assert len(set(found)) == len(found)


def test_what_is_not_known_has_none() -> None:
    assert google_id("gcp:storage/bucket:Bucket", {"name": "bucket"}) is None
    assert google_id("gcp:compute/disk:Disk", {"name": "disk"}) is None
    assert object_id({"type": "random:index/randomPassword:RandomPassword", "inputs": {}}) is None


def test_pending_creation_of_a_disk_is_entered_for_the_refresh_to_judge() -> None:
    inputs = {"project": "p", "zone": "z", "name": "n"}
    disk = {"urn": "urn:disk", "type": "gcp:compute/disk:Disk", "inputs": inputs}
    deployment = {"resources": [], "pending_operations": [{"type": "creating", "resource": disk}]}
    assert enter_pending_creations(deployment) == 1
    assert deployment == {
        "resources": [{**disk, "id": "projects/p/zones/z/disks/n", "outputs": inputs}],
        "pending_operations": [],
    }
