"""Which cluster and namespace the Kubernetes stand-in takes from a kubeconfig."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.plugins.kubeconfig import (
    KubeconfigError,
    Selection,
    active_cluster,
    ambient,
    default_namespace,
    parse,
    with_selection,
)
from local.plugins.object_fields import objects_at, text_at

TEXT = """
clusters:
- {name: one, cluster: {server: "https://one", certificate-authority: ca.crt}}
- {name: two, cluster: {server: "https://two"}}
contexts:
- {name: first, context: {cluster: one, user: u, namespace: here}}
- {name: second, context: {cluster: two, user: u}}
current-context: first
users: []
"""


@pytest.mark.parametrize(
    ("selection", "server", "namespace"),
    [
        (Selection(), "https://one", "here"),
        (Selection(context="second"), "https://two", "default"),
        (Selection(cluster="two"), "https://two", "here"),
        (Selection(namespace="there"), "https://one", "there"),
    ],
)
def test_overrides(selection: Selection, server: str, namespace: str) -> None:
    config = parse(TEXT)
    assert text_at(active_cluster(config, selection), "server") == server
    assert default_namespace(config, selection) == namespace
    # What the client is given leads to the same cluster without any override.
    assert text_at(active_cluster(with_selection(config, selection), Selection()), "server") == server


def test_text_and_path_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(TEXT)
    assert parse(str(path)) == parse(TEXT)


@pytest.mark.parametrize("text", ["no/such/file", "a: [", "users: []", "[]"])
def test_what_is_no_kubeconfig(text: str) -> None:
    with pytest.raises(KubeconfigError):
        parse(text)


def test_an_error_never_repeats_the_text() -> None:
    with pytest.raises(KubeconfigError) as failure:
        parse("clusters: []\ntoken: hunter2: [\n")
    assert "line 2" in str(failure.value)
    assert "hunter2" not in str(failure.value)


def test_an_unknown_context_is_named_with_the_known_ones() -> None:
    with pytest.raises(KubeconfigError, match=r"no context 'third'; it has: first, second"):
        with_selection(parse(TEXT), Selection(context="third"))


def test_ambient_kubeconfigs_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text(TEXT)
    (tmp_path / "b").write_text(TEXT.replace("https://one", "https://other").replace("name: two", "name: three"))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'a'}:{tmp_path / 'missing'}:{tmp_path / 'b'}")
    merged = ambient()
    assert [text_at(entry, "name") for entry in objects_at(merged, "clusters")] == ["one", "two", "three"]
    assert text_at(active_cluster(merged, Selection()), "server") == "https://one"
    assert text_at(active_cluster(merged, Selection()), "certificate-authority") == str(tmp_path / "ca.crt")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(KubeconfigError, match="missing"):
        ambient()
