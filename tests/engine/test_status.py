"""What `python -m dragonfly.status` says of real stacks on a real API server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from kubernetes import client
from kubernetes.client.api_client import ApiClient

from dragonfly.parts.names import Names
from local.cluster.control_plane import Cluster
from local.engine.stack import Engine, LocalStack, StackError
from tests.engine.cluster_objects import unready_pods
from tests.engine.conftest import StackFactory
from tests.engine.status_command import Status, status
from tests.engine.test_side_by_side import OTHER_PORTS
from tests.waiting import wait_until, while_busy

NAMES = Names("dragonfly-1")
NAMESPACE = "told"
NO_CLUSTER_SECONDS = 10
SCREEN_LINES = 40


@pytest.fixture(scope="module")
def installed(make_shared_stack: StackFactory, cluster: Cluster) -> LocalStack:
    """An installation that was given its kubeconfig as a secret."""
    stack = make_shared_stack(NAMESPACE)
    stack.output("config", "set", "--secret", "dragonfly:kubeconfig", cluster.kubeconfig.read_text())
    stack.output("up", "--yes", "--skip-preview")
    return stack


@pytest.fixture
def manager(installed: LocalStack, api: ApiClient) -> Iterator[str]:
    """Name of the manager's pod; one that the test has spoiled is replaced at the end."""
    core: Any = client.CoreV1Api(api)
    selector = "app.kubernetes.io/component=dragonfly-manager"
    name = core.list_namespaced_pod(NAMESPACE, label_selector=selector).items[0].metadata.name
    yield name
    core.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=0)
    wait_until(lambda: not unready_pods(api, NAMESPACE), "the manager's new pod is Ready")


def spoil(api: ApiClient, pod: str, **container: Any) -> None:
    """Let a pod's container be in another state, as kubelet would report it."""
    core: Any = client.CoreV1Api(api)
    found = cast("Any", api).sanitize_for_serialization(core.read_namespaced_pod_status(pod, NAMESPACE))["status"]
    conditions = [{"type": each, "status": "False"} for each in ("Ready", "ContainersReady")]
    statuses = [{**found["containerStatuses"][0], "ready": False, "started": False, **container}]
    core.patch_namespaced_pod_status(
        pod, NAMESPACE, {"status": {"conditions": conditions, "containerStatuses": statuses}}
    )


def status_of_unready(stack: LocalStack, api: ApiClient) -> Status:
    """What is said once the Deployment's controller has seen the pod."""
    apps: Any = client.AppsV1Api(api)
    wait_until(
        lambda: not apps.read_namespaced_deployment_status(NAMES.manager, NAMESPACE).status.ready_replicas,
        "the manager is not Ready",
    )
    told = status(stack)
    assert told.code == 1
    return told


def test_an_installation_is_ready_with_its_versions_and_the_way_to_its_console(installed: LocalStack) -> None:
    # Its kubeconfig comes from the state alone.
    told = status(installed, KUBECONFIG="/nowhere")
    assert (told.code, told.errors) == (0, "")
    assert told.out.splitlines()[0] == f"Stack {NAMESPACE}, namespace {NAMESPACE}"
    lines = [line.split() for line in told.out.splitlines()]
    assert [NAMES.mysql, "Ready"] in lines
    assert [NAMES.peer, "Ready", "3", "of", "3"] in lines
    assert [NAMES.root_password_job, "done"] in lines
    assert [NAMES.redis_claim, "Bound"] in lines
    assert "2.1.34 (dfget, manager, registry-mirrors, scheduler, seed-peer)" in told.words
    assert "CVE-2026-24124" in told.out
    assert installed.output("stack", "output", "portForwardCommand").strip() in told.out
    assert installed.output("stack", "output", "consoleUrl").strip() in told.out
    assert len(told.out.splitlines()) < SCREEN_LINES


def test_the_password_command_that_it_tells_works(installed: LocalStack) -> None:
    command = status(installed, "--json").document()["console"]["passwordCommand"].split()
    assert command[0] == "pulumi"
    assert len(installed.output(*command[1:]).strip()) == 20


def test_programs_get_the_same_as_a_document(installed: LocalStack) -> None:
    told = status(installed, "--json")
    document = told.document()
    assert (told.code, document["ready"], document["namespace"]) == (0, True, NAMESPACE)
    kinds = {each["name"]: each["kind"] for each in document["objects"]}
    assert kinds[NAMES.manager] == "Deployment"
    assert kinds[NAMES.mysql_claim] == "PersistentVolumeClaim"
    assert all(each["ready"] and each["reasons"] == [] for each in document["objects"])


def test_a_config_that_is_refused_does_not_hide_what_is_installed(installed: LocalStack) -> None:
    installed.output(
        "config", "set-all", "--plaintext=dragonfly:namespace=x", "--plaintext=dragonfly:appInstanceName=x"
    )
    try:
        document = status(installed, "--json").document()
    finally:
        installed.output("config", "set", "dragonfly:namespace", NAMESPACE)
        installed.output("config", "rm", "dragonfly:appInstanceName")
    assert (document["ready"], document["namespace"]) == (True, NAMESPACE)


