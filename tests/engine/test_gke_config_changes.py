"""Changes of a GKE stack's config, by the real engine on the stand-in cloud: refused at preview, or done to the end.

The tests follow one stack without protection, from a fresh project on, in the order in which they stand here.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kubernetes import client

from dragonfly.gke.apis import NEEDED_FIRST, enable_command
from local.engine.stack import Engine, LocalStack
from local.ledger.ledger import CLUSTER, NODE_POOL, SERVICE, Entry, Ledger
from local.standins.cloud.clusters import KINDS_SECONDS_VARIABLE
from tests.config_table.changes import PRIORITY_CLASS, REPLACING
from tests.engine.cloud_stacks import cloud_stacks, cluster_client, configure, disks, failure_of
from tests.engine.cluster_objects import objects_by_kind, unready_pods

PROJECT = "project-changes"
MEMBER = "gcp:projects/iAMMember:IAMMember"


@pytest.fixture(scope="module")
def stack(engine: Engine) -> Iterator[LocalStack]:
    """The dev stack, which is not protected, in a project where no API is on."""
    with pytest.MonkeyPatch.context() as patch, cloud_stacks(engine) as make:
        patch.setenv("DRAGONFLY_CLOUD_SECONDS", "0.1")
        # As long as in a real cluster: the plug-in itself tries for 63 s.
        patch.setenv(KINDS_SECONDS_VARIABLE, "75")
        made = make("changes")
        made.ledger.switch_off(PROJECT, *NEEDED_FIRST)
        yield made


@contextmanager
def changed(stack: LocalStack, **keys: str) -> Generator[None]:
    """The stack with another config, for a while; a key with two underscores is a provider's."""
    before = stack.config_file.read_text()
    full_keys = {key.replace("__", ":") if "__" in key else f"dragonfly:{key}": value for key, value in keys.items()}
    stack.output("config", "set-all", *(f"--plaintext={key}={value}" for key, value in full_keys.items()))
    try:
        yield
    finally:
        stack.config_file.write_text(before)


def cloud(stack: LocalStack) -> set[str]:
    return {entry.id for entry in stack.ledger.read().all() if entry.type != SERVICE}


def pools(ledger: Ledger) -> list[Entry]:
    return ledger.read().of_type(NODE_POOL)


def mirrors(ledger: Ledger) -> list[Any]:
    (pool,) = pools(ledger)
    return pool.properties["nodeConfig"].get("containerdConfig", {}).get("registryHosts", [])


def test_a_fresh_project_is_told_once_which_apis_must_be_on(stack: LocalStack) -> None:
    printed = failure_of(stack, "up", "--yes", "--skip-preview")
    # The progress above shows it too.
    assert printed.partition("Diagnostics:")[2].count(enable_command(PROJECT)) == 1
    assert cloud(stack) == set()


def test_after_a_first_update_that_failed_the_config_is_kept_already(stack: LocalStack) -> None:
    with changed(stack, clusterName="other"):
        assert "pulumi config set dragonfly:clusterName dragonfly-cluster" in failure_of(stack, "preview")


def test_an_api_that_was_switched_on_a_moment_ago_is_waited_for_by_a_second_update(stack: LocalStack) -> None:
    with stack.ledger.change() as entries:
        entries.remove(f"{PROJECT}/serviceusage.googleapis.com")
    assert "run `pulumi up` again" in failure_of(stack, "up", "--yes", "--skip-preview")
    stack.output("up", "--yes", "--skip-preview")
    with cluster_client(stack.ledger) as api:
        assert unready_pods(api, "default") == []
    # The kind came a while after the cluster.
    assert len(pod_monitorings(stack)) == 6


REFUSED = {
    "gcp__project": "another-project",
    "gcp__zone": "us-west1-b",
    "clusterName": "other",
    "network": "shared",
    "subnetwork": "nodes",
    "appInstanceName": "other",
    "namespace": "other",
}


def test_what_would_delete_cluster_or_data_is_refused_with_every_key_and_what_to_do(stack: LocalStack) -> None:
    before = cloud(stack)
    with changed(stack, **REFUSED):
        printed = failure_of(stack, "preview")
        assert failure_of(stack, "up", "--yes", "--skip-preview")
    for remedy in (
        f"set gcp:project {PROJECT}",
        "set gcp:zone us-west1-a",
        "set dragonfly:clusterName dragonfly-cluster",
        "rm dragonfly:network",
        "rm dragonfly:subnetwork",
        "set dragonfly:appInstanceName dragonfly-1",
        "set dragonfly:namespace default",
    ):
        assert f"    pulumi config {remedy}\n" in printed
    assert cloud(stack) == before


def test_a_cluster_that_somebody_else_has_is_refused_in_the_place_of_the_stacks_own(stack: LocalStack) -> None:
    before = cloud(stack)
    with changed(stack, provisionCluster="false"):
        assert "pulumi config set dragonfly:provisionCluster true" in failure_of(stack, "up", "--yes", "--skip-preview")
    assert cloud(stack) == before


