"""The Kubernetes stand-in against a real API server, driven as the engine drives it, without the engine."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, cast

import pytest
from pulumi.runtime.proto import provider_pb2 as _wire

from local.plugins import kubeconfig as kubeconfigs
from local.plugins.api_server import ApiError, ApiServer
from local.plugins.kubernetes_provider import KubernetesProvider
from local.plugins.object_fields import list_at, name_of, number_at, object_at, objects_at, text_at, value_at
from local.plugins.property_values import (
    UNKNOWN,
    Properties,
    Secret,
    Value,
    plain_object,
    read_properties,
    write_properties,
)
from local.plugins.provider_errors import InitializationError, ProviderError
from tests.waiting import wait_until

wire: Any = _wire


class _Cluster(Protocol):
    @property
    def kubeconfig(self) -> Path: ...


class _Log:
    """Keeps what the engine would show."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.statuses: list[str] = []

    def message(self, severity: int, urn: str, text: str) -> None:
        del severity, urn
        self.messages.append(text)

    def status(self, urn: str, text: str) -> None:
        del urn
        self.statuses.append(text)


class _Engine:
    """Calls one provider as the engine does: Check before everything, states and inputs handed on."""

    def __init__(self, kubeconfig: str, **settings: str) -> None:
        self.log = _Log()
        self.provider = KubernetesProvider(self.log)
        variables = {f"kubernetes:config:{key}": value for key, value in settings.items()}
        variables["kubernetes:config:kubeconfig"] = kubeconfig
        self.provider.configure(wire.ConfigureRequest(variables=variables))

    def check(self, item: Properties, kind: str = "", olds: Properties | None = None) -> Properties:
        request = wire.CheckRequest(
            urn=_urn(item, kind), news=write_properties(item), olds=write_properties(olds or {}), randomSeed=b"s"
        )
        return read_properties(self.provider.check(request).inputs)

    def create(
        self, item: Properties, *, preview: bool = False, timeout: float = 30, kind: str = ""
    ) -> tuple[str, Properties]:
        request = wire.CreateRequest(
            urn=_urn(item, kind),
            properties=write_properties(self.check(item, kind)),
            preview=preview,
            timeout=timeout,
        )
        answer = self.provider.create(request)
        return answer.id, read_properties(answer.properties)

    def diff(self, state: Properties, item: Properties, kind: str = "") -> Any:
        news = self.check(item, kind, olds=cast(Properties, state.get("__inputs", {})))
        return self.provider.diff(
            wire.DiffRequest(urn=_urn(item, kind), olds=write_properties(state), news=write_properties(news))
        )

    def update(
        self, state: Properties, item: Properties, *, preview: bool = False, timeout: float = 30, kind: str = ""
    ) -> Properties:
        request = wire.UpdateRequest(
            urn=_urn(item, kind),
            olds=write_properties(state),
            news=write_properties(self.check(item, kind, olds=cast(Properties, state.get("__inputs", {})))),
            preview=preview,
            timeout=timeout,
        )
        return read_properties(self.provider.update(request).properties)

    def read(self, resource_id: str, item: Properties, state: Properties | None = None) -> Any:
        inputs = cast(Properties, state.get("__inputs", {})) if state else {}
        return self.provider.read(
            wire.ReadRequest(
                urn=_urn(item, ""),
                id=resource_id,
                properties=write_properties(state or {}),
                inputs=write_properties(inputs),
            )
        )

    def delete(self, resource_id: str, state: Properties, *, timeout: float = 30, kind: str = "") -> None:
        request = wire.DeleteRequest(
            urn=_urn(state, kind), id=resource_id, properties=write_properties(state), timeout=timeout
        )
        self.provider.delete(request)


def _urn(item: Properties, kind: str) -> str:
    api_version = text_at(item, "apiVersion")
    module = api_version if "/" in api_version else f"core/{api_version}"
    return f"urn:pulumi:dev::project::kubernetes:{module}:{kind or text_at(item, 'kind')}::name"


@pytest.fixture
def engine(cluster: _Cluster) -> _Engine:
    """A provider that lets Secrets and ConfigMaps change in place."""
    return _Engine(str(cluster.kubeconfig), enableSecretMutable="true", enableConfigMapMutable="true")


@pytest.fixture(scope="module")
def server(cluster: _Cluster) -> ApiServer:
    """The API server itself, for what others do to the objects."""
    return ApiServer(kubeconfigs.parse(str(cluster.kubeconfig)))


