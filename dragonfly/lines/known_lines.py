"""The release lines that this program installs, and which of them a stack's tags mean."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dragonfly.lines.line_2_1 import Line21
from dragonfly.lines.line_2_5 import Line25
from dragonfly.lines.release_line import ReleaseLine
from dragonfly.parts.images import Image, Images

# An image may have a suffix behind its version, such as -debian11. The marketplace's tags 2 and 2.1 float.
_LINES: tuple[tuple[re.Pattern[str], ReleaseLine], ...] = (
    (re.compile(r"v?2(?:\.1(?:\.\d+)?)?(?:-.*)?"), Line21()),
    (re.compile(r"v?2\.5\.\d+(?:-.*)?"), Line25()),
)
LINES = tuple(line for _, line in _LINES)
"""Every line, the oldest first."""

_CLIENT = re.compile(r"v?1\.4\.(\d+)(?:-.*)?")
# The first that reads its schedulers from a file (`--dynconfig`).
_FIRST_CLIENT = 3


def line_of(tag: str) -> ReleaseLine:
    """Return the release line of a tag.

    Raises:
        ValueError: it is of none that this program knows.
    """
    for pattern, line in _LINES:
        if pattern.fullmatch(tag):
            return line
    raise ValueError(tag)


def line_fault(tag: str) -> str | None:
    """Return what is wrong with a tag that no known release line has, or None."""
    try:
        line_of(tag)
    except ValueError:
        return "must be a version of Dragonfly that this program installs: 2.1.N or 2.5.N, for example 2.5.1"
    return None


def client_fault(client_tag: str) -> str | None:
    """Return what is wrong with the tag of a client that does not speak the API of manager and scheduler, or None.

    Manager and scheduler 2.5 are of API 2.2 (`d7y.io/api/v2` v2.2.32 in their go.mod), and so is the client 1.4
    (`dragonfly-api` 2.2.32 in its Cargo.lock); 1.5 is of API 2.3.
    """
    match = _CLIENT.fullmatch(client_tag)
    if match is None or int(match[1]) < _FIRST_CLIENT:
        return f"must be a version of the client that goes with Dragonfly 2.5: 1.4.{_FIRST_CLIENT} or a later 1.4.N"
    return None


def images_of(registry: str | None, tag: str, client_tag: str, overrides: Mapping[Image, str]) -> Images:
    """Return the image references of an installation.

    Args:
        registry: see `Images`.
        tag: of manager and scheduler; their release line decides where all of Dragonfly's images come from.
        client_tag: of the client, where the line has it.
        overrides: see `Images`.

    Raises:
        ValueError: the tag is of no known release line.
    """
    return Images(registry, line_of(tag).images(tag, client_tag), overrides)
