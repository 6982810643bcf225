"""What goes in which order, what is left and what is refused when a GKE stack changes or ends."""

from __future__ import annotations

import pytest

from dragonfly.gke.node_account import ROLES
from dragonfly.google.disk_types import DISK_TYPES
from tests.program.recorded import gke_stack
from tests.program.recorded.gke_stack import all_dependencies, cluster, configured_gke, only, run_gke
from tests.program.recorded.recorded_program import RecordedProgram, Resource

CLUSTER = "gcp:container/cluster:Cluster"
NODE_POOL = "gcp:container/nodePool:NodePool"
DISK_HOLDERS = ("PersistentVolume", "PersistentVolumeClaim")
DATABASES = ("mysql", "redis")


@pytest.fixture(scope="module")
def gke() -> RecordedProgram:
    return run_gke()


@pytest.fixture(scope="module")
def unprotected() -> RecordedProgram:
    return configured_gke()


def holds_a_disk(resource: Resource) -> bool:
    return resource.kind in DISK_HOLDERS or (resource.kind == "StatefulSet" and resource.name in DATABASES)


def test_every_stateless_object_goes_with_the_cluster(gke: RecordedProgram) -> None:
    urn = only(gke, CLUSTER).urn
    stateless = [one for one in gke.objects if not holds_a_disk(one)]
    assert len(stateless) > 20
    assert {one.deleted_with for one in stateless} == {urn}
    assert only(gke, NODE_POOL).deleted_with == urn


def test_what_holds_a_disk_is_deleted_by_itself(gke: RecordedProgram) -> None:
    holders = [one for one in gke.objects if holds_a_disk(one)]
    assert len(holders) == 3 * len(DATABASES)
    assert {one.deleted_with for one in (*holders, *gke.of_kind("Disk"))} == {""}


def test_no_component_hands_the_option_to_its_children(gke: RecordedProgram) -> None:
    assert {one.deleted_with for one in gke.resources if not one.custom} == {""}


def test_what_is_billed_goes_by_itself(gke: RecordedProgram) -> None:
    billed = gke.of_kind("Cluster", "Disk", "Network", "Subnetwork", "Router", "RouterNat", "Firewall", "Account")
    assert len(billed) == 10
    assert {one.deleted_with for one in billed} == {""}
    assert not any(one.retain_on_delete for one in billed)


def test_objects_of_an_existing_cluster_are_deleted_one_by_one(default_program: RecordedProgram) -> None:
    assert {one.deleted_with for one in default_program.resources} == {""}
    assert not default_program.of_kind("PersistentVolume", "Disk")
    claims = default_program.of_kind("PersistentVolumeClaim")
    assert [one.spec["storageClassName"] for one in claims] == ["standard", "standard"]
    assert not any("volumeName" in one.spec for one in claims)


@pytest.mark.parametrize("database", DATABASES)
def test_workload_goes_before_claim_before_volume_before_disk(gke: RecordedProgram, database: str) -> None:
    workload = only(gke, "kubernetes:apps/v1:StatefulSet", database)
    claim = only(gke, "kubernetes:core/v1:PersistentVolumeClaim", f"{database}-claim")
    volume = only(gke, "kubernetes:core/v1:PersistentVolume", f"{database}-volume")
    disk = only(gke, "gcp:compute/disk:Disk", f"{database}-disk")
    assert claim.urn in workload.dependencies
    assert volume.urn in claim.dependencies
    assert disk.urn in volume.dependencies


def test_every_object_goes_before_the_nodes_and_the_nodes_before_their_way_out(gke: RecordedProgram) -> None:
    pool, nat = only(gke, NODE_POOL), only(gke, "gcp:compute/routerNat:RouterNat")
    for one in gke.objects:
        assert pool.urn in all_dependencies(gke, one), one.urn
    assert nat.urn in pool.dependencies
    # Nodes do not become Ready without them.
    assert {only(gke, "gcp:projects/iAMMember:IAMMember", role).urn for role in ROLES} <= pool.dependencies


def test_cluster_outlives_its_nodes_and_its_account_and_network_outlive_the_cluster(gke: RecordedProgram) -> None:
    found = only(gke, CLUSTER)
    assert found.urn in all_dependencies(gke, only(gke, NODE_POOL))
    after = all_dependencies(gke, found)
    needed = [one for one in gke.resources if one.name in ("network", "subnetwork", "node-account", *ROLES)]
    assert len(needed) == 5
    for one in needed:
        assert one.urn in after, one.urn


def test_nothing_is_made_before_its_api_is_on(gke: RecordedProgram) -> None:
    apis = {one.name: one.urn for one in gke.of_kind("Service") if one.type == "gcp:projects/service:Service"}
    assert set(apis.values()) <= only(gke, CLUSTER).dependencies
    needs = {"Network": "compute-api", "Disk": "compute-api", "Account": "iam-api"}
    for kind, api in needs.items():
        for one in gke.of_kind(kind):
            assert apis[api] in one.dependencies


def test_disks_do_not_wait_for_the_cluster(gke: RecordedProgram) -> None:
    for disk in gke.of_kind("Disk"):
        assert only(gke, CLUSTER).urn not in all_dependencies(gke, disk)


