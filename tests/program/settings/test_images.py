"""Image references: the defaults that exist in the registry, and which configured ones are refused."""

from __future__ import annotations

import pytest

from dragonfly.lines.known_lines import images_of
from dragonfly.parts.images import Image, Images, image_reference_fault, registry_fault, tag_fault

REGISTRY = "marketplace.gcr.io/google"
DIGEST = "sha256:" + "0123456789abcdef" * 4
# What the click-to-deploy registry publishes, spelled out; the guide's dragonfly-seedpeer2 does not exist.
DEFAULTS = {
    Image.MANAGER: f"{REGISTRY}/dragonfly-manager2:2.1.34",
    Image.SCHEDULER: f"{REGISTRY}/dragonfly-scheduler2:2.1.34",
    Image.SEED_PEER: f"{REGISTRY}/dragonfly-seed-peer2:2.1.34",
    Image.PEER: f"{REGISTRY}/dragonfly-dfget2:2.1.34",
    Image.MYSQL: f"{REGISTRY}/mysql8:8.0.46",
    Image.MYSQLD_EXPORTER: f"{REGISTRY}/mysql8:exporter-0.19.0",
    Image.REDIS: f"{REGISTRY}/redis7:7.2.4",
    Image.REDIS_EXPORTER: f"{REGISTRY}/redis-exporter1:1.63.0",
    Image.METRICS_EXPORTER: "gke.gcr.io/prometheus-to-sd:v0.11.12-gke.11",
}
DRAGONFLY = (Image.MANAGER, Image.SCHEDULER, Image.SEED_PEER, Image.PEER)
KEYS = {
    "manager",
    "scheduler",
    "seedPeer",
    "dfget",
    "mysql",
    "mysqlExporter",
    "redis",
    "redisExporter",
    "metricsExporter",
}


def _images(registry: str | None = None, tag: str = "2.1.34", overrides: dict[Image, str] | None = None) -> Images:
    return images_of(registry, tag, "1.4.3", overrides or {})


def test_keys_are_those_of_the_config() -> None:
    assert {image.value for image in Image} == KEYS


@pytest.mark.parametrize("image", Image)
def test_default_is_published(image: Image) -> None:
    assert _images().reference(image) == DEFAULTS[image]


@pytest.mark.parametrize("image", Image)
def test_default_is_what_the_config_would_accept(image: Image) -> None:
    assert image_reference_fault(_images().reference(image)) is None


@pytest.mark.parametrize("image", Image)
def test_tag_is_that_of_the_dragonfly_images_only(image: Image) -> None:
    reference = _images(tag="2.1").reference(image)
    assert reference == (DEFAULTS[image].replace(":2.1.34", ":2.1") if image in DRAGONFLY else DEFAULTS[image])


@pytest.mark.parametrize("image", Image)
def test_registry_is_that_of_every_image_but_gkes_own(image: Image) -> None:
    reference = _images(registry="localhost:5000/a").reference(image)
    expected = DEFAULTS[image].replace(REGISTRY, "localhost:5000/a")
    assert reference == expected
    assert (reference == DEFAULTS[image]) == (image is Image.METRICS_EXPORTER)


@pytest.mark.parametrize("image", Image)
def test_configured_reference_takes_the_place_of_one_default(image: Image) -> None:
    images = _images(overrides={image: "a/b:c"})
    assert {one: images.reference(one) for one in Image} == {**DEFAULTS, image: "a/b:c"}


def test_every_image_is_told_by_the_keys_that_decide_on_it() -> None:
    images = _images(overrides={Image.REDIS: "a/b:c"})
    keys = {image: images.config_keys(images.reference(image)) for image in Image}
    assert keys == {
        **{image: ("tag", "imageRegistry", f"images.{image.value}") for image in DRAGONFLY},
        Image.MYSQL: ("imageRegistry", "images.mysql"),
        Image.MYSQLD_EXPORTER: ("imageRegistry", "images.mysqlExporter"),
        Image.REDIS: ("images.redis",),
        Image.REDIS_EXPORTER: ("imageRegistry", "images.redisExporter"),
        Image.METRICS_EXPORTER: ("images.metricsExporter",),
    }
    assert images.config_keys("somebody.example.com/sidecar:1") == ()


