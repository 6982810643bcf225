"""Objects that are there already are refused, and nobody else's are taken over."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any, cast

import pulumi
import pytest
from pulumi_kubernetes.meta import v1 as meta

from dragonfly.access.cluster_access import ClusterAccess
from dragonfly.access.objects import Cluster, NoClusterError
from dragonfly.updates.existing_object import MARK, RefusedObjectError, takes_nothing_over
from tests.program.played.played_api_server import NAMESPACE, ApiServer, installed_api_server, kubeconfig
from tests.program.played.played_hook import Hook
from tests.program.recorded.gke_stack import run_gke
from tests.program.recorded.recorded_program import RecordedProgram

OURS, ANOTHERS = {MARK: "ours"}, {MARK: "another's"}
SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s", "namespace": "p2p", "annotations": OURS},
}
HOOK = "takes-nothing-over"


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with installed_api_server() as server:
        yield server


def hook_of(monkeypatch: pytest.MonkeyPatch, url: str, context: str | None = None) -> Hook:
    """The hook that Kubernetes objects get, without an engine at which it is registered."""
    monkeypatch.setattr(pulumi, "ResourceHook", Hook)
    guard = takes_nothing_over(ClusterAccess(kubeconfig(url), context), "ours")
    (add,) = guard.transformations or []
    props: dict[str, Any] = {"metadata": meta.ObjectMetaArgs(annotations={"kept": "yes"}), "kept": True}
    added = add(
        pulumi.ResourceTransformationArgs(
            cast(Any, None), "kubernetes:core/v1:Secret", "s", props, pulumi.ResourceOptions(protect=True)
        )
    )
    assert added is not None
    assert added.props == props
    assert props["metadata"].annotations == {"kept": "yes", MARK: "ours"}
    assert added.opts.protect
    binding: Any = added.opts.hooks
    return binding.before_create[0]


def create(hook: Hook, inputs: dict[str, Any]) -> None:
    asyncio.run(hook.call(pulumi.ResourceHookArgs("urn", "", "s", "kubernetes:core/v1:Secret", new_inputs=inputs)))


def test_every_object_is_asked_for_but_those_that_are_shared(default_program: RecordedProgram) -> None:
    hooks = {one.name: one.create_hooks for one in default_program.objects}
    assert hooks.pop("application-crd") == ()
    # Replaced while it is there.
    assert hooks.pop("root-password") == ()
    assert set(hooks.values()) == {(HOOK,)}
    others = [one for one in default_program.resources if not one.is_kubernetes_object]
    assert {one.create_hooks for one in others} == {()}


def test_in_a_cluster_of_its_own_there_is_nobody_elses() -> None:
    assert not any(HOOK in one.create_hooks for one in run_gke().resources)


def test_the_preview_asks_too(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    hook = hook_of(monkeypatch, api.url)
    assert (hook.name, hook.in_preview) == (HOOK, True)


def test_what_is_not_there_or_on_its_way_out_is_made(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    hook = hook_of(monkeypatch, api.url)
    create(hook, SECRET)
    api.answers[f"{NAMESPACE}/secrets/s"] = (200, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    create(hook, SECRET)
    assert [path for path, _ in api.asked] == [f"{NAMESPACE}/secrets/s"] * 2


@pytest.mark.parametrize(
    ("version", "kind", "path"),
    [
        ("apps/v1", "StatefulSet", "apis/apps/v1/namespaces/p2p/statefulsets"),
        ("networking.k8s.io/v1", "NetworkPolicy", "apis/networking.k8s.io/v1/namespaces/p2p/networkpolicies"),
    ],
)
def test_an_object_of_a_group_is_found(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer, version: str, kind: str, path: str
) -> None:
    api.answers[f"/{path}/s"] = (200, {"metadata": {}})
    with pytest.raises(RefusedObjectError, match=f"{kind} s already exists"):
        create(hook_of(monkeypatch, api.url), {**SECRET, "apiVersion": version, "kind": kind})


def test_what_the_stack_made_itself_is_taken_up(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    api.answers[f"{NAMESPACE}/secrets/s"] = (200, {"metadata": {"annotations": OURS}})
    create(hook_of(monkeypatch, api.url), SECRET)
    assert api.asked


def test_every_object_that_is_asked_for_bears_the_mark_of_its_stack(default_program: RecordedProgram) -> None:
    marks = {one.name: one.manifest["metadata"].get("annotations", {}).get(MARK) for one in default_program.objects}
    assert {name for name, mark in marks.items() if mark is None} == {"application-crd", "root-password"}
    (mark,) = set(marks.values()) - {None}
    key = default_program.random["config-hash-key"]
    assert mark == hmac.new(key.encode(), MARK.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("metadata", [{}, {"annotations": {}}, {"annotations": ANOTHERS}])
def test_what_is_there_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer, metadata: dict[str, Any]
) -> None:
    api.answers[f"{NAMESPACE}/secrets/s"] = (200, {"metadata": metadata})
    with pytest.raises(RefusedObjectError) as refused:
        create(hook_of(monkeypatch, api.url), SECRET)
    assert str(refused.value) == (
        "Secret s already exists and is not this stack's; it stays as it is: "
        "pulumi config set dragonfly:appInstanceName <another>, or dragonfly:namespace; a first update without a "
        "preview has recorded both: `pulumi destroy` before"
    )


def test_a_policy_that_somebody_has_written_is_no_reason_to_install_anew(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer
) -> None:
    # In an installed stack, which keeps its name and namespace.
    policy = {**SECRET, "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    path = "/apis/networking.k8s.io/v1/namespaces/p2p/networkpolicies/s"
    api.answers[path] = (200, {"metadata": {"annotations": ANOTHERS}})
    with pytest.raises(RefusedObjectError) as refused:
        create(hook_of(monkeypatch, api.url), policy)
    assert str(refused.value) == (
        "NetworkPolicy s already exists and is not this stack's; it stays as it is: give it another name, or: "
        "pulumi config set dragonfly:networkPolicies false"
    )


def test_a_namespace_that_is_there_can_be_used(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "p2p", "annotations": OURS}}
    with pytest.raises(RefusedObjectError, match=r"pulumi config set dragonfly:createNamespace false$"):
        create(hook_of(monkeypatch, api.url), namespace)


CLAIM = {
    **SECRET,
    "kind": "PersistentVolumeClaim",
    "metadata": {**SECRET["metadata"], "name": "c"},
    "spec": {"storageClassName": "standard"},
}
CLASSES, VOLUMES = "/apis/storage.k8s.io/v1/storageclasses", "/api/v1/persistentvolumes"


def test_a_claim_of_a_class_that_the_cluster_does_not_have_is_refused_with_those_that_it_has(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer
) -> None:
    api.lists(VOLUMES, {"spec": {"storageClassName": "made-by-hand"}}, {"spec": {}})
    hook = hook_of(monkeypatch, api.url)
    for classes, found in {("gp3", "gp2"): "gp2, gp3, made-by-hand", (): "made-by-hand"}.items():
        api.lists(CLASSES, *({"metadata": {"name": name}} for name in classes))
        with pytest.raises(RefusedObjectError) as refused:
            create(hook, CLAIM)
        assert str(refused.value) == (
            f"the cluster has no StorageClass standard, it has {found}: "
            "pulumi config set dragonfly:defaultStorageClass <one of the cluster's>"
        )
    api.lists(VOLUMES)
    with pytest.raises(RefusedObjectError, match="no StorageClass standard, it has none: pulumi"):
        create(hook, CLAIM)


@pytest.mark.parametrize(("classes", "volumes"), [(["standard"], []), ([], ["standard"])])
def test_a_claim_whose_class_or_volume_is_there_is_made(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer, classes: list[str], volumes: list[str]
) -> None:
    api.lists(CLASSES, *({"metadata": {"name": name}} for name in classes))
    api.lists(VOLUMES, *({"spec": {"storageClassName": name}} for name in volumes))
    create(hook_of(monkeypatch, api.url), CLAIM)


@pytest.mark.parametrize("hidden", [CLASSES, VOLUMES])
def test_a_claim_is_made_by_an_account_that_may_not_see_classes_or_volumes(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer, hidden: str
) -> None:
    api.lists(CLASSES)
    api.lists(VOLUMES)
    api.answers[hidden] = (403, {"message": "no"})
    create(hook_of(monkeypatch, api.url), CLAIM)
    assert hidden in {path for path, _ in api.asked}


def test_a_claim_that_the_stack_has_made_keeps_its_class(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    api.answers[f"{NAMESPACE}/persistentvolumeclaims/c"] = (200, {"metadata": {"annotations": OURS}})
    api.lists(CLASSES)
    api.lists(VOLUMES)
    create(hook_of(monkeypatch, api.url), CLAIM)


def test_a_preview_asks_a_cluster_that_does_not_answer_once(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    hook = hook_of(monkeypatch, api.url)
    asked: list[str] = []

    def refuse(_: object, _version: str, _kind: str, name: str) -> None:
        asked.append(name)
        raise NoClusterError(api.url)

    monkeypatch.setattr(Cluster, "annotations", refuse)
    for _ in range(2):
        create(hook, SECRET)
    assert asked == ["s"]


def test_an_update_asks_again_after_one_question_had_no_answer(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    hook = hook_of(monkeypatch, api.url)
    api.answers[f"{NAMESPACE}/secrets/s"] = (503, {"message": "not now"})
    with pytest.raises(RefusedObjectError) as refused:
        create(hook, SECRET)
    assert str(refused.value) == (
        f"Secret s is not made, as it may be there already: {api.url} does not show Secret s (503): not now"
    )
    api.answers[f"{NAMESPACE}/secrets/s"] = (200, {"metadata": {"annotations": ANOTHERS}})
    with pytest.raises(RefusedObjectError, match="already exists"):
        create(hook, SECRET)


def test_where_nothing_answers_an_update_makes_nothing(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    with pytest.raises(RefusedObjectError, match=r"does not answer: \[Errno 111\] Connection refused$"):
        create(hook_of(monkeypatch, "http://127.0.0.1:1"), SECRET)


def test_what_is_wrong_with_the_kubeconfig_the_plug_in_tells(monkeypatch: pytest.MonkeyPatch, api: ApiServer) -> None:
    create(hook_of(monkeypatch, api.url, context="nobodys"), SECRET)
    assert api.asked == []
