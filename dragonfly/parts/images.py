"""Image references: where each component's image comes from by default and what a configured one must look like."""

from __future__ import annotations

import re
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


# Repositories of the click-to-deploy registry. The guide writes dragonfly-seedpeer2, which does not exist.
_DRAGONFLY_REPOSITORIES = {
    Image.MANAGER: "dragonfly-manager2",
    Image.SCHEDULER: "dragonfly-scheduler2",
    Image.SEED_PEER: "dragonfly-seed-peer2",
    Image.PEER: "dragonfly-dfget2",
}
# Tags of a full version: a floating tag can change between two pulls, and with no registry in reach a restart of a pod
# whose image was pulled under `latest` never comes back.
_DEPENDENCY_REFERENCES = {
    Image.MYSQL: "mysql8:8.0.46",
    Image.MYSQLD_EXPORTER: "mysql8:exporter-0.19.0",
    Image.REDIS: "redis7:7.2.4",
    Image.REDIS_EXPORTER: "redis-exporter1:1.63.0",
}
# GKE's own registry: the guide's k8s.gcr.io is frozen.
_METRICS_EXPORTER = "gke.gcr.io/prometheus-to-sd:v0.11.12-gke.11"

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
        registry: host and path that the default repositories hang under.
        tag: tag of the four Dragonfly images.
        overrides: full references that take the place of a default.
    """

    registry: str
    tag: str
    overrides: dict[Image, str]

    def reference(self, image: Image) -> str:
        """Return the full reference of a component's image."""
        if image in self.overrides:
            return self.overrides[image]
        if image in _DRAGONFLY_REPOSITORIES:
            return f"{self.registry}/{_DRAGONFLY_REPOSITORIES[image]}:{self.tag}"
        if image in _DEPENDENCY_REFERENCES:
            return f"{self.registry}/{_DEPENDENCY_REFERENCES[image]}"
        return _METRICS_EXPORTER

    def config_keys(self, reference: str) -> tuple[str, ...]:
        """Return the config keys that decide on an image, the nearest first; none for an image of somebody else's.

        Args:
            reference: the full reference.
        """
        image = next((each for each in Image if self.reference(each) == reference), None)
        if image is None:
            return ()
        own = f"images.{image}"
        if image in self.overrides or image is Image.METRICS_EXPORTER:
            return (own,)
        return ("tag", "imageRegistry", own) if image in _DRAGONFLY_REPOSITORIES else ("imageRegistry", own)
