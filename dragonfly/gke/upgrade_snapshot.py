"""The snapshot of MySQL's disk from before a manager of the next release line migrates the database.

A stack that was installed with the newer line has none, and neither the config nor the program's own outputs tell the
two apart: the state does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pulumi
from pulumi_gcp import compute

from dragonfly.google.location import region_of
from dragonfly.parts.labels import Component
from dragonfly.pods.disk import DiskPlace, disk_name, disk_path
from dragonfly.settings.model import Settings
from dragonfly.updates.line_change import is_downgrade, release_line

_NAME = "mysql-upgrade-snapshot"
_SNAPSHOT = "gcp:compute/snapshot:Snapshot"
_MANAGER = "kubernetes:apps/v1:Deployment"

_NUMBER, _LINE, _UNDONE = "dragonfly-upgrade", "dragonfly-upgrade-to", "dragonfly-upgrade-undone"


def upgrade_snapshot(
    settings: Settings, disk_place: DiskPlace, *, manager: str, opts: pulumi.ResourceOptions
) -> compute.Snapshot | None:
    """Declare the snapshot, where the stack moves to a newer release line or once has.

    Args:
        settings: what the stack decides.
        disk_place: where the database's disk is.
        manager: Pulumi's name of the manager's Deployment.
        opts: of the snapshot.
    """
    recorded = _recorded_outputs()
    taken, before = recorded.get((_SNAPSHOT, _NAME)), recorded.get((_MANAGER, manager))
    now = settings.line.name
    moves = before is not None and is_downgrade(now, release_line(before))
    if taken is None and not moves:
        return None
    labels: Mapping[str, str] = (taken or {}).get("labels") or {}
    # A label's value has no dots.
    number, line, undone = int(labels.get(_NUMBER, 0)), labels.get(_LINE, "").replace("-", "."), _UNDONE in labels
    if moves and (line != now or undone):
        # Not for one that a failed update has taken: the next might be from after the migration.
        number, line, undone = number + 1, now, False
    elif is_downgrade(line, now):
        undone = True
    snapshot = compute.Snapshot(
        _NAME,
        # The name is made up anew each time: one that was kept from an earlier stack, or move, may be there still.
        project=disk_place.project,
        source_disk=disk_path(disk_place, disk_name(disk_place, settings.names.app, Component.MYSQL)),
        zone=disk_place.zone,
        # By default it would lie in several regions, and what the database holds may have to stay in one.
        storage_locations=[region] if (region := region_of(disk_place.zone)) else None,
        # Another description makes another snapshot.
        description=f"MySQL's disk before upgrade {number} of Dragonfly",
        labels={
            "dragonfly-instance": settings.names.app,
            _NUMBER: str(number),
            _LINE: line.replace(".", "-"),
            **({_UNDONE: "true"} if undone else {}),
        },
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                depends_on=disk_place.depends_on,
                # The plug-in's five minutes are for small disks.
                custom_timeouts=pulumi.CustomTimeouts(create="1h"),
                retain_on_delete=settings.keep_upgrade_snapshot,
            ),
        ),
    )
    if settings.keep_upgrade_snapshot:
        pulumi.log.info(
            "stays, and is billed, when the stack is destroyed: dragonfly:keepUpgradeSnapshot is true", snapshot
        )
    return snapshot


def _recorded_outputs() -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """Return the outputs of every resource in the state, by type and name."""
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    answer = pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": stack})
    resources = cast("dict[str, dict[str, Any]]", answer.value["outputs"])
    return {(each["type"], urn.rpartition("::")[2]): each["outputs"] for urn, each in resources.items()}