@pytest.fixture
def namespace(server: ApiServer) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"standin-{uuid.uuid4().hex[:8]}"
    server.request("POST", "/api/v1/namespaces", {}, {"metadata": {"name": name}})
    yield name
    server.request("DELETE", f"/api/v1/namespaces/{name}")


def _item(api_version: str, kind: str, namespace: str, name: str = "n", **fields: Value) -> Properties:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **fields}


def _workload(kind: str, namespace: str, *, image: str = "i:1", cpu: str = "10m", replicas: Value = 1) -> Properties:
    labels: Properties = {"app": kind.lower()}
    template: Properties = {
        "metadata": {"labels": labels},
        "spec": {
            "containers": [{"name": "c", "image": image, "resources": {"requests": {"cpu": cpu}}}],
            "volumes": [{"name": "v", "emptyDir": {}}],
        },
    }
    fields: Properties = {"selector": {"matchLabels": labels}, "template": template}
    if kind != "DaemonSet":
        fields["replicas"] = replicas
    if kind == "StatefulSet":
        fields["serviceName"] = "s"
    return _item("apps/v1", kind, namespace, kind.lower(), spec=fields)


def _definition(group: str) -> Properties:
    version: Properties = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x_kubernetes_preserve_unknown_fields": True}},
    }
    names: Properties = {"kind": "Thing", "plural": "things", "singular": "thing"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_a_workload_lives_and_dies(engine: _Engine, server: ApiServer, namespace: str, kind: str) -> None:
    item = _workload(kind, namespace, replicas=2)
    path = f"/apis/apps/v1/namespaces/{namespace}/{kind.lower()}s/{kind.lower()}"
    resource_id, state = engine.create(item)
    assert resource_id == f"{namespace}/{kind.lower()}"
    ready = number_at(state, "status", "numberReady" if kind == "DaemonSet" else "readyReplicas")
    assert ready == (3 if kind == "DaemonSet" else 2)
    assert engine.diff(state, item).changes == wire.DiffResponse.DIFF_NONE

    changed = _workload(kind, namespace, image="i:2", replicas=2)
    assert list(engine.diff(state, changed).detailedDiff) == ["spec.template.spec.containers[0].image"]
    rehearsed = engine.update(state, changed, preview=True)
    assert number_at(rehearsed, "metadata", "generation") == 2
    assert number_at(server.request("GET", path), "metadata", "generation") == 1
    state = engine.update(state, changed)
    pods = objects_at(server.request("GET", f"/api/v1/namespaces/{namespace}/pods"), "items")
    alive = [pod for pod in pods if not value_at(pod, "metadata", "deletionTimestamp")]
    assert {text_at(objects_at(pod, "spec", "containers")[0], "image") for pod in alive} == {"i:2"}

    engine.delete(resource_id, state)
    with pytest.raises(ApiError, match="not found"):
        server.request("GET", path)
    engine.delete(resource_id, state)


def test_what_does_not_fit_says_so(engine: _Engine, namespace: str) -> None:
    item = _workload("Deployment", namespace, cpu="1000", replicas=1)
    with pytest.raises(InitializationError) as failure:
        engine.create(item, timeout=3)
    reasons = "\n".join(failure.value.reasons)
    assert "[Unschedulable] 0/3 nodes are available" in reasons
    assert "Insufficient cpu" in reasons
    assert failure.value.resource_id == f"{namespace}/deployment"
    # Asserted here, where the wait is sure to last: a pod that is Ready at the first look is not waited for.
    assert any("Waiting for" in line for line in engine.log.statuses)
    # The next run updates what is there.
    state = engine.update(failure.value.outputs, _workload("Deployment", namespace, replicas=1))
    assert number_at(state, "status", "readyReplicas") == 1


def test_annotations_bound_and_skip_the_wait(engine: _Engine, namespace: str) -> None:
    item = _workload("Deployment", namespace, cpu="1000", replicas=1)
    cast(Properties, item["metadata"])["annotations"] = {"pulumi.com/timeoutSeconds": "1"}
    begin = time.monotonic()
    with pytest.raises(InitializationError, match="timed out"):
        engine.create(item, timeout=0)
    assert time.monotonic() - begin < 3
    skipped = _workload("StatefulSet", namespace, cpu="1000", replicas=1)
    cast(Properties, skipped["metadata"])["annotations"] = {"pulumi.com/skipAwait": "true"}
    engine.create(skipped, timeout=0)


def test_cancel_ends_the_wait_and_keeps_the_object(engine: _Engine, namespace: str) -> None:
    threading.Timer(0.5, engine.provider.cancel).start()
    begin = time.monotonic()
    with pytest.raises(InitializationError, match="cancelled") as failure:
        engine.create(_workload("Deployment", namespace, cpu="1000", replicas=1), timeout=60)
    assert time.monotonic() - begin < 2
    assert name_of(failure.value.outputs) == "deployment"


def test_an_object_that_exists_is_not_taken_over(engine: _Engine, cluster: _Cluster, namespace: str) -> None:
    item = _item("v1", "ConfigMap", namespace, data={"a": "1"})
    engine.create(item)
    other: Properties = {**item, "data": {"a": "2"}}
    with pytest.raises(ProviderError, match=r"already exists.*pulumi import"):
        engine.create(other)
    assert engine.create(other, preview=True)[0] == ""
    upsert = _Engine(str(cluster.kubeconfig), upsertExistingObjects="true")
    with pytest.raises(ProviderError, match="conflict"):
        upsert.create(other)
    assert text_at(upsert.create({**item, "data": {"b": "2"}})[1], "data", "b") == "2"


def test_preview_changes_nothing_and_shows_defaults(engine: _Engine, server: ApiServer, namespace: str) -> None:
    resource_id, shown = engine.create(_workload("Deployment", namespace), preview=True)
    assert resource_id == ""
    assert number_at(shown, "spec", "replicas") == 1
    assert "status" not in shown
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    assert list_at(server.request("GET", path), "items") == []
    unknown = _workload("Deployment", namespace, replicas=UNKNOWN)
    assert object_at(engine.create(unknown, preview=True)[1], "spec")["replicas"] == UNKNOWN
    with pytest.raises(ProviderError, match="Invalid value"):
        engine.create(_workload("Deployment", namespace, replicas=-1), preview=True)


def test_preview_of_a_namespace_that_is_yet_to_come(engine: _Engine) -> None:
    item = _item("v1", "ConfigMap", "not-there-yet", data={"a": "1"})
    assert engine.create(item, preview=True) == ("", item)


def test_create_waits_for_its_namespace(engine: _Engine, server: ApiServer) -> None:
    name = f"standin-{uuid.uuid4().hex[:8]}"
    create: Callable[[], object] = lambda: server.request(  # noqa: E731
        "POST", "/api/v1/namespaces", {}, {"metadata": {"name": name}}
    )
    threading.Timer(0.5, create).start()
    engine.create(_item("v1", "ConfigMap", name, data={}))
    server.request("DELETE", f"/api/v1/namespaces/{name}")


def test_custom_resources(engine: _Engine, server: ApiServer, namespace: str) -> None:
    group = f"{uuid.uuid4().hex[:8]}.example.com"
    thing = _item(f"{group}/v1", "Thing", namespace, spec={"a": 1})
    assert engine.create(thing, preview=True) == ("", thing)
    made: list[tuple[str, Properties]] = []
    waiting = threading.Thread(target=lambda: made.append(engine.create(thing)))
    waiting.start()
    time.sleep(0.3)
    definition_id, definition = engine.create(_definition(group))
    waiting.join(30)
    resource_id, state = made[0]
    assert resource_id == f"{namespace}/n"
    assert engine.diff(state, thing).changes == wire.DiffResponse.DIFF_NONE
    assert engine.diff(definition, _definition(group)).changes == wire.DiffResponse.DIFF_NONE

    patch: Properties = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}", "labels": {"of": "patch"}},
    }
    patch_id, patched = engine.create(patch, kind="CustomResourceDefinitionPatch")
    assert text_at(patched, "metadata", "labels", "of") == "patch"
    engine.delete(patch_id, patched, kind="CustomResourceDefinitionPatch")
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{group}"
    left = server.request("GET", path)
    assert object_at(left, "metadata", "labels") == {}
    assert object_at(left, "spec", "names")["kind"] == "Thing"

    changed = _definition(group)
    cast(Properties, cast(Properties, changed["spec"])["names"])["shortNames"] = ["th"]
    definition = engine.update(definition, changed)
    engine.delete(definition_id, definition)
    engine.delete(resource_id, state)
    assert engine.read(resource_id, thing, state).id == ""


