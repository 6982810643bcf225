"""What the Kubernetes stand-in calls a change, which changes need a new object, and how values cross the wire."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pulumi.runtime import rpc as _rpc
from pulumi.runtime.proto import provider_pb2 as _wire

from local.plugins import property_values
from local.plugins.engine_log import EngineLog
from local.plugins.field_ownership import with_taken_over_fields
from local.plugins.kubernetes_provider import KubernetesProvider
from local.plugins.object_changes import changes, normalized, property_path, pruned, replacing_fields
from local.plugins.object_kinds import BUILT_IN, is_built_in
from local.plugins.object_names import assign_name, unique_name
from local.plugins.property_values import (
    UNKNOWN,
    Properties,
    Secret,
    Value,
    mark_secrets,
    read_properties,
    secret_texts,
    write_properties,
)
from local.plugins.provider_settings import read_settings
from local.plugins.quantities import canonical

wire: Any = _wire
rpc: Any = _rpc


class _SilentLog:
    def message(self, severity: int, urn: str, text: str) -> None:
        del severity, urn, text

    def status(self, urn: str, text: str) -> None:
        del urn, text


def _provider() -> KubernetesProvider:
    log: EngineLog = _SilentLog()
    return KubernetesProvider(log)


def _urn(kind: str) -> str:
    return f"urn:pulumi:dev::project::{kind}::name"


def _diff(kind: str, old: Properties, new: Properties, live: Properties | None = None) -> Any:
    state: Properties = {**(live or old), "__inputs": old}
    return _provider().diff(wire.DiffRequest(urn=_urn(kind), olds=write_properties(state), news=write_properties(new)))


def _object(api_version: str, kind: str, **fields: Value) -> Properties:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "n", "namespace": "ns"}, **fields}


def _with(item: Properties, path: str, value: Value) -> Properties:
    head, _, rest = path.partition(".")
    inner = item.get(head)
    return {**item, head: _with(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}


REPLACEMENTS = [
    ("apps/v1", "Deployment", "spec.selector", {"matchLabels": {"a": "c"}}, True),
    ("apps/v1", "Deployment", "spec.replicas", 3, False),
    ("apps/v1", "DaemonSet", "spec.selector.matchLabels.a", "c", True),
    ("apps/v1", "StatefulSet", "spec.serviceName", "other", True),
    ("apps/v1", "StatefulSet", "spec.volumeClaimTemplates", [{"metadata": {"name": "v"}}], True),
    ("apps/v1", "StatefulSet", "spec.podManagementPolicy", "Parallel", True),
    ("apps/v1", "StatefulSet", "spec.template", {"metadata": {"labels": {"a": "c"}}}, False),
    ("batch/v1", "Job", "spec.template", {"spec": {"restartPolicy": "Never"}}, True),
    ("batch/v1", "Job", "spec.activeDeadlineSeconds", 5, False),
    ("v1", "PersistentVolumeClaim", "spec.storageClassName", "fast", True),
    ("v1", "PersistentVolumeClaim", "spec.accessModes", ["ReadWriteMany"], True),
    ("v1", "PersistentVolumeClaim", "spec.resources", {"requests": {"storage": "9Gi"}}, False),
    ("v1", "Service", "spec.clusterIP", "None", True),
    ("v1", "Service", "spec.ports", [{"port": 81}], False),
    ("v1", "Secret", "data", {"a": "Yg=="}, True),
    ("v1", "Secret", "type", "other", True),
    ("v1", "ConfigMap", "data", {"a": "c"}, True),
    ("v1", "ConfigMap", "metadata.labels", {"a": "c"}, False),
    ("v1", "Pod", "spec.containers", [{"name": "c", "image": "i:2"}], True),
    ("v1", "Pod", "spec.activeDeadlineSeconds", 5, False),
    ("app.k8s.io/v1beta1", "Application", "spec.selector", {"matchLabels": {"a": "c"}}, False),
    ("v1", "Namespace", "metadata.name", "other", True),
    ("v1", "Service", "metadata.namespace", "other", True),
]


@pytest.mark.parametrize(("api_version", "kind", "path", "value", "replaces"), REPLACEMENTS)
def test_immutable_fields_need_a_new_object(
    api_version: str, kind: str, path: str, value: Value, replaces: bool
) -> None:
    old = _object(api_version, kind)
    if kind in ("Secret", "ConfigMap"):
        old["data"] = {"a": "YQ=="}
    new = _with(old, path, value)
    answer = _diff(f"kubernetes:{api_version if '/' in api_version else f'core/{api_version}'}:{kind}", old, new)
    assert answer.changes == wire.DiffResponse.DIFF_SOME
    assert bool(answer.replaces) is replaces
    # The name is the program's own, so the old object must go first, unless the new one stands elsewhere.
    assert answer.deleteBeforeReplace is (replaces and path not in ("metadata.name", "metadata.namespace"))


def test_data_changes_in_place_where_the_provider_says_so() -> None:
    for kind in ("Secret", "ConfigMap"):
        item = _object("v1", kind, data={"a": "b"})
        assert "data" in replacing_fields(item, mutable_secrets=False, mutable_config_maps=False)
        assert "data" not in replacing_fields(item, mutable_secrets=True, mutable_config_maps=True)
        item["immutable"] = True
        assert "data" in replacing_fields(item, mutable_secrets=True, mutable_config_maps=True)
    assert "type" in replacing_fields(_object("v1", "Secret"), mutable_secrets=True, mutable_config_maps=True)


def test_a_patch_never_replaces_but_for_its_name() -> None:
    old = _object("apps/v1", "Deployment", spec={"selector": {"matchLabels": {"a": "b"}}})
    answer = _diff("kubernetes:apps/v1:DeploymentPatch", old, _with(old, "spec.selector.matchLabels.a", "c"))
    assert list(answer.detailedDiff) == ["spec.selector.matchLabels.a"]
    assert not answer.replaces


def test_an_autonamed_object_is_replaced_side_by_side() -> None:
    old = _object("v1", "ConfigMap", data={"a": "b"})
    old["metadata"] = {"name": "n-1", "namespace": "ns", "annotations": {"pulumi.com/autonamed": "true"}}
    answer = _diff("kubernetes:core/v1:ConfigMap", old, {**old, "data": {"a": "c"}})
    assert list(answer.replaces) == ["data.a"]
    assert not answer.deleteBeforeReplace


def test_what_the_cluster_adds_is_no_change() -> None:
    inputs = _object(
        "apps/v1",
        "Deployment",
        spec={
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "c",
                            "env": [],
                            "resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"cpu": 2}},
                        }
                    ],
                    "volumes": [{"name": "t", "emptyDir": {}}],
                }
            }
        },
    )
    live = _object(
        "apps/v1",
        "Deployment",
        spec={
            "replicas": 1,
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "c",
                            "imagePullPolicy": "Always",
                            "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2"}},
                        },
                        {"name": "injected"},
                    ],
                    "volumes": [{"name": "t", "emptyDir": {}}],
                    "restartPolicy": "Always",
                }
            },
        },
        status={"replicas": 1},
    )
    assert _diff("kubernetes:apps/v1:Deployment", inputs, inputs, live).changes == wire.DiffResponse.DIFF_NONE
    containers = "spec.template.spec.containers"
    drifted: Any = live
    drifted["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "1"
    answer = _diff("kubernetes:apps/v1:Deployment", inputs, inputs, drifted)
    assert list(answer.detailedDiff) == [f"{containers}[0].resources.requests.cpu"]


def test_string_data_is_compared_as_the_cluster_keeps_it() -> None:
    inputs = _object("v1", "Secret", stringData={"a": "x", "b": "y"})
    live = _object("v1", "Secret", data={"a": "eA==", "b": "eQ=="}, type="Opaque")
    assert _diff("kubernetes:core/v1:Secret", inputs, inputs, live).changes == wire.DiffResponse.DIFF_NONE
    changed = {**inputs, "stringData": {"a": "z", "b": UNKNOWN}}
    answer = _diff("kubernetes:core/v1:Secret", inputs, cast(Properties, changed), live)
    assert sorted(answer.detailedDiff) == ["stringData.a", "stringData.b"]


def test_a_namespace_left_out_is_the_one_it_has() -> None:
    inputs = _object("v1", "Service", spec={"type": "ClusterIP"})
    live = _with(inputs, "metadata.namespace", "default")
    inputs["metadata"] = {"name": "n"}
    assert _diff("kubernetes:core/v1:Service", inputs, inputs, live).changes == wire.DiffResponse.DIFF_NONE


def test_detailed_paths() -> None:
    found = changes(
        {"a": {"b.c": 1}, "l": [{"x": 1}, {"x": 2}], "gone": 1, "same": 1},
        {"a": {"b.c": 2}, "l": [{"x": 1}, {"x": UNKNOWN}, {"x": 3}], "new": True, "same": 1.0, "empty": []},
        (),
    )
    assert {path: change.kind for path, change in found.items()} == {
        'a["b.c"]': "update",
        "l[1].x": "update",
        "l[2]": "add",
        "gone": "delete",
        "new": "add",
    }
    assert property_path(("metadata", "annotations", "a/b")) == "metadata.annotations.a/b"


def test_ignored_changes_are_left_out() -> None:
    old = _object("apps/v1", "Deployment", spec={"replicas": 1, "paused": False})
    request = wire.DiffRequest(
        urn=_urn("kubernetes:apps/v1:Deployment"),
        olds=write_properties({**old, "__inputs": old}),
        news=write_properties({**old, "spec": {"replicas": 2, "paused": False}}),
        ignoreChanges=["spec.replicas"],
    )
    assert _provider().diff(request).changes == wire.DiffResponse.DIFF_NONE


def test_pruning_keeps_empty_objects_that_the_program_wrote() -> None:
    live: Properties = {"volumes": [{"name": "t", "emptyDir": {}}], "other": 1}
    assert pruned(live, {"volumes": [{"name": "t", "emptyDir": {}}]}) == {"volumes": [{"name": "t", "emptyDir": {}}]}
    assert normalized({"metadata": {"name": "n", "uid": "u"}}, built_in=True) == {"metadata": {"name": "n"}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("512", "512"),
        ("1000", "1k"),
        ("0.5Ki", "512"),
        ("1e3", "1e3"),
        ("0", "0"),
        ("0.0000000001", "1n"),
        ("not a quantity", "not a quantity"),
    ],
)
def test_canonical_quantity(text: str, expected: str) -> None:
    assert canonical(text) == expected


def test_values_survive_the_wire() -> None:
    properties: Properties = {
        "text": "a",
        "whole": 3,
        "part": 0.5,
        "yes": True,
        "none": None,
        "unknown": UNKNOWN,
        "secret": Secret({"a": ["b"]}),
        "list": [1, {"x": None}, []],
        "object": {},
    }
    read = read_properties(write_properties(properties))
    assert read == {**{key: value for key, value in properties.items() if key != "none"}, "list": [1, {}, []]}
    assert isinstance(read["whole"], int)


def test_signatures_are_those_of_the_sdk() -> None:
    assert property_values.UNKNOWN_TEXT == rpc.UNKNOWN
    assert rpc._special_sig_key == property_values.SIGNATURE_KEY
    assert rpc._special_secret_sig == property_values.SECRET_SIGNATURE
    assert rpc._special_output_value_sig == property_values.OUTPUT_SIGNATURE


def test_secrets_stay_secret() -> None:
    assert "hidden" not in repr(Secret("hidden"))
    outputs: Properties = {"a": {"b": "x", "c": "y"}, "l": ["x"], "status": 1}
    mark_secrets(outputs, {"a": {"b": Secret("x")}, "l": [Secret("x")]})
    assert outputs == {"a": {"b": Secret("x"), "c": "y"}, "l": Secret(["x"]), "status": 1}
    item = _object("v1", "Secret", data={"a": "YQ=="})
    mark_secrets(item, {})
    assert item["data"] == Secret({"a": "YQ=="})
    assert secret_texts({"a": Secret({"b": ["c"]}), "d": "e"}) == {"c"}


def test_check_names_and_places_an_object() -> None:
    news: Properties = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": Secret("s")}}
    request = wire.CheckRequest(
        urn=_urn("kubernetes:core/v1:ConfigMap"), news=write_properties(news), randomSeed=b"seed"
    )
    inputs: Any = read_properties(_provider().check(request).inputs)
    assert inputs["metadata"]["name"] == unique_name("name-", b"seed")
    assert len(inputs["metadata"]["name"]) == len("name-") + 8
    assert inputs["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    assert inputs["data"] == {"a": Secret("s")}
    again = wire.CheckRequest(
        urn=request.urn, news=write_properties(news), olds=write_properties(inputs), randomSeed=b"other"
    )
    assert read_properties(_provider().check(again).inputs) == inputs


def test_check_keeps_unknowns() -> None:
    news: Properties = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": UNKNOWN, "data": {"a": UNKNOWN}}
    request = wire.CheckRequest(urn=_urn("kubernetes:core/v1:ConfigMap"), news=write_properties(news))
    assert read_properties(_provider().check(request).inputs) == news


def test_a_given_name_is_kept() -> None:
    item = _object("v1", "ConfigMap")
    assign_name(item, "other", b"", "", disabled=True)
    assert item == _object("v1", "ConfigMap")
    with pytest.raises(ValueError, match="automatic naming is disabled"):
        assign_name({"kind": "ConfigMap"}, "other", b"", "", disabled=True)


def _kubeconfig(server: str, context: str = "c", user: str = "u") -> str:
    return f"""
