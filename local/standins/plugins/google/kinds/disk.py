"""Disks: `gcp.compute.Disk`."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Final

from local.ledger.ledger import DISK, Entries, Entry
from local.standins.plugins.google.kinds.kind import Cloud, GoogleError, Kind
from local.standins.plugins.google.rules import name_faults
from local.standins.plugins.google.types import Fault
from local.standins.plugins.property_values import Properties, Value

_MOST_GIB: Final = 64 * 1024
_DETACH_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.2


class Disk(Kind):
    """`gcp.compute.Disk`.

    The real plug-in detaches a disk from whatever runs on it before it deletes it. Taking the disk away from a running
    database is always a mistake here, and so it is refused.
    """

    type = DISK
    resource = "google_compute_disk"
    path = "projects/{project}/zones/{zone}/disks/{name}"
    api = "compute"
    place = "zone"

    def refusals(self, inputs: Properties) -> list[Fault]:
        faults = name_faults(inputs)
        size = inputs.get("size")
        if isinstance(size, int) and not 1 <= size <= _MOST_GIB:
            faults.append(Fault("size", f"Disk size cannot be smaller than 1 GB or larger than {_MOST_GIB} GB."))
        return faults

    def defaults(self, inputs: Properties) -> Properties:
        return {"size": 500, "physicalBlockSizeBytes": 4096}

    def shrinks(self, path: str, old: Value, new: Value) -> bool:
        return path == "size" and isinstance(old, int) and isinstance(new, int) and new < old

    def outputs(self, entries: Entries, inputs: Properties, entry_id: str) -> Properties:
        return {
            **super().outputs(entries, inputs, entry_id),
            "diskId": str(int(hashlib.sha256(entry_id.encode()).hexdigest()[:15], 16)),
            "labelFingerprint": "42WmSpB8rSM=",
            "users": [],
        }

    def read(self, cloud: Cloud, entry: Entry) -> Entry:
        attachment = cloud.clusters.attached_to(entry.id)
        entry.properties["users"] = [attachment.node] if attachment else []
        return entry

    def delete(self, cloud: Cloud, entry: Entry, state: Properties, status: Callable[[str], None]) -> None:
        # A pod's end and the disk's release are not the same moment.
        deadline = time.monotonic() + _DETACH_SECONDS
        while cloud.clusters.attached_to(entry.id) and time.monotonic() < deadline:
            status("waiting for the disk to be detached")
            time.sleep(_POLL_SECONDS)
        if attachment := cloud.clusters.attached_to(entry.id):
            raise GoogleError(
                400,
                f"The disk resource '{entry.id}' is already being used by '{attachment.node}'",
                "resourceInUseByAnotherResource",
            )
        super().delete(cloud, entry, state, status)
