"""Snapshots of disks: `gcp.compute.Snapshot`."""

from __future__ import annotations

import hashlib

from local.ledger.ledger import Entries
from local.standins.plugins.google.kinds.kind import Kind, referred
from local.standins.plugins.google.rules import name_faults
from local.standins.plugins.google.types import Fault
from local.standins.plugins.object_fields import text_at
from local.standins.plugins.property_values import Properties


class Snapshot(Kind):
    """`gcp.compute.Snapshot`. It outlives its disk."""

    type = "gcp:compute/snapshot:Snapshot"
    resource = "google_compute_snapshot"
    path = "projects/{project}/global/snapshots/{name}"
    api = "compute"
    place = "zone"

    def refusals(self, inputs: Properties) -> list[Fault]:
        return name_faults(inputs)

    def outputs(self, entries: Entries, inputs: Properties, entry_id: str) -> Properties:
        place = f"projects/{{project}}/zones/{text_at(inputs, 'zone')}/disks/{{name}}"
        disk = referred(entries, text_at(inputs, "sourceDisk"), place, text_at(inputs, "project"))
        return {
            **super().outputs(entries, inputs, entry_id),
            "sourceDisk": f"{self.link}/{disk.id}",
            "diskSizeGb": disk.properties["size"],
            "snapshotId": int(hashlib.sha256(entry_id.encode()).hexdigest()[:12], 16),
            "storageBytes": 0,
            "labelFingerprint": "42WmSpB8rSM=",
        }