def test_secrets_never_show(engine: _Engine, namespace: str) -> None:
    secret = "correct-horse-battery"
    encoded = base64.b64encode(secret.encode()).decode()
    item = _item("v1", "Secret", namespace, stringData={"a": Secret(secret), "b": "x"})
    resource_id, state = engine.create(item)
    assert isinstance(state["data"], Secret)
    assert plain_object(state)["data"] == {"a": encoded, "b": "eA=="}
    visible = json.dumps(state, default=repr)
    assert secret not in visible
    assert encoded not in visible
    assert engine.diff(state, item).changes == wire.DiffResponse.DIFF_NONE

    changed = _item("v1", "Secret", namespace, stringData={"a": Secret("other-horse"), "b": "x"})
    answer = engine.diff(state, changed)
    assert list(answer.detailedDiff) == ["stringData.a"]
    assert not answer.replaces
    state = engine.update(state, changed)
    read = engine.read(resource_id, item, state)
    assert isinstance(read_properties(read.inputs)["stringData"], Secret)

    spoiled = _item("v1", "ConfigMap", namespace, secret, data={})
    cast(Properties, spoiled["metadata"])["labels"] = {"l": Secret("not a label: " + secret)}
    with pytest.raises(ProviderError) as failure:
        engine.create(spoiled)
    assert "[secret]" in str(failure.value)
    assert f"not a label: {secret}" not in str(failure.value)


