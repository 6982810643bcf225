"""One installation from `up` to `destroy`, through the real engine on a real API server."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client
from kubernetes.client.api_client import ApiClient

from dragonfly.access import objects as status
from dragonfly.access.client import connect
from local.api.kubeconfig import CONTEXT
from local.cluster.control_plane import Cluster
from local.engine.stack import LocalStack, StackError
from tests.engine.cloud_stacks import failure_of
from tests.engine.cluster_objects import (
    generations,
    no_room,
    objects_by_kind,
    secret_values,
    unready_pods,
    volumes_of,
)
from tests.engine.conftest import StackFactory
from tests.waiting import wait_until

NAMESPACE = "install"
# The design's table of names, word for word.
OBJECTS = {
    "Deployment": {"dragonfly-1-manager"},
    "StatefulSet": {
        "dragonfly-1-scheduler",
        "dragonfly-1-seed-peer",
        "dragonfly-1-mysql",
        "dragonfly-1-redis",
    },
    "DaemonSet": {"dragonfly-1-dfget"},
    "Service": {
        "dragonfly-1-manager-service",
        "dragonfly-1-scheduler-service",
        "dragonfly-1-mysql-svc",
        "dragonfly-1-mysqld-exporter-svc",
        "dragonfly-1-redis-svc",
        "dragonfly-1-redis-exporter-svc",
        "dragonfly-1-mysql-headless",
        "dragonfly-1-redis-headless",
        "dragonfly-1-scheduler-headless",
        "dragonfly-1-seed-peer-headless",
    },
    "Secret": {
        "dragonfly-1-manager-secret",
        "dragonfly-1-mysql-secret",
        "dragonfly-1-mysqld-exporter-secret",
        "dragonfly-1-redis-secret",
        "dragonfly-1-redis-config",
        "dragonfly-1-manager-config",
        "dragonfly-1-scheduler-config",
        "dragonfly-1-seed-peer-config",
        "dragonfly-1-dfget-config",
    },
    "PersistentVolumeClaim": {
        "dragonfly-1-mysql-pvc-dragonfly-1-mysql-0",
        "dragonfly-1-redis-data-pvc-dragonfly-1-redis-0",
    },
    "Application": {"dragonfly-1"},
}
# A password that a user sets; every text that the engine writes is searched for it.
CONFIGURED_PASSWORD = "configured-Passw0rd-of-the-user"


@pytest.fixture(scope="module")
def stack(make_shared_stack: StackFactory) -> LocalStack:
    made = make_shared_stack(NAMESPACE)
    made.output("config", "set", "--secret", "dragonfly:dbUserPassword", CONFIGURED_PASSWORD)
    return made


@pytest.fixture(scope="module")
def installed(stack: LocalStack) -> str:
    """All that the first `up` printed."""
    process = stack.start("up", "--yes", "--non-interactive", stdout=subprocess.PIPE)
    printed = process.communicate()[0].decode()
    assert process.returncode == 0, printed
    return printed


def test_an_installation_warns_of_nothing(installed: str) -> None:
    # Within a line it is a workload's progress.
    assert not re.search(r"^\s*warning", installed, re.MULTILINE)


def test_every_object_of_the_design_is_there_and_every_pod_is_ready(installed: str, api: ApiClient) -> None:
    assert "created" in installed
    assert objects_by_kind(api, NAMESPACE) == OBJECTS
    assert unready_pods(api, NAMESPACE) == []


def test_outputs_name_what_a_user_needs(installed: str, stack: LocalStack) -> None:
    outputs = json.loads(stack.output("stack", "output", "--json"))
    assert outputs["namespace"] == NAMESPACE
    assert outputs["portForwardCommand"] == (
        f"kubectl port-forward --namespace {NAMESPACE} svc/dragonfly-1-manager-service 8080:8080"
    )
    assert outputs["consoleUrl"] == "http://localhost:8080"
    assert outputs["mysqldExporterAddress"] == f"dragonfly-1-mysqld-exporter-svc.{NAMESPACE}.svc:9104"
    assert {key for key, value in outputs.items() if value == "[secret]"} == {
        "consoleRootPassword",
        "dbRootPassword",
        "dbUserPassword",
        "dbExporterPassword",
        "redisPassword",
    }


def test_no_secret_stands_in_plain_text_when_nothing_has_changed(
    installed: str, stack: LocalStack, api: ApiClient
) -> None:
    secrets = {
        value
        for name in (
            "dragonfly-1-manager-secret",
            "dragonfly-1-mysql-secret",
            "dragonfly-1-mysqld-exporter-secret",
            "dragonfly-1-redis-secret",
        )
        for key, value in secret_values(api, NAMESPACE, name).items()
        if "password" in key
    }
    secrets.add(
        yaml.safe_load(secret_values(api, NAMESPACE, "dragonfly-1-manager-config")["manager.yaml"])["auth"]["jwt"][
            "key"
        ]
    )
    assert CONFIGURED_PASSWORD in secrets
    assert len(secrets) == 6
    written = {
        "up": installed,
        "state": stack.output("stack", "export"),
        "preview": stack.output("preview", "--diff", "--refresh", "--expect-no-changes"),
        "config": stack.config_file.read_text(),
        "pods": str(client.CoreV1Api(api).list_namespaced_pod(NAMESPACE)),
    }
    for place, text in written.items():
        for secret in secrets:
            assert secret not in text, f"a secret stands in plain text in {place}"
            assert base64.b64encode(secret.encode()).decode() not in text, f"a secret stands encoded in {place}"


def test_a_stack_of_the_same_names_takes_nothing_over(
    installed: str, stack: LocalStack, make_stack: StackFactory, cluster: Cluster, api: ApiClient
) -> None:
    with connect(cluster.kubeconfig.read_text(), None) as client:
        for each in json.loads(stack.output("stack", "export"))["deployment"]["resources"]:
            if each["type"].startswith("kubernetes:"):
                made = each["outputs"]
                found = status.Cluster(client, made["metadata"].get("namespace", ""), secrets=())
                annotations = found.annotations(made["apiVersion"], made["kind"], made["metadata"]["name"])
                assert annotations is not None, each["urn"]
                assert found.annotations(made["apiVersion"], made["kind"], "another") is None
    before = (generations(api, NAMESPACE), volumes_of(api, NAMESPACE))
    other = make_stack("other", namespace=NAMESPACE)
    told = failure_of(other, "preview")
    assert f"Namespace {NAMESPACE} already exists and is not this stack's" in told
    assert "pulumi config set dragonfly:createNamespace false" in told
    other.output("config", "set", "dragonfly:createNamespace", "false")
    # The first that the engine asks about ends the run.
    for command in (("preview",), ("up", "--yes", "--skip-preview")):
        assert re.search(r" dragonfly-1-\S+ already exists and is not this stack's", failure_of(other, *command))
    other.output("destroy", "--yes", "--skip-preview")
    assert (generations(api, NAMESPACE), volumes_of(api, NAMESPACE)) == before
    stack.output("preview", "--refresh", "--expect-no-changes")


def forget(stack: LocalStack, end: str) -> None:
    """Leave the state of a stack as an update does that is cut off when it has made an object."""
    resources = json.loads(stack.output("stack", "export"))["deployment"]["resources"]
    (urn,) = [one["urn"] for one in resources if one["urn"].endswith(end)]
    stack.output("state", "delete", urn, "--yes")


def test_what_an_update_made_and_could_not_record_is_taken_up_by_the_next(
    installed: str, stack: LocalStack, api: ApiClient
) -> None:
    apps: Any = client.AppsV1Api(api)
    before = apps.read_namespaced_stateful_set("dragonfly-1-scheduler", NAMESPACE)
    forget(stack, ":apps/v1:StatefulSet::scheduler")
    # With its preview, which knows the mark already.
    stack.output("up", "--yes")
    after = apps.read_namespaced_stateful_set("dragonfly-1-scheduler", NAMESPACE)
    assert (after.metadata.uid, after.metadata.generation) == (before.metadata.uid, before.metadata.generation)
    assert stack.last_changes().get("create") == 1


def test_a_job_that_an_update_could_not_record_gives_way_to_another(
    installed: str, stack: LocalStack, api: ApiClient
) -> None:
    batch: Any = client.BatchV1Api(api)
    (job,) = batch.list_namespaced_job(NAMESPACE).items
    forget(stack, ":batch/v1:Job::root-password")
    stack.output("config", "set", "--path", "dragonfly:images.manager", "registry.example.com/manager:v2.1.34")
    stack.output("preview")
    assert batch.list_namespaced_job(NAMESPACE).items[0].metadata.uid == job.metadata.uid
    stack.output("up", "--yes")
    (other,) = batch.list_namespaced_job(NAMESPACE).items
    assert other.metadata.uid != job.metadata.uid
    assert unready_pods(api, NAMESPACE) == []


def test_a_changed_image_rolls_out_only_its_component_and_sets_the_password_again(
    installed: str, stack: LocalStack, api: ApiClient
) -> None:
    before = generations(api, NAMESPACE)
    batch: Any = client.BatchV1Api(api)
    (job,) = batch.list_namespaced_job(NAMESPACE).items
    image = "registry.example.com/dragonfly/manager:v2.1.35"
    stack.output("config", "set", "--path", "dragonfly:images.manager", image)
    # With its preview, in which the Job is replaced while the old one is there.
    stack.output("up", "--yes")
    after = generations(api, NAMESPACE)
    assert {name for name in after if after[name] != before[name]} == {"dragonfly-1-manager"}
    core: Any = client.CoreV1Api(api)
    pods = core.list_namespaced_pod(NAMESPACE).items
    assert {pod.spec.containers[0].image for pod in pods if "-manager-" in pod.metadata.name} == {image}
    (again,) = batch.list_namespaced_job(NAMESPACE).items
    assert again.metadata.uid != job.metadata.uid
    assert unready_pods(api, NAMESPACE) == []
    stack.output("preview", "--refresh", "--expect-no-changes")


def test_an_update_fails_until_its_pod_is_ready_whether_the_plug_in_waits_or_not(
    installed: str, stack: LocalStack, api: ApiClient, tmp_path: Path
) -> None:
    before = stack.config_file.read_text()
    stack.output("config", "set", "--path", "dragonfly:images.scheduler", "registry.example.com/scheduler:v2.1.36")
    stack.output("config", "set", "dragonfly:readyTimeoutSeconds", "10")
    with no_room(api):
        assert "dragonfly-1-scheduler" in failure_of(stack, "up", "--yes", "--skip-preview")
        as_if_not_awaited(stack, "scheduler", tmp_path / "state.json")
        # Nothing has changed that could be updated.
        printed = failure_of(stack, "up", "--yes", "--skip-preview")
        assert re.search(r"dragonfly-1-scheduler did not become Ready within 10 s: .* Too many pods", printed)
    stack.config_file.write_text(before)
    stack.output("up", "--yes", "--skip-preview")
    assert unready_pods(api, NAMESPACE) == []


def as_if_not_awaited(stack: LocalStack, resource_name: str, file: Path) -> None:
    """Record of a StatefulSet what the plug-in returns where its controller has not seen the change yet."""
    state = json.loads(stack.output("stack", "export"))
    (found,) = (
        each for each in state["deployment"]["resources"] if each["urn"].endswith(f"StatefulSet::{resource_name}")
    )
    found.pop("initErrors", None)
    found["outputs"]["status"]["observedGeneration"] = found["outputs"]["metadata"]["generation"] - 1
    file.write_text(json.dumps(state))
    stack.output("stack", "import", "--file", str(file))


def test_a_changed_secret_keeps_its_object_and_rolls_the_pods_that_read_it(
    installed: str, stack: LocalStack, api: ApiClient
) -> None:
    core: Any = client.CoreV1Api(api)
    secret = core.read_namespaced_secret("dragonfly-1-redis-secret", NAMESPACE).metadata.uid
    before = generations(api, NAMESPACE)
    stack.output("config", "set", "--secret", "dragonfly:redisPassword", "another-Passw0rd-of-the-user")
    stack.output("up", "--yes", "--skip-preview")
    after = generations(api, NAMESPACE)
    assert core.read_namespaced_secret("dragonfly-1-redis-secret", NAMESPACE).metadata.uid == secret
    assert {name for name in after if after[name] != before[name]} == {
        "dragonfly-1-redis",
        "dragonfly-1-manager",
        "dragonfly-1-scheduler",
    }
    stack.output("preview", "--refresh", "--expect-no-changes")


def test_drift_is_seen_and_healed(installed: str, stack: LocalStack, api: ApiClient) -> None:
    core: Any = client.CoreV1Api(api)
    apps: Any = client.AppsV1Api(api)
    core.delete_namespaced_service("dragonfly-1-manager-service", NAMESPACE)
    apps.patch_namespaced_stateful_set("dragonfly-1-seed-peer", NAMESPACE, {"spec": {"replicas": 0}})
    wait_until(lambda: "dragonfly-1-seed-peer-0" not in _pods(core), "the seed peer's pod is gone")
    with pytest.raises(StackError):
        stack.output("preview", "--refresh", "--expect-no-changes")
    stack.output("up", "--yes", "--skip-preview", "--refresh")
    assert objects_by_kind(api, NAMESPACE) == OBJECTS
    assert apps.read_namespaced_stateful_set("dragonfly-1-seed-peer", NAMESPACE).status.ready_replicas == 1


def _pods(core: Any) -> set[str]:
    return {pod.metadata.name for pod in core.list_namespaced_pod(NAMESPACE).items}


def test_a_disk_grows_in_place_and_a_smaller_one_is_refused(installed: str, stack: LocalStack, api: ApiClient) -> None:
    core: Any = client.CoreV1Api(api)
    claim = "dragonfly-1-mysql-pvc-dragonfly-1-mysql-0"
    identity = core.read_namespaced_persistent_volume_claim(claim, NAMESPACE).metadata.uid
    stack.output("config", "set", "dragonfly:dbPersistentDiskSize", "12Gi")
    stack.output("up", "--yes", "--skip-preview")
    grown = core.read_namespaced_persistent_volume_claim(claim, NAMESPACE)
    assert grown.metadata.uid == identity
    assert grown.spec.resources.requests["storage"] == "12Gi"
    stack.output("config", "set", "dragonfly:dbPersistentDiskSize", "2Gi")
    with pytest.raises(StackError, match="can grow, not shrink"):
        stack.output("up", "--yes", "--skip-preview")
    stack.output("config", "set", "dragonfly:dbPersistentDiskSize", "12Gi")
    stack.output("up", "--yes", "--skip-preview")


def test_a_faulty_config_ends_before_anything_is_registered(installed: str, stack: LocalStack) -> None:
    stack.output("config", "set-all", "--plaintext=dragonfly:peerPort=70000", "--plaintext=dragonfly:tagg=2.1.34")
    try:
        with pytest.raises(StackError) as failure:
            stack.output("preview")
    finally:
        stack.output("config", "rm-all", "dragonfly:peerPort", "dragonfly:tagg")
    message = str(failure.value)
    assert "has 2 faults" in message
    assert "dragonfly:peerPort" in message
    assert "the nearest one is dragonfly:tag" in message
    assert "Traceback" not in message
    assert "to delete" not in message


def test_a_context_that_is_set_later_replaces_nothing(installed: str, stack: LocalStack) -> None:
    stack.output("config", "set", "dragonfly:kubeContext", CONTEXT)
    try:
        assert "replace" not in stack.output("preview")
    finally:
        stack.output("config", "rm", "dragonfly:kubeContext")


def test_the_tracked_stack_files_never_change(installed: str, stack: LocalStack) -> None:
    assert Path(stack.config_file).resolve().parent != stack.engine.project
    for tracked in stack.engine.project.glob("Pulumi.*.yaml"):
        assert "encryptionsalt" not in tracked.read_text()


@contextmanager
def somebody_elses_definition(crds: Any) -> Generator[None]:
    """The definition of Applications as somebody else applied it, for a while."""
    name, annotation = "applications.app.k8s.io", "api-approved.kubernetes.io"
    before = crds.read_custom_resource_definition(name).metadata.annotations[annotation]

    def annotate(value: str) -> None:
        definition = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": name, "annotations": {annotation: value}},
        }
        crds.patch_custom_resource_definition(
            name,
            definition,
            field_manager="somebody",
            force=True,
            _content_type="application/apply-patch+yaml",
        )

    annotate("unapproved, somebody else's")
    try:
        yield
    finally:
        annotate(before)


def test_destroy_leaves_nothing_and_a_new_installation_takes_up_the_crd_unless_it_is_somebody_elses(
    installed: str, stack: LocalStack, api: ApiClient
) -> None:
    stack.output("destroy", "--yes", "--skip-preview")
    core: Any = client.CoreV1Api(api)
    assert NAMESPACE not in {namespace.metadata.name for namespace in core.list_namespace().items}
    wait_until(lambda: volumes_of(api, NAMESPACE) == set(), "the claims' volumes are gone")
    crds: Any = client.ApiextensionsV1Api(api)
    with somebody_elses_definition(crds):
        # As docs/when-something-goes-wrong.md quotes it.
        assert "Server-Side Apply field conflict detected" in failure_of(stack, "up", "--yes", "--skip-preview")
    stack.output("up", "--yes", "--skip-preview")
    assert unready_pods(api, NAMESPACE) == []
