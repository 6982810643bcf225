"""Registries that the nodes ask through their peer."""

from __future__ import annotations

import pytest

from dragonfly.lines.known_lines import images_of
from dragonfly.parts.images import Image
from dragonfly.parts.registry_mirrors import (
    DEFAULT_REGISTRIES,
    registry_list_fault,
    registry_mirror,
    registry_name_fault,
)


# The edges of a port, and every digit wherever one may stand.
@pytest.mark.parametrize(
    "registry",
    [
        *(*DEFAULT_REGISTRIES, "registry.example.com:5000", "10.0.1.2:5000", "a.b:1", "a.b:65535"),
        *("0.b", "9.b", "a0.b", "a9.b", "a09a.b", "a.0", "a.9", "a.b0", "a.b9", "a.b09b"),
    ],
)
def test_good_registry(registry: str) -> None:
    assert registry_name_fault(registry) is None


@pytest.mark.parametrize(
    ("registry", "rule"),
    [
        ("https://quay.io", "without a scheme"),
        ("quay.io/team", "without a path"),
        ("quay.io/", "without a path"),
        ("*.example.com", "no wildcards"),
        ("Quay.io", "lower-case"),
        ("quay_io", "lower-case"),
        ("", "lower-case"),
        ("quay.io:", "lower-case"),
        ("quay.io:000080", "lower-case"),
        ("quay.io:70000", "port"),
        ("quay.io:0", "port"),
        ("quay.io:65536", "port"),
        ("registry", "full host name"),
        ("registry-1.docker.io", "write docker.io"),
        ("marketplace.gcr.io", "before the first peer runs"),
        ("gke.gcr.io", "before the first peer runs"),
    ],
)
def test_bad_registry(registry: str, rule: str) -> None:
    fault = registry_name_fault(registry)
    assert fault is not None
    assert rule in fault


def test_list_as_a_whole() -> None:
    assert registry_list_fault([]) is None
    assert registry_list_fault([f"r{number}.example.com" for number in range(25)]) is None
    assert "at most 25" in str(registry_list_fault([f"r{number}.example.com" for number in range(26)]))
    assert "a registry twice" in str(registry_list_fault(["quay.io", "ghcr.io", "quay.io"]))


def test_installation_does_not_come_through_the_mirror_by_default() -> None:
    images = images_of(None, "2.1.34", "1.4.3", {})
    registries = {images.reference(image).partition("/")[0] for image in Image}
    assert not registries & set(DEFAULT_REGISTRIES)
    assert all(registry_name_fault(registry) for registry in registries)


def test_docker_hub_is_asked_where_its_api_is() -> None:
    mirror = registry_mirror("docker.io")
    assert mirror.upstream == "https://registry-1.docker.io"
    assert mirror.fallbacks == ("https://mirror.gcr.io", "https://registry-1.docker.io")


def test_any_other_registry_is_asked_under_its_own_name() -> None:
    mirror = registry_mirror("registry.example.com:5000")
    assert mirror.upstream == "https://registry.example.com:5000"
    assert mirror.fallbacks == ("https://registry.example.com:5000",)
