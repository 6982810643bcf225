"""Which images there are: name, layers, and what a container of each starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from dragonfly.lines.known_lines import images_of, line_fault
from dragonfly.parts.images import Image, Images
from local.images.layer import Entry, Layer
from local.images.oci_archive import OciImage
from local.machine.paths import PROJECT_FOLDER

PAUSE = "registry.k8s.io/pause:3.6"
"""Holds a pod's namespaces; the one that Debian's containerd 1.6 names by default."""

_FILES = Path(__file__).resolve().parent / "files"
_BINARIES = "/opt/dragonfly/bin"
_STANDIN = "dragonfly-standin"

DRAGONFLY_PROGRAMS: Mapping[Image, tuple[str, ...]] = {
    Image.MANAGER: (f"{_BINARIES}/server",),
    Image.SCHEDULER: (f"{_BINARIES}/scheduler",),
    Image.SEED_PEER: (f"{_BINARIES}/dfget", "daemon"),
    Image.PEER: (f"{_BINARIES}/dfget", "daemon"),
}


@dataclass(frozen=True)
class Layers:
    """The layers that images are put together from; every one but the first is small."""

    debian: Layer
    databases: Layer
    dragonfly: Layer
    pause: Layer


def database_entries() -> list[Entry]:
    """Return what turns Debian's databases and exporters into the well-known images."""
    return [
        Entry("/etc/mysql/my.cnf", _file("my.cnf"), mode=0o644),
        Entry("/usr/local/bin/mysql-entrypoint", _file("mysql-entrypoint")),
        Entry("/usr/local/bin/redis-entrypoint", _file("redis-entrypoint")),
        Entry("/usr/bin/mysql", link="mariadb"),
        Entry("/bin/mysqld_exporter", link="/usr/bin/prometheus-mysqld-exporter"),
        Entry("/redis_exporter", link="/usr/bin/prometheus-redis-exporter"),
        Entry("/docker-entrypoint-initdb.d"),
        Entry("/var/lib/mysql"),
        Entry("/data"),
    ]


def dragonfly_entries(binaries: Mapping[str, Path]) -> list[Entry]:
    """Return the stand-in under the paths of the four programs."""
    return [
        Entry(f"{_BINARIES}/{_STANDIN}", binaries[_STANDIN].read_bytes()),
        *(Entry(f"{_BINARIES}/{name}", link=_STANDIN) for name in ("server", "scheduler", "dfget")),
        Entry("/bin/grpc_health_probe", link=f"{_BINARIES}/{_STANDIN}"),
    ]


def pause_entries(binaries: Mapping[str, Path]) -> list[Entry]:
    """All of the pause image."""
    return [Entry("/pause", binaries["pause"].read_bytes())]


def images(layers: Layers, names: Images) -> list[OciImage]:
    """Every image of an installation, and the one that every pod needs.

    Args:
        layers: what they are made of.
        names: how the program calls them.
    """
    database, dragonfly = (layers.debian, layers.databases), (layers.debian, layers.dragonfly)
    return [
        *(
            OciImage(
                names.reference(image),
                dragonfly,
                command,
                labels={"org.opencontainers.image.title": f"stand-in for Dragonfly ({image.value}), not Dragonfly"},
            )
            for image, command in DRAGONFLY_PROGRAMS.items()
        ),
        OciImage(
            names.reference(Image.MYSQL),
            database,
            ["mysql-entrypoint"],
            ["mysqld"],
            user="999:999",
            volumes=["/var/lib/mysql"],
        ),
        OciImage(names.reference(Image.MYSQLD_EXPORTER), database, ["/bin/mysqld_exporter"], user="65534:65534"),
        OciImage(
            names.reference(Image.REDIS),
            database,
            ["redis-entrypoint"],
            ["redis-server"],
            user="999:999",
            folder="/data",
            volumes=["/data"],
        ),
        OciImage(names.reference(Image.REDIS_EXPORTER), database, ["/redis_exporter"], user="65534:65534"),
        OciImage(PAUSE, [layers.pause], ["/pause"], user="65535:65535"),
    ]


def default_names() -> list[str]:
    """How the program calls the images of an installation without sidecars, and what every pod needs besides."""
    return configured_names({})


def configured_names(config: Mapping[str, Any]) -> list[str]:
    """How a stack's config has the program call them.

    Args:
        config: the stack's, whose keys have no project before them. What is wrong with it is the program's to say.
    """
    settings = {**_defaults(), **config}
    listed = settings["images"]
    overrides = cast("dict[str, str]", listed) if isinstance(listed, dict) else {}
    tag = str(settings["tag"])
    references = images_of(
        str(settings["imageRegistry"]) or None,
        _defaults()["tag"] if line_fault(tag) else tag,
        str(settings["clientTag"]),
        {image: str(overrides[image]) for image in Image if image in overrides},
    )
    has_sidecars = str(settings["metricsExporterEnabled"]).lower() == "true"
    used = [image for image in Image if has_sidecars or image is not Image.METRICS_EXPORTER]
    return [*map(references.reference, used), PAUSE]


def default_references() -> Images:
    """Return the names that images have where a stack's config says nothing else."""
    defaults = _defaults()
    return images_of(None, defaults["tag"], defaults["clientTag"], {})


def _defaults() -> dict[str, Any]:
    config = yaml.safe_load((PROJECT_FOLDER / "Pulumi.yaml").read_text())["config"]
    return {
        key: config[key]["default"] for key in ("clientTag", "imageRegistry", "images", "metricsExporterEnabled", "tag")
    }


def _file(name: str) -> bytes:
    return (_FILES / name).read_bytes()
