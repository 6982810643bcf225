"""The life of the GKE stack of Pulumi.dev.yaml, by the real engine on the stand-in cloud.

The tests follow one stack from its first preview to its end, in the order in which they stand here.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
import yaml
from kubernetes import client

from dragonfly.monitoring.alerts import alerts
from dragonfly.monitoring.scope import Scope
from dragonfly.parts.names import Names
from local.engine.stack import Engine, LocalStack
from local.ledger.ledger import CLUSTER, DISK
from local.standins.cloud.__main__ import delete_cluster
from local.standins.plugins.google.kinds.monitoring import AlertPolicy, NotificationChannel
from tests.engine.cloud_stacks import cloud_stacks, cluster_client, cluster_status, configure, disks, failure_of
from tests.engine.cluster_objects import unready_pods

CLUSTER_NAME = "dragonfly-cluster"
ALERTS = len(alerts(Scope("default", Names("dragonfly-1")), counts_transfers=False))
"""How many the dev stack has, of Dragonfly 2.1."""

SAYS_SO_SECONDS = 60
"""Within which a refresh says that the control plane does not answer; 21 s when the machine is idle, and minutes if the
limit of a request were not there."""


@pytest.fixture(scope="module")
def stack(engine: Engine) -> Iterator[LocalStack]:
    """The dev stack, but protected as a stack is that says nothing of it."""
    with pytest.MonkeyPatch.context() as patch, cloud_stacks(engine) as make:
        patch.setenv("DRAGONFLY_CLOUD_SECONDS", "0.1")
        yield make("gke", deletionProtection=True)


def _volumes(stack: LocalStack) -> dict[str, str]:
    """UID of every claim, by its name."""
    with cluster_client(stack.ledger) as api:
        core: Any = client.CoreV1Api(api)
        claims = core.list_namespaced_persistent_volume_claim("default").items
    return {claim.metadata.name: claim.metadata.uid for claim in claims}


def _machine_types(stack: LocalStack) -> list[str]:
    with cluster_client(stack.ledger) as api:
        nodes: Any = client.CoreV1Api(api).list_node().items
    return [node.metadata.labels["node.kubernetes.io/instance-type"] for node in nodes]


def test_preview_before_there_is_a_cluster(stack: LocalStack) -> None:
    printed = stack.output("preview")
    assert "to create" in printed
    assert stack.ledger.billed() == []


def test_up_from_nothing(stack: LocalStack) -> None:
    stack.output("up", "--yes", "--skip-preview")
    with cluster_client(stack.ledger) as api:
        assert unready_pods(api, "default") == []
    assert _machine_types(stack) == ["e2-standard-4"] * 3
    assert len(disks(stack.ledger)) == 2
    kinds = {entry.type.rpartition(":")[2] for entry in stack.ledger.read().all()}
    assert kinds == {
        "Service",
        "Network",
        "Subnetwork",
        "Router",
        "RouterNat",
        "Firewall",
        "Account",
        "IAMMember",
        "Cluster",
        "NodePool",
        "Disk",
        "AlertPolicy",
        "Dashboard",
    }
    assert _told(stack) == [set[str]()] * ALERTS


def _told(stack: LocalStack) -> list[set[str]]:
    """Whom each alert policy tells."""
    told = [entry.properties["notificationChannels"] for entry in stack.ledger.read().of_type(AlertPolicy.type)]
    return [set(cast("list[str]", channels)) for channels in told]


def _channels(stack: LocalStack) -> set[str]:
    return {entry.id for entry in stack.ledger.read().of_type(NotificationChannel.type)}


def _nodes_by_kubectl(stack: LocalStack, cache: Path) -> int:
    """The number of nodes that kubectl sees with the stack's kubeconfig."""
    stack.write_kubeconfig()
    environment = stack.environment()
    assert environment["DRAGONFLY_CLOUD_LEDGER"] == str(stack.ledger.path)
    asked = subprocess.run(
        [stack.engine.tools["kubectl"], "get", "nodes", "--output=name", f"--cache-dir={cache}"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return asked.stdout.count(f"node/gke-{CLUSTER_NAME}-dragonfly-")


def test_the_kubeconfig_output_works_for_kubectl(stack: LocalStack, tmp_path: Path) -> None:
    assert _nodes_by_kubectl(stack, tmp_path) == 3


def test_nothing_changes_by_itself(stack: LocalStack) -> None:
    stack.output("preview", "--refresh", "--expect-no-changes")


def test_what_would_replace_cluster_and_disks_is_refused_at_preview(stack: LocalStack) -> None:
    before = stack.config_file.read_text()
    stack.output("config", "set", "gcp:zone", "us-west1-b")
    try:
        assert "pulumi config set gcp:zone us-west1-a" in failure_of(stack, "preview")
    finally:
        stack.config_file.write_text(before)


def test_a_smaller_disk_is_refused_with_what_to_do_and_not_with_how_to_end_its_protection(stack: LocalStack) -> None:
    before = stack.config_file.read_text()
    stack.output("config", "set", "dragonfly:dbPersistentDiskSize", "5Gi")
    try:
        printed = failure_of(stack, "preview")
    finally:
        stack.config_file.write_text(before)
    assert "pulumi config set dragonfly:dbPersistentDiskSize 8Gi" in printed
    assert "unprotect" not in printed


def test_a_disk_grows_in_place_and_other_nodes_ports_networks_and_endpoints_keep_cluster_and_data(
    stack: LocalStack, tmp_path: Path
) -> None:
    before = (_volumes(stack), disks(stack.ledger))
    made = [entry.properties["endpoint"] for entry in stack.ledger.read().of_type(CLUSTER)]
    changes = (
        "dragonfly:nodeMachineType=e2-standard-8",
        "dragonfly:nodeCount=4",
        "dragonfly:nodeDiskSize=200Gi",
        "dragonfly:proxyPort=65101",
        'dragonfly:authorizedNetworks=["203.0.113.0/24"]',
        'dragonfly:notificationChannels=["on-call@example.com"]',
        "dragonfly:dnsEndpoint=true",
        "dragonfly:dbPersistentDiskSize=12Gi",
        # The first of the two steps of a wanted end.
        "dragonfly:deletionProtection=false",
    )
    stack.output("config", "set-all", *(f"--plaintext={change}" for change in changes))
    # The claim is Bound, and its class binds late: whoever waits for it to be Pending waits in vain.
    stack.output("up", "--yes", "--skip-preview")
    assert _machine_types(stack) == ["e2-standard-8"] * 4
    assert (_volumes(stack), disks(stack.ledger)) == before
    assert [entry.properties["size"] for entry in stack.ledger.read().of_type(DISK) if "mysql" in entry.id] == [12]
    assert [entry.properties["endpoint"] for entry in stack.ledger.read().of_type(CLUSTER)] == made
    assert "replace" not in stack.last_changes()
    assert _told(stack) == [_channels(stack)] * ALERTS
    assert len(_channels(stack)) == 1
    # By a name, and without an authority.
    assert _nodes_by_kubectl(stack, tmp_path) == 4
    (reached,) = yaml.safe_load(stack.own_kubeconfig.read_text())["clusters"]
    assert list(reached["cluster"]) == ["server"]
    assert reached["cluster"]["server"].startswith("https://localhost:")
    stack.output("preview", "--refresh", "--expect-no-changes")
    with cluster_client(stack.ledger) as api:
        assert unready_pods(api, "default") == []


def test_a_control_plane_that_does_not_answer_is_told_in_time(stack: LocalStack) -> None:
    record = next(stack.ledger.folder.glob("clusters/*/processes/kube-apiserver.json"))
    server = psutil.Process(json.loads(record.read_text())["pid"])
    server.suspend()
    started = time.monotonic()
    # Without `--refresh` it plans by the state, and has nothing to say about the cluster.
    process = stack.start("preview", "--refresh", "--non-interactive", stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        told = next((line for line in process.stdout if b"unreachable cluster" in line), None)
        seconds = time.monotonic() - started
        process.communicate()
    finally:
        server.resume()
        process.kill()
    assert told is not None
    assert seconds < SAYS_SO_SECONDS


def test_a_cluster_deleted_by_hand_is_rebuilt_with_its_data(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    before = disks(stack.ledger)
    delete_cluster(stack.ledger, CLUSTER_NAME)
    assert cluster_status(stack.ledger) is None
    monkeypatch.setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
    stack.output("refresh", "--yes", "--skip-preview")
    monkeypatch.delenv("PULUMI_K8S_DELETE_UNREACHABLE")
    configure(stack, notificationChannels="[]")
    stack.output("up", "--yes", "--skip-preview")
    assert disks(stack.ledger) == before
    with cluster_client(stack.ledger) as api:
        assert unready_pods(api, "default") == []
    # A channel that a policy still told could not go.
    assert _channels(stack) == set()
    assert not any(_told(stack))


def test_nothing_is_billed_after_destroy(stack: LocalStack) -> None:
    stack.output("destroy", "--yes", "--skip-preview")
    assert stack.ledger.billed() == []
    assert not stack.has_resources()
    assert list(stack.ledger.folder.glob("clusters/*/processes/*")) == []
