"""A GKE cluster of the stand-in cloud: its nodes, the disks of its claims, and what stays when it goes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from kubernetes import client
from kubernetes.client.api_client import ApiClient

from local.api import kubeconfig
from local.ledger.disk_driver import DELETION_SECONDS, DRIVER
from local.ledger.ledger import CLUSTER, DISK, Ledger
from local.standins.cloud.__main__ import delete_cluster, start_cluster, stop_cluster
from local.standins.cloud.clusters import Clusters
from local.standins.plugins.google.kinds import disk as disk_kind
from local.standins.plugins.google.provider import GcpProvider
from local.standins.plugins.property_values import read_properties, write_properties
from local.standins.plugins.provider_errors import ProviderError
from tests.google_resources import (
    NETWORK,
    POOL,
    SUBNETWORK,
    VALID,
    changed,
    create,
    delete,
    provider_of,
    urn,
    wire,
)
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """A cloud with a network, a cluster and three nodes in it; its processes are ended at the end."""
    made = Ledger(tmp_path_factory.mktemp("cloud") / "ledger.json")
    try:
        provider = provider_of(made)
        for kind in (NETWORK, SUBNETWORK, CLUSTER, POOL):
            create(provider, kind)
        yield made
    finally:
        for entry in made.read().of_type(CLUSTER):
            Clusters(made).remove(entry.id)


@pytest.fixture
def provider(ledger: Ledger) -> GcpProvider:
    return provider_of(ledger)


@pytest.fixture
def api(ledger: Ledger) -> Iterator[ApiClient]:
    """A client of the cluster's API server."""
    with kubeconfig.connect(_plane(ledger).kubeconfig) as connected:
        yield connected


def _plane(ledger: Ledger) -> Any:
    return Clusters(ledger).control_plane(ledger.read().of_type(CLUSTER)[0].id)


def _claim(api: ApiClient, name: str, storage_class: str, volume: str | None = None) -> None:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class,
        "resources": {"requests": {"storage": "2Gi"}},
        "volumeName": volume,
    }
    core: Any = client.CoreV1Api(api)
    core.create_namespaced_persistent_volume_claim("default", {"metadata": {"name": name}, "spec": spec})


def _pod(api: ApiClient, name: str, claim: str) -> None:
    spec = {
        "containers": [{"name": "c", "image": "c", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}],
        "terminationGracePeriodSeconds": 0,
    }
    cast(Any, client.CoreV1Api(api)).create_namespaced_pod("default", {"metadata": {"name": name}, "spec": spec})


