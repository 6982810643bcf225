"""Versions of GKE: which one a new cluster asks for, and which are too old for the registry mirrors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

RELEASE_CHANNEL = "REGULAR"

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)-gke\.(\d+)")


class GkeVersionError(pulumi.RunError):
    """A version is no GKE version, or none that is offered will do; the message says why and what helps."""


@dataclass(frozen=True, order=True)
class GkeVersion:
    """A version of control plane or nodes, `1.34.1-gke.2980000`."""

    major: int
    minor: int
    patch: int
    build: int

    @classmethod
    def parse(cls, text: str) -> GkeVersion:
        """Read a full version.

        Raises:
            GkeVersionError: the text is none.
        """
        match = _VERSION.fullmatch(text)
        if match is None:
            raise GkeVersionError(f"{text!r} is not a GKE version such as 1.34.1-gke.2980000")
        return cls(*(int(number) for number in match.groups()))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}-gke.{self.build}"


# GKE documentation, "Customize containerd configuration in GKE nodes", registryHosts.
REGISTRY_HOSTS_SINCE = GkeVersion(1, 34, 1, 2980000)

_REMEDY = (
    "give the cluster a newer version, or switch the mirrors off: pulumi config set dragonfly:registryMirrors '[]' "
    "&& pulumi config set dragonfly:mirrorPrivateRegistries false"
)


def version_with_mirrors(default: Mapping[str, str], latest: Mapping[str, str], location: str) -> str:
    """Return the version to ask for when a cluster is made whose nodes get registry mirrors.

    A version written down here would be withdrawn within months, and GKE then refuses it: so it is one of those that
    the release channel offers.

    Args:
        default: the version that each release channel gives to new clusters.
        latest: the newest version of each release channel.
        location: zone or region, for the message.

    Raises:
        GkeVersionError: the channel offers no version that has the feature.
    """
    offered = [versions[RELEASE_CHANNEL] for versions in (default, latest) if versions.get(RELEASE_CHANNEL)]
    for version in offered:
        if GkeVersion.parse(version) >= REGISTRY_HOSTS_SINCE:
            return version
    raise GkeVersionError(
        f"registry mirrors need GKE {REGISTRY_HOSTS_SINCE} or later, and release channel {RELEASE_CHANNEL} offers "
        f"{' and '.join(offered) or 'nothing'} in {location}; {_REMEDY}"
    )


def check_mirror_support(control_plane: str, nodes: str) -> None:
    """Refuses a cluster whose version does not have the feature: GKE would ignore or reject the node pool's mirrors.

    Args:
        control_plane: its version.
        nodes: their version, which may lag behind; GKE puts an asterisk after it where they run several. Empty where
            there are none.

    Raises:
        GkeVersionError: a version is too old.
    """
    for version, who in ((control_plane, "the cluster runs"), (nodes.removesuffix("*"), "its nodes run")):
        if version and GkeVersion.parse(version) < REGISTRY_HOSTS_SINCE:
            raise GkeVersionError(
                f"registry mirrors need GKE {REGISTRY_HOSTS_SINCE} or later, but {who} {version}; {_REMEDY}. After an "
                "upgrade that the state does not know yet: pulumi refresh"
            )
