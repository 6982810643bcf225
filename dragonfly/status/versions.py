"""Which versions run, and which of them should not."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dragonfly.access.objects import Object, listed
from dragonfly.parts.labels import COMPONENT_LABEL, Component

# https://nvd.nist.gov/vuln/detail/CVE-2026-24124: the manager's REST API, fixed in 2.4.1.
_JOBS_ARE_OPEN = "CVE-2026-24124"
_FIXED = (2, 4, 1)


def running_images(pods: Iterable[Object]) -> dict[str, list[str]]:
    """Return the image references of the containers that run, by container name.

    Args:
        pods: of the instance.
    """
    found: dict[str, set[str]] = {}
    for pod in pods:
        references = {each["name"]: each["image"] for each in pod["spec"]["containers"]}
        for status in listed(pod, "containerStatuses"):
            if "running" in status["state"]:
                # The node calls an image by any of its names; the spec by the one that was asked for.
                found.setdefault(status["name"], set()).add(references[status["name"]])
    return {name: sorted(images) for name, images in sorted(found.items())}


def version(reference: str) -> str:
    """Return the tag of an image reference, or else its digest."""
    name, _, digest = reference.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return tag or digest


def advisories(pods: Iterable[Object]) -> list[str]:
    """Return what is known to be dangerous in the versions that run, in words.

    Args:
        pods: of the instance.
    """
    managers = [pod for pod in pods if pod["metadata"]["labels"].get(COMPONENT_LABEL) == Component.MANAGER]
    versions = {version(image) for images in running_images(managers).values() for image in images}
    return [
        f"manager {each} has {_JOBS_ARE_OPEN} (critical, fixed in {'.'.join(map(str, _FIXED))}): whoever reaches its "
        "REST API reads and makes jobs without signing in. Let nobody reach it that you do not trust, and move to 2.5, "
        "as docs/dragonfly-2.5.md tells: 2.1 gets no fixes."
        for each in sorted(versions)
        if (number := re.match(r"v?(\d+)\.(\d+)\.(\d+)(?![\d.])", each)) and tuple(map(int, number.groups())) < _FIXED
    ]