def _static_volume(api: ApiClient, name: str, handle: str) -> None:
    spec = {
        "capacity": {"storage": "2Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "standard-rwo",
        "persistentVolumeReclaimPolicy": "Retain",
        "csi": {"driver": DRIVER, "volumeHandle": handle},
    }
    cast(Any, client.CoreV1Api(api)).create_persistent_volume({"metadata": {"name": name}, "spec": spec})


def _phase(api: ApiClient, pod: str) -> str:
    return str(cast(Any, client.CoreV1Api(api)).read_namespaced_pod(pod, "default").status.phase)


def _disks(ledger: Ledger) -> list[str]:
    return [entry.id for entry in ledger.read().of_type(DISK)]


def _usable(api: ApiClient) -> dict[str, str]:
    """Machine type of every node that is Ready and takes pods, by its name."""
    return {
        node.metadata.name: node.metadata.labels["node.kubernetes.io/instance-type"]
        for node in cast(Any, client.CoreV1Api(api)).list_node().items
        if not node.spec.unschedulable
        and any(
            condition.type == "Ready" and condition.status == "True"
            for condition in cast("list[Any]", node.status.conditions or [])
        )
    }


def test_default_pool_is_removed_when_the_plug_in_is_asked_and_not_before(
    ledger: Ledger, provider: GcpProvider
) -> None:
    (entry,) = ledger.read().of_type(CLUSTER)
    pools = [f"{entry.id}/nodePools/p"]
    assert [pool.id for pool in ledger.read().of_type(POOL)] == pools
    for asked, left in ((True, 2), (False, 1)):
        # As it is where the plug-in was killed before its last step.
        with ledger.change() as entries:
            entries.put(replace(entry, status="PROVISIONING"))
        olds = write_properties({**VALID[CLUSTER], "removeDefaultNodePool": asked})
        read = provider.read(wire.ReadRequest(urn=urn(CLUSTER), id=entry.id, properties=olds))
        assert read_properties(read.properties)["removeDefaultNodePool"] is asked
        assert [pool.id for pool in ledger.read().of_type(POOL) if pool.id in pools] == pools
        news = write_properties(VALID[CLUSTER])
        provider.update(wire.UpdateRequest(urn=urn(CLUSTER), id=entry.id, olds=read.properties, news=news))
        assert len(ledger.read().of_type(POOL)) == left
        running = ledger.read().get(entry.id)
        assert running is not None
        assert running.status == "RUNNING"


def test_nodes_are_those_of_the_pool(api: ApiClient) -> None:
    assert list(_usable(api).values()) == ["e2-standard-4"] * 3


def test_a_claims_disk_goes_some_seconds_after_it(api: ApiClient, ledger: Ledger) -> None:
    core: Any = client.CoreV1Api(api)
    _claim(api, "dynamic", "standard")
    wait_until(lambda: len(_disks(ledger)) == 1, "the claim's disk is there")
    assert "/zones/us-west1-a/disks/pvc-" in _disks(ledger)[0]
    wait_until(
        lambda: core.read_namespaced_persistent_volume_claim("dynamic", "default").status.phase == "Bound", "bound"
    )
    core.patch_namespaced_persistent_volume_claim(
        "dynamic", "default", {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}
    )
    wait_until(lambda: ledger.read().of_type(DISK)[0].properties["size"] == 3, "the disk has grown")
    core.delete_namespaced_persistent_volume_claim("dynamic", "default")
    wait_until(lambda: core.list_namespaced_persistent_volume_claim("default").items == [], "the claim is gone")
    assert len(_disks(ledger)) == 1
    assert DELETION_SECONDS > 1
    wait_until(lambda: _disks(ledger) == [], "the disk is gone")
    wait_until(lambda: core.list_persistent_volume().items == [], "the volume is gone")


def test_a_volume_without_its_disk_lets_no_pod_run(
    api: ApiClient, ledger: Ledger, provider: GcpProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    core: Any = client.CoreV1Api(api)
    disk = "projects/test-project/zones/us-west1-a/disks/disk"
    _static_volume(api, "static", disk)

    def marked() -> bool:
        return bool(core.read_persistent_volume("static").metadata.labels)

    wait_until(marked, "the driver has found no disk")
    _claim(api, "static", "standard-rwo", "static")
    _pod(api, "mounts", "static")

    def unschedulable() -> bool:
        conditions = cast("list[Any]", core.read_namespaced_pod("mounts", "default").status.conditions or [])
        return any(condition.reason == "Unschedulable" for condition in conditions)

    wait_until(unschedulable, "the pod finds no place")
    assert create(provider, DISK) == disk
    wait_until(lambda: _phase(api, "mounts") == "Running", "the pod runs")
    wait_until(lambda: Clusters(ledger).attached_to(disk) is not None, "the disk is attached")
    # What runs keeps its disk.
    monkeypatch.setattr(disk_kind, "_DETACH_SECONDS", 0.2)
    with pytest.raises(ProviderError, match="already being used by 'gke-c-p-"):
        delete(provider, DISK, disk)
    core.delete_namespaced_pod("mounts", "default", grace_period_seconds=0)
    wait_until(lambda: Clusters(ledger).attached_to(disk) is None, "the disk is detached")
    core.delete_namespaced_persistent_volume_claim("static", "default")
    core.delete_persistent_volume("static")
    delete(provider, DISK, disk)
    assert _disks(ledger) == []


def test_another_machine_type_leaves_no_node_missing(api: ApiClient, provider: GcpProvider) -> None:
    before, fewest, done = set(_usable(api)), [99], threading.Event()

    def watch() -> None:
        while not done.is_set():
            fewest[0] = min(fewest[0], len(_usable(api)))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        answer = provider.update(
            wire.UpdateRequest(
                urn=urn(POOL),
                id="projects/test-project/locations/us-west1-a/clusters/c/nodePools/p",
                olds=write_properties(VALID[POOL]),
                news=write_properties(changed(POOL, "nodeConfig.machineType", "e2-standard-8")),
            )
        )
    finally:
        done.set()
        watching.join()
    assert read_properties(answer.properties)["nodeCount"] == 3
    assert list(_usable(api).values()) == ["e2-standard-8"] * 3
    assert not before & set(_usable(api))
    assert fewest[0] == 3


def test_a_control_plane_comes_back_with_all_that_was_in_it(ledger: Ledger) -> None:
    before = Clusters(ledger).endpoint(ledger.read().of_type(CLUSTER)[0].id)
    stop_cluster(ledger, "c")
    assert _plane(ledger).processes() == []
    start_cluster(ledger, "c")
    assert Clusters(ledger).endpoint(ledger.read().of_type(CLUSTER)[0].id) == before
    with kubeconfig.connect(_plane(ledger).kubeconfig) as connected:
        assert len(_usable(connected)) == 3


# Last: the cluster is gone after it.
def test_a_disk_whose_cluster_goes_first_stays(api: ApiClient, ledger: Ledger) -> None:
    _claim(api, "left", "standard")
    wait_until(lambda: len(_disks(ledger)) == 1, "the claim's disk is there")
    plane = _plane(ledger)
    delete_cluster(ledger, "c")
    assert plane.processes() == []
    assert not plane.state.exists()
    assert [entry for entry in ledger.billed() if "/disks/" in entry or "cluster" in entry] == _disks(ledger)
    assert len(_disks(ledger)) == 1