def test_an_image_that_cannot_be_pulled_is_told_with_the_config_key(
    installed: LocalStack, api: ApiClient, manager: str
) -> None:
    image = json.loads(installed.output("stack", "output", "images", "--json"))["manager"]
    message = (
        f'Back-off pulling image "{image}": ErrImagePull: failed to resolve reference "{image}": {image}: not found'
    )
    spoil(api, manager, state={"waiting": {"reason": "ImagePullBackOff", "message": message}})
    told = status_of_unready(installed, api).words
    assert f"{NAMES.manager} not Ready cannot pull {image}: not found" in told
    assert "-> check tag, imageRegistry, images.manager, imagePullSecrets in the config" in told
    assert f"{NAMES.mysql} Ready" in told


def test_a_container_killed_for_memory_is_told_and_no_password_with_it(
    installed: LocalStack, api: ApiClient, manager: str
) -> None:
    password = installed.output("stack", "output", "dbUserPassword", "--show-secrets").strip()
    killed = {"exitCode": 137, "reason": "OOMKilled"}
    spoil(
        api,
        manager,
        restartCount=4,
        state={"waiting": {"reason": "CrashLoopBackOff"}},
        lastState={"terminated": killed},
    )
    told = status_of_unready(installed, api).words
    assert "manager was killed for memory (exit code 137): its limit is" in told
    assert "started again 4 times" in told
    says = {"exitCode": 1, "message": f"cannot open dragonfly:{password}@tcp(mysql)"}
    spoil(api, manager, state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": says})
    for told in (status(installed), status(installed, "--json")):
        assert "cannot open dragonfly:[secret]@tcp(mysql)" in told.words
        assert password not in told.out + told.errors


def test_what_is_missing_is_told_and_comes_back_as_it_says(installed: LocalStack, api: ApiClient) -> None:
    apps: Any = client.AppsV1Api(api)
    core: Any = client.CoreV1Api(api)
    apps.delete_namespaced_daemon_set(NAMES.peer, NAMESPACE)
    core.delete_namespaced_service(NAMES.redis_service, NAMESPACE)
    told = status(installed)
    assert told.code == 1
    wanted = f"Missing: {NAMES.peer}, Service {NAMES.redis_service}. `pulumi up --refresh` makes what is missing."
    assert wanted in told.words
    installed.output("up", "--refresh", "--yes", "--skip-preview")
    assert status(installed).code == 0


def test_a_first_update_that_failed_is_told_with_its_claim_and_mended_as_it_says(
    make_stack: StackFactory, api: ApiClient
) -> None:
    stack = make_stack(
        "classless",
        defaultStorageClass="nobodys",
        readyTimeoutSeconds=10,
        installApplicationCrd=False,
        # Beside the other installation on the same nodes.
        **{key: port + 100 for key, port in OTHER_PORTS.items()},
    )
    before = status(stack)
    assert (before.code, before.errors) == (1, "")
    assert "The namespace classless does not exist: nothing is installed." in before.out
    with pytest.raises(StackError, match=r"the cluster has no StorageClass nobodys, it has .*standard"):
        stack.output("preview")
    # One that somebody made by hand, and that is too small.
    core: Any = client.CoreV1Api(api)
    volume = {
        "metadata": {"name": "nobodys"},
        "spec": {
            "storageClassName": "nobodys",
            "capacity": {"storage": "1Mi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/nowhere"},
        },
    }
    core.create_persistent_volume(volume)
    with pytest.raises(StackError):
        stack.output("up", "--yes", "--skip-preview")
    core.delete_persistent_volume("nobodys")
    told = status(stack)
    words = told.words
    assert (told.code, told.errors) == (1, "")
    assert f"{NAMES.mysql_claim} Pending" in words
    assert 'storageclass.storage.k8s.io "nobodys" not found' in words
    assert "-> set defaultStorageClass in the config to one that `kubectl get storageclass` lists" in words
    stack.output(
        "config",
        "set-all",
        *(f"--plaintext=dragonfly:{each}" for each in ("defaultStorageClass=standard", "readyTimeoutSeconds=60")),
    )
    for claim in NAMES.claims():
        core.delete_namespaced_persistent_volume_claim(claim, "classless")
    stack.output("up", "--refresh", "--yes", "--skip-preview")
    assert status(stack).code == 0


def test_a_control_plane_that_is_gone_or_silent_is_told_within_ten_seconds(
    make_stack: StackFactory, plain_engine: Engine, cluster: Cluster, tmp_path: Path
) -> None:
    document = json.loads(cluster.kubeconfig.read_text())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        document["clusters"][0]["cluster"]["server"] = url
        (tmp_path / "kubeconfig").write_text(json.dumps(document))
        # The time is that of the user's Python.
        stack = replace(make_stack("silent", kubeconfig=tmp_path / "kubeconfig"), engine=plain_engine)
        told = status(stack)
        assert (told.code, told.out) == (2, "")
        assert url in told.errors
        assert told.seconds < while_busy(NO_CLUSTER_SECONDS)
    told = status(stack)
    assert (told.code, told.out) == (2, "")
    assert told.errors == f"{url} does not answer: [Errno 111] Connection refused\n"
    assert told.seconds < while_busy(NO_CLUSTER_SECONDS)