@pytest.mark.parametrize(
    ("database", "claim", "size"),
    [
        ("mysql", "dragonfly-1-mysql-pvc-dragonfly-1-mysql-0", 8),
        ("redis", "dragonfly-1-redis-data-pvc-dragonfly-1-redis-0", 5),
    ],
)
def test_volume_stands_for_the_disk_and_belongs_to_the_claim(
    gke: RecordedProgram, database: str, claim: str, size: int
) -> None:
    disk = only(gke, "gcp:compute/disk:Disk", f"{database}-disk").manifest
    volume = only(gke, "kubernetes:core/v1:PersistentVolume", f"{database}-volume")
    spec = volume.spec
    assert disk["name"] == f"dragonfly-cluster-dragonfly-1-{database}"
    assert (disk["size"], disk["type"], disk["zone"]) == (size, "pd-balanced", gke_stack.ZONE)
    # By which somebody finds the disks of an installation.
    assert disk["labels"] == {"dragonfly-instance": "dragonfly-1"}
    assert spec["csi"] == {
        "driver": "pd.csi.storage.gke.io",
        "volumeHandle": f"projects/{gke_stack.PROJECT}/zones/{gke_stack.ZONE}/disks/{disk['name']}",
        "fsType": "ext4",
    }
    assert spec["capacity"] == {"storage": f"{size}Gi"}
    # The cluster must not delete what the program made.
    assert spec["persistentVolumeReclaimPolicy"] == "Retain"
    assert spec["claimRef"] == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": "default",
        "name": claim,
    }
    assert spec["accessModes"] == ["ReadWriteOnce"]
    (term,) = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "topology.gke.io/zone", "operator": "In", "values": [gke_stack.ZONE]}]
    bound = only(gke, "kubernetes:core/v1:PersistentVolumeClaim", f"{database}-claim")
    assert bound.object_name == claim
    assert bound.spec["volumeName"] == volume.object_name
    # A claim that grows needs a class that allows it, the same as its volume's.
    assert bound.spec["storageClassName"] == spec["storageClassName"] == "standard-rwo"
    # That class binds late, and this claim is bound at once: the plug-in would wait for a phase that has passed.
    assert bound.metadata["annotations"]["pulumi.com/skipAwait"] == "true"
    # The controller that binds the claim knows the volume once it is Available.
    assert "pulumi.com/skipAwait" not in volume.metadata["annotations"]


def test_bigger_size_reaches_disk_volume_and_claim(unprotected: RecordedProgram) -> None:
    assert only(unprotected, "gcp:compute/disk:Disk", "mysql-disk").manifest["size"] == 21
    volume = only(unprotected, "kubernetes:core/v1:PersistentVolume", "mysql-volume")
    assert volume.spec["capacity"] == {"storage": "21Gi"}
    claim = only(unprotected, "kubernetes:core/v1:PersistentVolumeClaim", "mysql-claim")
    assert claim.spec["resources"]["requests"] == {"storage": "20.5Gi"}


def test_disk_is_what_the_storage_class_stands_for(gke: RecordedProgram, unprotected: RecordedProgram) -> None:
    assert DISK_TYPES == {"standard": "pd-standard", "standard-rwo": "pd-balanced", "premium-rwo": "pd-ssd"}
    for program, disk_type in ((gke, "pd-balanced"), (unprotected, "pd-ssd")):
        assert {one.manifest["type"] for one in program.of_kind("Disk")} == {disk_type}


@pytest.mark.parametrize("database", DATABASES)
def test_another_storage_class_leaves_the_data_alone(
    gke: RecordedProgram, default_program: RecordedProgram, database: str
) -> None:
    assert only(gke, "gcp:compute/disk:Disk", f"{database}-disk").ignored == {"type", "snapshot"}
    volume = only(gke, "kubernetes:core/v1:PersistentVolume", f"{database}-volume")
    assert volume.ignored == {"spec.storageClassName"}
    for program in (gke, default_program):
        claim = only(program, "kubernetes:core/v1:PersistentVolumeClaim", f"{database}-claim")
        assert claim.ignored == {"spec.storageClassName"}


def test_volume_is_the_programs_whatever_somebody_changed(gke: RecordedProgram) -> None:
    for volume in gke.of_kind("PersistentVolume"):
        assert volume.metadata["annotations"] == {"pulumi.com/patchForce": "true"}


def test_nothing_goes_before_its_successor_is_there(gke: RecordedProgram) -> None:
    # Left to itself the plug-in deletes first: a pool with all nodes, a disk with its data.
    for one in gke.of_kind("NodePool", "Disk"):
        assert one.delete_before_replace is False


def test_cluster_and_disks_are_protected_and_nothing_else(gke: RecordedProgram) -> None:
    assert {one.kind for one in gke.resources if one.protect} == {"Cluster", "Disk"}
    assert cluster(gke)["deletionProtection"] is True


def test_without_protection_one_destroy_is_enough(unprotected: RecordedProgram) -> None:
    assert not [one for one in unprotected.resources if one.protect]
    assert cluster(unprotected)["deletionProtection"] is False


def test_names_tell_what_belongs_to_the_stack(gke: RecordedProgram) -> None:
    named = gke.of_kind("Cluster", "Disk", "Network", "Subnetwork", "Router", "RouterNat", "Firewall")
    assert all(one.manifest["name"].startswith(gke_stack.CLUSTER) for one in named)