@pytest.mark.parametrize(
    "reference",
    [
        "redis:7.2.4",
        "library/redis:7",
        "docker.io/library/redis:7.2.4-bookworm",
        "localhost:5000/redis:7",
        "registry.example.com:5000/a/b/c:v1.0_rc-2",
        "europe-docker.pkg.dev/my-project/mirror/dragonflyoss/manager:v2.1.60",
        f"redis@{DIGEST}",
        f"registry.example.com/redis:7.2.4@{DIGEST}",
        # The digest decides, whatever the tag says.
        f"registry.example.com/redis:latest@{DIGEST}",
        "a__b/c-d.e--f:1",
        "redis:" + "1" * 128,
    ],
)
def test_good_reference(reference: str) -> None:
    assert image_reference_fault(reference) is None


@pytest.mark.parametrize(
    ("reference", "fault"),
    [
        ("redis", "neither tag nor digest"),
        ("registry.example.com:5000/redis", "neither tag nor digest"),
        ("redis:latest", "must name a version"),
        ("docker.io/library/redis:latest", "must name a version"),
        ("", "must be an image reference"),
        (":7", "must be an image reference"),
        ("redis:", "must be an image reference"),
        ("redis:7 ", "must be an image reference"),
        (" redis:7", "must be an image reference"),
        ("redis:7\n", "must be an image reference"),
        ("redis:7:8", "must be an image reference"),
        ("redis:.7", "must be an image reference"),
        ("redis:" + "1" * 129, "must be an image reference"),
        ("https://registry.example.com/redis:7", "must be an image reference"),
        ("registry.example.com//redis:7", "must be an image reference"),
        ("/redis:7", "must be an image reference"),
        ("registry.example.com/redis/:7", "must be an image reference"),
        ("registry.example.com/Redis:7", "must be an image reference"),
        ("-redis:7", "must be an image reference"),
        ("redis-:7", "must be an image reference"),
        ("re..dis:7", "must be an image reference"),
        ("re___dis:7", "must be an image reference"),
        ("registry.example.com:port/redis:7", "must be an image reference"),
        ("redis@sha256:0123", "must be an image reference"),
        (f"redis@{DIGEST.upper()}", "must be an image reference"),
        (f"redis@{DIGEST}0", "must be an image reference"),
        (f"redis@{DIGEST.replace('sha256', 'md5')}", "must be an image reference"),
        ("redis@7", "must be an image reference"),
        ("$(id):7", "must be an image reference"),
    ],
)
def test_bad_reference(reference: str, fault: str) -> None:
    assert fault in (image_reference_fault(reference) or "")


@pytest.mark.parametrize("tag", ["0", "9", "2", "2.1", "2.1.34", "2.1.34-debian11", "_x", "V2", "2" * 128, "latest-2"])
def test_good_tag(tag: str) -> None:
    assert tag_fault(tag) is None


@pytest.mark.parametrize("tag", ["", "latest", ".1", "-1", "1:2", "a/b", "1 2", "1\n", "2" * 129, "é", "@1"])
def test_bad_tag(tag: str) -> None:
    assert (tag_fault(tag) or "").startswith("must ")


@pytest.mark.parametrize(
    "registry",
    [
        *(REGISTRY, "docker.io", "localhost", "localhost:5000", "127.0.0.1:5000/a/b_c", "a.b-c.D/e"),
        # Every digit, wherever one may stand.
        *(f"{name}:5000" for name in ("0", "9", "a0", "a9", "a09a", "b.0", "b.9", "b.b0", "b.b9", "b.b09b")),
        *(f"a/{name}" for name in ("0", "9", "a.0", "a.9")),
        *("a:1", "a:0", "a:9"),
    ],
)
def test_good_registry(registry: str) -> None:
    assert registry_fault(registry) is None


@pytest.mark.parametrize(
    "registry",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "https://a",
        "a/b:1",
        "a:port",
        "a/B",
        "a b",
        "a\n",
        f"a/b@{DIGEST}",
        "-a",
        "a-",
        "a..b",
        "a_b",
    ],
)
def test_bad_registry(registry: str) -> None:
    assert "host and path without scheme" in (registry_fault(registry) or "")


# Unicode has many digits, the grammar of references ten.
@pytest.mark.parametrize("digit", ["\N{ARABIC-INDIC DIGIT FIVE}", "\N{FULLWIDTH DIGIT FIVE}"])
def test_digits_are_ascii(digit: str) -> None:
    assert image_reference_fault(f"localhost:{digit}/redis:7") is not None
    assert image_reference_fault(f"redis:{digit}") is not None
    assert registry_fault(f"localhost:{digit}") is not None
    assert tag_fault(digit) is not None