def test_a_cluster_of_its_own_is_refused_to_a_stack_in_an_existing_one_before_any_of_it_is_made(engine: Engine) -> None:
    with cloud_stacks(engine) as make:
        # Nothing answers there: what was to be installed is recorded all the same.
        stack = make("moves", provisionCluster=False)
        assert re.search("unreachable|may be there already", failure_of(stack, "up", "--yes", "--skip-preview"))
        with changed(stack, provisionCluster="true"):
            printed = failure_of(stack, "up", "--yes", "--skip-preview")
        assert "pulumi config set dragonfly:provisionCluster false" in printed
        assert stack.ledger.read().all() == []


def test_after_a_smaller_disk_was_refused_mirrors_go_from_the_nodes_when_the_config_names_none(
    stack: LocalStack,
) -> None:
    before = disks(stack.ledger)
    assert mirrors(stack.ledger)
    configure(stack, registryMirrors="[]")
    with changed(stack, dbPersistentDiskSize="2Gi"):
        printed = failure_of(stack, "up", "--yes", "--skip-preview")
    assert "pulumi config set dragonfly:dbPersistentDiskSize 8Gi" in printed
    assert disks(stack.ledger) == before
    # Set back, the next update goes on.
    stack.output("up", "--yes", "--skip-preview")
    assert disks(stack.ledger) == before
    assert mirrors(stack.ledger) == []


@contextmanager
def watched_pools(ledger: Ledger) -> Generator[list[int]]:
    """The numbers of nodes that were there from moment to moment, in pools that stay."""
    seen: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            seen.append(sum(pool.properties["nodeCount"] for pool in pools(ledger) if pool.status == "RUNNING"))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def password_job(stack: LocalStack) -> str:
    with cluster_client(stack.ledger) as api:
        batch: Any = client.BatchV1Api(api)
        return batch.read_namespaced_job("dragonfly-1-root-password", "default").metadata.uid


def pod_monitorings(stack: LocalStack) -> list[Any]:
    with cluster_client(stack.ledger) as api:
        custom: Any = client.CustomObjectsApi(api)
        group, version = "monitoring.googleapis.com", "v1"
        return custom.list_namespaced_custom_object(group, version, "default", "podmonitorings")["items"]


@pytest.mark.parametrize("there", [True, False], ids=["there", "back"])
def test_what_is_replaced_made_or_deleted_is_done_to_the_end(stack: LocalStack, there: bool) -> None:
    # With the autoscaler, which must not start from nothing either.
    # An image that is given whole hides what the tag and the registry do; test_install has it.
    replacing = {key: values[there] for key, values in REPLACING.items() if key != "images"}
    configure(stack, **replacing, nodeAutoscaling='{"min": 3, "max": 4}')
    if there:
        with cluster_client(stack.ledger) as api:
            classes: Any = client.SchedulingV1Api(api)
            classes.create_priority_class({"metadata": {"name": PRIORITY_CLASS}, "value": 1})
    before, cluster, job = disks(stack.ledger), stack.ledger.read().of_type(CLUSTER), password_job(stack)
    with watched_pools(stack.ledger) as nodes:
        stack.output("up", "--yes", "--skip-preview")
    # Other machines come before the old ones go.
    assert nodes
    assert min(nodes) >= 3
    assert [pool.name for pool in pools(stack.ledger)] == ["dragonfly-spot" if there else "dragonfly"]
    roles = [entry.properties["role"] for entry in stack.ledger.read().of_type(MEMBER)]
    assert ("roles/monitoring.metricWriter" in roles) == there
    assert disks(stack.ledger) == before
    assert len(pod_monitorings(stack)) == (0 if there else 6)
    assert password_job(stack) != job
    assert [entry.properties["endpoint"] for entry in stack.ledger.read().of_type(CLUSTER)] == [
        entry.properties["endpoint"] for entry in cluster
    ]
    with cluster_client(stack.ledger) as api:
        assert unready_pods(api, "default") == []
        # Also where the stack does not define the kind any more.
        assert objects_by_kind(api, "default")["Application"] == {"dragonfly-1"}
    stack.output("preview", "--expect-no-changes")


def test_a_subnetwork_that_the_cluster_tells_of_replaces_nothing(stack: LocalStack) -> None:
    with stack.ledger.change() as entries:
        (cluster,) = entries.of_type(CLUSTER)
        cluster.properties["privateClusterConfig"]["privateEndpointSubnetwork"] = "projects/p/regions/r/subnetworks/s"
        entries.put(cluster)
    assert "replace" not in stack.output("preview", "--refresh")


def test_nothing_is_billed_after_destroy(stack: LocalStack) -> None:
    stack.output("destroy", "--yes", "--skip-preview")
    assert stack.ledger.billed() == []
