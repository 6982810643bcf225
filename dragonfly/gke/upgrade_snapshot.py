"""Snapshots of MySQL's disk, each from before a manager of a newer release line migrates the database.

A stack that was installed with the newer line has none, and neither the config nor the stack's outputs tell the two
apart: the state does. What is in the state is declared again each time, and so goes with the stack and not before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import pulumi
from pulumi_gcp import compute

from dragonfly.gke.provisioned_cluster import ProvisionedCluster
from dragonfly.google.location import region_of
from dragonfly.google.resource_names import RESOURCE_NAME_LIMIT, google_name
from dragonfly.parts.labels import Component
from dragonfly.pods.disk import disk_name, disk_path
from dragonfly.settings.model import Settings
from dragonfly.updates.line_change import FIRST_LINE, RELEASE_LINE, is_older, release_line

_SNAPSHOT = "gcp:compute/snapshot:Snapshot"
_DISK = "gcp:compute/disk:Disk"
_DEPLOYMENT = "kubernetes:apps/v1:Deployment"

# The plug-in adds a hyphen and seven digits.
_NAME_LIMIT = RESOURCE_NAME_LIMIT - 8
_NUMBERED = re.compile(r".*-(\d+)")
_LINE, _UNDONE = "dragonfly-upgrade-to", "dragonfly-upgrade-undone"
_IN_PREVIEW = pulumi.ResourceHookOptions(on_dry_run=True)

_State = Mapping[tuple[str, str], Mapping[str, Any]]
"""The outputs of every resource that the state has, by type and name."""


class SnapshotGoneError(pulumi.RunError):
    """A snapshot would be taken anew though the database is migrated; the message says what to do."""


def upgrade_snapshots(
    settings: Settings, cluster: ProvisionedCluster, manager: tuple[str, str], opts: pulumi.ResourceOptions
) -> list[compute.Snapshot]:
    """Declare the snapshots, one for each time that the stack moves to a newer release line.

    Args:
        settings: what the stack decides.
        cluster: whose disk it is.
        manager: Pulumi's type and name of the manager's component; its Deployment has the same name.
        opts: of the snapshots.
    """
    recorded = _recorded()
    labels = {
        name: dict[str, str](outputs.get("labels") or {})
        for (kind, name), outputs in recorded.items()
        if kind == _SNAPSHOT
    }
    names = sorted(labels, key=_number)
    now = settings.line.name
    before = _line_before(recorded, manager)
    moves = before is not None and is_older(before, now)
    if names and is_older(now, _dotted(labels[names[-1]].get(_LINE, now))):
        labels[names[-1]][_UNDONE] = "true"
    if moves and not any(_dotted(each.get(_LINE, "")) == now and _UNDONE not in each for each in labels.values()):
        # Not where a failed update has taken one: the next might be from after the migration.
        number = _number(names[-1]) + 1 if names else 1
        place = cluster.disk_place
        app = settings.names.app
        names.append(google_name(place.cluster_name, app, "mysql", f"upgrade-{number}", limit=_NAME_LIMIT))
        labels[names[-1]] = {"dragonfly-instance": app, _LINE: now.replace(".", "-")}
    return [_snapshot(settings, cluster, name, labels[name], opts, is_new=moves) for name in names]


def _snapshot(
    settings: Settings,
    cluster: ProvisionedCluster,
    name: str,
    labels: Mapping[str, str],
    opts: pulumi.ResourceOptions,
    *,
    is_new: bool,
) -> compute.Snapshot:
    place = cluster.disk_place

    def refuse(_: pulumi.ResourceHookArgs) -> None:
        # `up --refresh` shows the program the state of before the refresh.
        raise SnapshotGoneError(
            f"{name} is in the state and not on Google Cloud, and another one would show the database as it is after "
            "the migration. Take it out of the state: pulumi refresh"
        )

    before_create = [] if is_new else [pulumi.ResourceHook(f"{name}-is-there", refuse, _IN_PREVIEW)]
    snapshot = compute.Snapshot(
        # The plug-in makes the name of it, another one each time: a snapshot that was kept may have this one.
        name,
        project=place.project,
        source_disk=disk_path(place, disk_name(place, settings.names.app, Component.MYSQL)),
        zone=place.zone,
        # By default it would lie in several regions, and what the database holds may have to stay in one.
        storage_locations=[region] if (region := region_of(place.zone)) else None,
        labels=labels,
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                depends_on=place.depends_on,
                # The plug-in's five minutes are for small disks.
                custom_timeouts=pulumi.CustomTimeouts(create="1h"),
                retain_on_delete=settings.keep_upgrade_snapshot,
                hooks=pulumi.ResourceHookBinding(before_create=before_create),
            ),
        ),
    )
    if settings.keep_upgrade_snapshot:
        snapshot.name.apply(
            lambda found: pulumi.log.info(
                f"snapshot {found} stays, and is billed, when the stack is destroyed: keepUpgradeSnapshot", snapshot
            )
        )
    return snapshot


def _line_before(recorded: _State, manager: tuple[str, str]) -> str | None:
    """Return the release line that the database is of, or None where there is none yet."""
    if (deployment := recorded.get((_DEPLOYMENT, manager[1]))) is not None:
        return release_line(deployment)
    if not any(kind == _DISK for kind, _ in recorded):
        return None
    # Its cluster was lost, and the disk was not; or a first installation did not get as far.
    return str(recorded.get(manager, {}).get(RELEASE_LINE, FIRST_LINE))


def _number(name: str) -> int:
    match = _NUMBERED.fullmatch(name)
    return int(match[1]) if match else 0


def _dotted(label: str) -> str:
    # A label's value has no dots.
    return label.replace("-", ".")


def _recorded() -> _State:
    organization, stack = pulumi.get_organization(), pulumi.get_stack()
    if organization != "organization":
        # What a backend says that knows none: the oldest of them take nothing before the stack's name.
        stack = f"{organization}/{pulumi.get_project()}/{stack}"
    answer = pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": stack})
    resources = cast("dict[str, dict[str, Any]]", answer.value["outputs"])
    return {(each["type"], urn.rpartition("::")[2]): each["outputs"] for urn, each in resources.items()}
