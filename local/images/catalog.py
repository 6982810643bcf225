"""Which images there are: name, layers, and what a container of each starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname
from typing import Any, cast

import yaml

from dragonfly.lines.known_lines import images_of, line_fault
from dragonfly.parts.images import Image, Images
from local.images.layer import Entry, Layer
from local.images.oci_archive import OciImage
from local.machine.paths import PROJECT_FOLDER
from local.tools.catalog import IMAGE_TOOLS, LINE_2_5_TOOLS

PAUSE = "registry.k8s.io/pause:3.6"
"""Holds a pod's namespaces; the one that Debian's containerd 1.6 names by default."""

_FILES = Path(__file__).resolve().parent / "files"
_BINARIES = "/opt/dragonfly/bin"
_STANDIN = "dragonfly-standin"
_CLIENT = "/usr/local/bin/dfdaemon"


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


@dataclass(frozen=True)
class LineImages:
    """What the images of Dragonfly's own programs hold.

    Attributes:
        title: begins their label, for whoever meets one somewhere.
        programs: what a container of each starts.
        tools: from which they are made.
        entries: their files, from the tools' binaries.
    """

    title: str
    programs: Mapping[Image, tuple[str, ...]]
    tools: Sequence[str]
    entries: Callable[[Mapping[str, Path]], list[Entry]]


def _played_entries(binaries: Mapping[str, Path]) -> list[Entry]:
    return [
        Entry(f"{_BINARIES}/{_STANDIN}", binaries[_STANDIN].read_bytes()),
        *(Entry(f"{_BINARIES}/{name}", link=_STANDIN) for name in ("server", "scheduler", "dfget")),
        Entry("/bin/grpc_health_probe", link=f"{_BINARIES}/{_STANDIN}"),
    ]


def _real_entries(binaries: Mapping[str, Path]) -> list[Entry]:
    client = binaries["dfdaemon"]
    return [
        Entry(f"{_BINARIES}/server", binaries["dragonfly-manager"].read_bytes()),
        Entry(f"{_BINARIES}/scheduler", binaries["dragonfly-scheduler"].read_bytes()),
        Entry(_CLIENT, client.read_bytes()),
        # What was not compiled into the client.
        *(Entry(f"{dirname(_CLIENT)}/{file.name}", file.read_bytes()) for file in client.parent.glob("*.so")),
    ]


LINE_IMAGES: Mapping[str, LineImages] = {
    "2.1": LineImages(
        title="stand-in for Dragonfly ({image}), not Dragonfly",
        programs={
            Image.MANAGER: (f"{_BINARIES}/server",),
            Image.SCHEDULER: (f"{_BINARIES}/scheduler",),
            Image.SEED_PEER: (f"{_BINARIES}/dfget", "daemon"),
            Image.PEER: (f"{_BINARIES}/dfget", "daemon"),
        },
        tools=IMAGE_TOOLS,
        entries=_played_entries,
    ),
    "2.5": LineImages(
        title="Dragonfly ({image}), built on this machine, without the console's pages",
        programs={
            Image.MANAGER: (f"{_BINARIES}/server",),
            Image.SCHEDULER: (f"{_BINARIES}/scheduler",),
            # The seed peer's, too.
            Image.PEER: (_CLIENT, "--console"),
        },
        tools=LINE_2_5_TOOLS,
        entries=_real_entries,
    ),
}
"""By the name of the release line. Of 2.1 no registry of modules has the programs: they are played."""


def pause_entries(binaries: Mapping[str, Path]) -> list[Entry]:
    """All of the pause image."""
    return [Entry("/pause", binaries["pause"].read_bytes())]


def images(layers: Layers, names: Images, line: LineImages) -> list[OciImage]:
    """Every image of an installation, and the one that every pod needs.

    Args:
        layers: what they are made of.
        names: how the program calls them.
        line: what those of Dragonfly's own programs are.
    """
    database, dragonfly = (layers.debian, layers.databases), (layers.debian, layers.dragonfly)
    return [
        *(
            OciImage(
                names.reference(image),
                dragonfly,
                command,
                labels={"org.opencontainers.image.title": line.title.format(image=image.value)},
            )
            for image, command in line.programs.items()
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


def default_references(tag: str | None = None) -> Images:
    """Return the names that images have where a stack's config says nothing else but a tag."""
    defaults = _defaults()
    return images_of(None, tag or defaults["tag"], defaults["clientTag"], {})


def default_tag() -> str:
    """Return the release that a stack has whose config names none."""
    return str(_defaults()["tag"])


def _defaults() -> dict[str, Any]:
    config = yaml.safe_load((PROJECT_FOLDER / "Pulumi.yaml").read_text())["config"]
    return {
        key: config[key]["default"] for key in ("clientTag", "imageRegistry", "images", "metricsExporterEnabled", "tag")
    }


def _file(name: str) -> bytes:
    return (_FILES / name).read_bytes()
