"""Image references: where each component's image comes from by default and what a configured one must look like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Image(StrEnum):
    """Keys under `images` in the stack's config, one for each container image."""

    MANAGER = "manager"
    SCHEDULER = "scheduler"
    SEED_PEER = "seedPeer"
    PEER = "dfget"
    MYSQL = "mysql"
    MYSQLD_EXPORTER = "mysqlExporter"
    REDIS = "redis"
    REDIS_EXPORTER = "redisExporter"
    METRICS_EXPORTER = "metricsExporter"


@dataclass(frozen=True)
class ImageSource:
    """Where an image comes from.

    Attributes:
        registry: its own: host and path.
        repository: its path there.
        tag: of a full version.
        mirrored: its path under `imageRegistry`; the same when None.
        tag_keys: the config keys that decide on the tag.
    """

    registry: str
    repository: str
    tag: str
    mirrored: str | None = None
    tag_keys: tuple[str, ...] = ()


MARKETPLACE = "marketplace.gcr.io/google"
"""The click-to-deploy registry, in reach of nodes without public addresses."""

_METRICS_EXPORTER = ImageSource("gke.gcr.io", "prometheus-to-sd", "v0.11.12-gke.11")
# Tags of a full version: a floating tag can change between two pulls, and with no registry in reach a restart of a pod
# whose image was pulled under `latest` never comes back.
_DEPENDENCIES = {
    Image.MYSQL: ImageSource(MARKETPLACE, "mysql8", "8.0.46"),
    Image.MYSQLD_EXPORTER: ImageSource(MARKETPLACE, "mysql8", "exporter-0.19.0"),
    Image.REDIS: ImageSource(MARKETPLACE, "redis7", "7.2.4"),
    Image.REDIS_EXPORTER: ImageSource(MARKETPLACE, "redis-exporter1", "1.63.0"),
    # GKE's own registry: the guide's k8s.gcr.io is frozen.
    Image.METRICS_EXPORTER: _METRICS_EXPORTER,
}

# The grammar of github.com/distribution/reference.
_DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?"
_PATH_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = rf"{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_REFERENCE = re.compile(rf"(?:{_DOMAIN}/)?{_PATH}(?::(?P<tag>{_TAG}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?")
_REGISTRY = re.compile(rf"{_DOMAIN}(?:/{_PATH})?")
_FLOATING_TAG = "latest"


def image_reference_fault(reference: str) -> str | None:
    """Return what is wrong with a configured image reference, or None.

    A tag or a digest is demanded because what runs must be the same after every restart.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return "must be an image reference, for example registry.example.com/team/redis:7.2.4"
    if match["digest"]:
        return None
    if match["tag"] is None:
        return "has neither tag nor digest: write registry/repository:tag or registry/repository@sha256:..."
    return tag_fault(match["tag"])


def tag_fault(tag: str) -> str | None:
    """Return what is wrong with an image tag, or None."""
    if re.fullmatch(_TAG, tag) is None:
        return "must be an image tag: up to 128 letters, digits, '_', '.' and '-', starting with a letter, digit or '_'"
    if tag == _FLOATING_TAG:
        return "must name a version: what the tag latest points to changes between two pulls"
    return None


def registry_fault(registry: str) -> str | None:
    """Return what is wrong with `imageRegistry`, or None."""
    if _REGISTRY.fullmatch(registry) is None:
        return (
            "must be a registry's host and path without scheme, tag or trailing slash, "
            "for example registry.example.com/team"
        )
    return None


@dataclass(frozen=True)
class Images:
    """The image references of one installation.

    Args:
        registry: host and path that the images hang under; None leaves each in its own registry.
        dragonfly: where the images of Dragonfly's own programs come from.
        overrides: full references that take the place of a default.
    """

    registry: str | None
    dragonfly: Mapping[Image, ImageSource]
    overrides: Mapping[Image, str]

    def reference(self, image: Image) -> str:
        """Return the full reference of a component's image."""
        if image in self.overrides:
            return self.overrides[image]
        source = self._source(image)
        if self.registry is None or source is _METRICS_EXPORTER:
            return f"{source.registry}/{source.repository}:{source.tag}"
        return f"{self.registry}/{source.mirrored or source.repository}:{source.tag}"

    def config_keys(self, reference: str) -> tuple[str, ...]:
        """Return the config keys that decide on an image, the nearest first; none for an image of somebody else's.

        Args:
            reference: the full reference.
        """
        image = next((each for each in Image if self.reference(each) == reference), None)
        if image is None:
            return ()
        own = f"images.{image}"
        source = self._source(image)
        if image in self.overrides or source is _METRICS_EXPORTER:
            return (own,)
        return (*source.tag_keys, "imageRegistry", own)

    def _source(self, image: Image) -> ImageSource:
        return self.dragonfly.get(image) or _DEPENDENCIES[image]