def test_refresh_sees_drift_and_the_update_heals_it(engine: _Engine, server: ApiServer, namespace: str) -> None:
    item = _workload("Deployment", namespace, replicas=1)
    resource_id, state = engine.create(item)
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/deployment"
    unchanged = engine.read(resource_id, item, state)
    assert read_properties(unchanged.inputs) == state["__inputs"]
    drift = {"spec": {"replicas": 2}}
    server.request("PATCH", path, {"fieldManager": "kubectl-edit"}, drift, "application/merge-patch+json")
    wait_until(
        lambda: number_at(server.request("GET", path), "status", "readyReplicas") == 2, "both replicas are ready"
    )
    seen = engine.read(resource_id, item, state)
    assert number_at(read_properties(seen.inputs), "spec", "replicas") == 2
    state = read_properties(seen.properties)
    assert list(engine.diff(state, item).detailedDiff) == ["spec.replicas"]
    state = engine.update(state, item)
    assert number_at(state, "spec", "replicas") == 1


def test_fields_of_others_are_not_taken(engine: _Engine, server: ApiServer, namespace: str) -> None:
    item = _item("v1", "ConfigMap", namespace, data={"a": "1"})
    _, state = engine.create(item)
    path = f"/api/v1/namespaces/{namespace}/configmaps/n"
    server.request("PATCH", path, {"fieldManager": "other"}, {"data": {"a": "2"}}, "application/merge-patch+json")
    changed: Properties = {**item, "data": {"a": "3"}}
    with pytest.raises(InitializationError, match=r"field conflict.*patchForce") as failure:
        engine.update(state, changed)
    assert text_at(failure.value.outputs, "data", "a") == "2"
    forced: Properties = {**changed, "metadata": {**object_at(item, "metadata")}}
    cast(Properties, forced["metadata"])["annotations"] = {"pulumi.com/patchForce": "true"}
    assert text_at(engine.update(state, forced), "data", "a") == "3"


def test_fields_that_the_program_drops_go(engine: _Engine, namespace: str) -> None:
    _, state = engine.create(_item("v1", "ConfigMap", namespace, data={"a": "1", "b": "2"}))
    state = engine.update(state, _item("v1", "ConfigMap", namespace, data={"a": "1"}))
    assert state["data"] == {"a": "1"}


def test_import_and_absence(engine: _Engine, namespace: str) -> None:
    item = _item("v1", "Service", namespace, spec={"selector": {"a": "b"}, "ports": [{"port": 80}]})
    cast(Properties, item["metadata"])["annotations"] = {"pulumi.com/skipAwait": "true"}
    resource_id, state = engine.create(item)
    imported = read_properties(engine.read(resource_id, item).inputs)
    assert object_at(imported, "spec", "selector") == {"a": "b"}
    assert not {"uid", "managedFields", "resourceVersion"} & set(object_at(imported, "metadata"))
    engine.delete(resource_id, state)
    assert engine.read(resource_id, item, state).id == ""