clusters: [{{name: k, cluster: {{server: "{server}"}}}}]
contexts: [{{name: {context}, context: {{cluster: k, user: {user}}}}}]
current-context: {context}
"""


@pytest.mark.parametrize(
    ("old", "new", "replaces"),
    [
        ({"kubeconfig": _kubeconfig("https://a")}, {"kubeconfig": _kubeconfig("https://b")}, ["kubeconfig"]),
        ({"kubeconfig": _kubeconfig("https://a")}, {"kubeconfig": _kubeconfig("https://a", user="v")}, []),
        ({"kubeconfig": _kubeconfig("https://a")}, {"kubeconfig": UNKNOWN}, ["kubeconfig"]),
        (
            {"kubeconfig": _kubeconfig("https://a"), "clusterIdentifier": "i"},
            {"kubeconfig": _kubeconfig("https://b"), "clusterIdentifier": "i"},
            [],
        ),
        ({"kubeconfig": "", "clusterIdentifier": "i"}, {"clusterIdentifier": "j"}, ["clusterIdentifier"]),
        ({}, {"clusterIdentifier": "j"}, []),
        ({"kubeconfig": UNKNOWN, "clusterIdentifier": "i"}, {"kubeconfig": UNKNOWN, "clusterIdentifier": "i"}, None),
    ],
)
def test_another_cluster_replaces_the_provider(old: Properties, new: Properties, replaces: list[str] | None) -> None:
    request = wire.DiffRequest(
        urn=_urn("pulumi:providers:kubernetes"), olds=write_properties(old), news=write_properties(new)
    )
    answer = _provider().diff_config(request)
    if replaces is None:
        assert answer.changes == wire.DiffResponse.DIFF_NONE
    else:
        assert answer.changes == wire.DiffResponse.DIFF_SOME
        assert list(answer.replaces) == replaces


def test_settings_go_before_the_environment() -> None:
    environment = {"PULUMI_K8S_DELETE_UNREACHABLE": "true", "PULUMI_K8S_CLIENT_TIMEOUT": "7"}
    settings = read_settings({}, environment)
    assert (settings.delete_unreachable, settings.timeout, settings.burst) == (True, 7, 120)
    assert settings.server_side_apply
    variables = {
        "kubernetes:config:deleteUnreachable": "false",
        "kubernetes:config:enableServerSideApply": "false",
        "kubernetes:config:kubeClientSettings": '{"timeout": 3, "qps": 5.5}',
    }
    settings = read_settings(variables, environment)
    assert (settings.delete_unreachable, settings.timeout, settings.per_second) == (False, 3, 5.5)
    assert not settings.server_side_apply
    with pytest.raises(ValueError, match="timeout"):
        read_settings({"kubernetes:config:kubeClientSettings": '{"timeout": -1}'}, {})


def test_creation_and_kubectl_give_their_fields_to_the_apply() -> None:
    managed: list[Properties] = [
        {"manager": "pulumi-kubernetes-1", "operation": "Update", "time": "1", "fieldsV1": {"f:spec": {"f:a": {}}}},
        {"manager": "kubectl-edit", "operation": "Update", "time": "2", "fieldsV1": {"f:spec": {"f:b": {}}}},
        {"manager": "kubectl", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:c": {}}}},
        {"manager": "controller", "operation": "Update", "fieldsV1": {"f:status": {}}},
    ]
    taken = with_taken_over_fields(managed, "pulumi-kubernetes-1", "v1")
    assert taken is not None
    assert taken[0]["operation"] == "Apply"
    assert taken[0]["fieldsV1"] == {"f:spec": {"f:a": {}, "f:b": {}}}
    assert [entry["manager"] for entry in taken[1:]] == ["kubectl", "controller"]
    assert with_taken_over_fields(taken, "pulumi-kubernetes-1", "v1") is None


def test_paths_of_kinds() -> None:
    assert BUILT_IN[("v1", "Secret")].path("ns", "n") == "/api/v1/namespaces/ns/secrets/n"
    assert BUILT_IN[("networking.k8s.io/v1", "NetworkPolicy")].plural == "networkpolicies"
    assert BUILT_IN[("storage.k8s.io/v1", "StorageClass")].path("", "n") == "/apis/storage.k8s.io/v1/storageclasses/n"
    assert is_built_in("apps/v1")
    assert not is_built_in("app.k8s.io/v1beta1")
    assert not is_built_in("example.com/v1")
