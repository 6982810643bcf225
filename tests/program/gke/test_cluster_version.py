"""Versions of GKE."""

from __future__ import annotations

import pytest

from dragonfly.google.cluster_version import (
    REGISTRY_HOSTS_SINCE,
    GkeVersion,
    GkeVersionError,
    check_mirror_support,
    version_with_mirrors,
)


def test_versions_are_ordered_by_number_and_not_by_letter() -> None:
    texts = [
        "1.34.1-gke.2980000",
        "1.34.1-gke.10000000",
        "1.34.9-gke.1",
        "1.34.10-gke.1",
        "1.100.0-gke.1",
        "2.0.0-gke.1",
    ]
    versions = [GkeVersion.parse(text) for text in texts]
    assert versions == sorted(versions)
    assert [str(version) for version in versions] == texts


@pytest.mark.parametrize("text", ["", "1.34", "1.34.1", "latest", "v1.34.1-gke.1", "1.34.1-gke.1-beta"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(GkeVersionError, match="not a GKE version"):
        GkeVersion.parse(text)


def test_version_that_first_has_the_mirrors_is_enough() -> None:
    check_mirror_support(str(REGISTRY_HOSTS_SINCE), str(REGISTRY_HOSTS_SINCE))


@pytest.mark.parametrize("nodes", ["", "1.35.1-gke.1", "1.35.1-gke.1*"])
def test_nodes_that_are_new_enough_or_not_there(nodes: str) -> None:
    check_mirror_support("1.35.1-gke.1", nodes)


def test_nodes_that_lag_behind_are_told_without_the_asterisk_of_several_versions() -> None:
    with pytest.raises(GkeVersionError, match=r"but its nodes run 1\.33\.1-gke\.1; "):
        check_mirror_support("1.35.1-gke.1", "1.33.1-gke.1*")


def test_default_of_the_channel_is_taken_before_its_newest() -> None:
    first = str(REGISTRY_HOSTS_SINCE)
    assert version_with_mirrors({"REGULAR": first}, {"REGULAR": "1.36.0-gke.1"}, "x") == first
    assert version_with_mirrors({"REGULAR": "1.35.1-gke.1"}, {"REGULAR": "1.36.0-gke.1"}, "x") == "1.35.1-gke.1"


def test_newest_of_the_channel_is_taken_where_its_default_is_too_old() -> None:
    assert version_with_mirrors({"REGULAR": "1.33.1-gke.1"}, {"REGULAR": "1.35.0-gke.1"}, "x") == "1.35.0-gke.1"


def test_channel_that_is_too_old_is_refused_with_the_reason_and_the_remedy() -> None:
    with pytest.raises(GkeVersionError) as refused:
        version_with_mirrors({"REGULAR": "1.32.1-gke.1"}, {"REGULAR": "1.33.0-gke.1"}, "us-west1-a")
    assert str(refused.value) == (
        f"registry mirrors need GKE {REGISTRY_HOSTS_SINCE} or later, and release channel REGULAR offers 1.32.1-gke.1 "
        "and 1.33.0-gke.1 in us-west1-a; give the cluster a newer version, or switch the mirrors off: "
        "pulumi config set dragonfly:registryMirrors '[]' "
        "&& pulumi config set dragonfly:mirrorPrivateRegistries false"
    )