def test_service_waits_for_a_pod(engine: _Engine, namespace: str) -> None:
    item = _item("v1", "Service", namespace, spec={"selector": {"app": "deployment"}, "ports": [{"port": 80}]})
    with pytest.raises(InitializationError) as failure:
        engine.create(item, timeout=1)
    assert "Service does not target any Pods" in "\n".join(failure.value.reasons)
    engine.create(_workload("Deployment", namespace, replicas=1))
    engine.update(failure.value.outputs, item)


def test_claim_binds_grows_and_goes(engine: _Engine, server: ApiServer, namespace: str) -> None:
    def claim(size: str) -> Properties:
        requests: Properties = {"requests": {"storage": size}}
        return _item(
            "v1", "PersistentVolumeClaim", namespace, spec={"accessModes": ["ReadWriteOnce"], "resources": requests}
        )

    resource_id, state = engine.create(claim("1024Mi"))
    assert text_at(state, "status", "phase") == "Bound"
    assert engine.diff(state, claim("1Gi")).changes == wire.DiffResponse.DIFF_NONE
    answer = engine.diff(state, claim("2Gi"))
    assert list(answer.detailedDiff) == ["spec.resources.requests.storage"]
    assert not answer.replaces
    state = engine.update(state, claim("2Gi"))
    assert text_at(state, "spec", "resources", "requests", "storage") == "2Gi"

    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/n"
    held = {"metadata": {"finalizers": ["example.com/held"]}}
    server.request("PATCH", path, {}, held, "application/merge-patch+json")
    with pytest.raises(InitializationError, match="Timed out waiting for deletion") as failure:
        engine.delete(resource_id, state, timeout=1)
    assert "example.com/held" in "\n".join(failure.value.reasons)
    server.request("PATCH", path, {}, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
    engine.delete(resource_id, state)


def test_job(engine: _Engine, server: ApiServer, namespace: str) -> None:
    template: Properties = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    item = _item("batch/v1", "Job", namespace, "job", spec={"template": template, "activeDeadlineSeconds": 1})
    with pytest.raises(InitializationError) as failure:
        engine.create(item, timeout=20)
    assert "[DeadlineExceeded]" in "\n".join(failure.value.reasons)
    del server


def test_unreachable_cluster(cluster: _Cluster, tmp_path: Path, namespace: str) -> None:
    config = kubeconfigs.parse(str(cluster.kubeconfig))
    for entry in objects_at(config, "clusters"):
        object_at(entry, "cluster")["server"] = "https://127.0.0.1:1"
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    item = _item("v1", "ConfigMap", namespace, data={"a": "1"})
    state: Properties = {**item, "__inputs": item}

    away = _Engine(str(path))
    assert any("unreachable" in message and "127.0.0.1:1" in message for message in away.log.messages)
    assert away.diff(state, item).changes == wire.DiffResponse.DIFF_NONE
    assert away.create(item, preview=True) == ("", item)
    for operation in (
        lambda: away.create(item),
        lambda: away.update(state, item),
        lambda: away.read(f"{namespace}/n", item, state),
        lambda: away.delete(f"{namespace}/n", state),
    ):
        with pytest.raises(ProviderError, match="unreachable"):
            operation()

    dropping = _Engine(str(path), deleteUnreachable="true")
    assert dropping.read(f"{namespace}/n", item, state).id == ""
    dropping.delete(f"{namespace}/n", state)


def test_a_silent_cluster_takes_no_longer_than_the_client_may(tmp_path: Path, cluster: _Cluster) -> None:
    import socket

    config = kubeconfigs.parse(str(cluster.kubeconfig))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for entry in objects_at(config, "clusters"):
            object_at(entry, "cluster")["server"] = f"https://127.0.0.1:{silent.getsockname()[1]}"
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(config))
        begin = time.monotonic()
        engine = _Engine(str(path), kubeClientSettings='{"timeout": 1}')
        assert time.monotonic() - begin < 3
    assert any("unreachable" in message for message in engine.log.messages)


def test_many_at_once(engine: _Engine, namespace: str) -> None:
    failures: list[Exception] = []

    def create(index: int) -> None:
        item = _workload("Deployment", namespace, replicas=1)
        item["metadata"] = {"name": f"d{index}", "namespace": namespace}
        try:
            engine.create(item)
        except ProviderError as failure:
            failures.append(failure)

    threads = [threading.Thread(target=create, args=(index,)) for index in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
