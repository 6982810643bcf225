"""What every kind of Google resource has: its ID, its rules, and its life in the ledger of the stand-in cloud."""

from __future__ import annotations

import datetime
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

from local.ledger.ledger import Entries, Entry, Ledger
from local.ledger.locations import is_region, is_zone
from local.standins.cloud.clusters import Clusters
from local.standins.plugins.google.labels import labels_after
from local.standins.plugins.google.schema import Fields, fields_of, planned
from local.standins.plugins.google.types import Fault
from local.standins.plugins.object_fields import text_at
from local.standins.plugins.property_values import Properties, Value
from local.standins.plugins.provider_errors import ProviderError

SECONDS_VARIABLE: Final = "DRAGONFLY_CLOUD_SECONDS"
"""Environment variable with the seconds that an operation in the cloud takes."""

_DEFAULT_SECONDS: Final = 0.7
_TITLES: Final = {
    "cloudresourcemanager": "Cloud Resource Manager API",
    "compute": "Compute Engine API",
    "container": "Kubernetes Engine API",
    "iam": "Identity and Access Management (IAM) API",
    "monitoring": "Cloud Monitoring API",
    "serviceusage": "Service Usage API",
}
PROVISIONING: Final = "PROVISIONING"
RUNNING: Final = "RUNNING"
STOPPING: Final = "STOPPING"
_FIELD: Final = re.compile(r"\{(\w+)\}")


class GoogleError(ProviderError):
    """Google's API refuses; the message has the form of the client library's errors."""

    def __init__(self, status: int, message: str, reason: str) -> None:
        super().__init__(f"googleapi: Error {status}: {message}, {reason}")


class ApiOffError(GoogleError):
    """An API is not switched on, or was a moment ago."""

    def __init__(self, project: str, api: str) -> None:
        number = project_number(project)
        super().__init__(
            403,
            f"{_TITLES.get(api, api)} has not been used in project {number} before or it is disabled. Enable it by "
            f"visiting https://console.developers.google.com/apis/api/{api}.googleapis.com/overview?project={number} "
            "then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our "
            "systems and retry.",
            "accessNotConfigured",
        )


@dataclass(frozen=True)
class Cloud:
    """The stand-in cloud as one configured provider sees it.

    Attributes:
        ledger: what there is.
        clusters: the control planes.
        project, region, zone: the provider's, empty where it has none.
        seconds: that an operation takes.
        switched_on: APIs that this provider has switched on, by ID: no other API has heard of it yet.
    """

    ledger: Ledger
    clusters: Clusters
    project: str = ""
    region: str = ""
    zone: str = ""
    seconds: float = field(default_factory=lambda: float(os.environ.get(SECONDS_VARIABLE) or _DEFAULT_SECONDS))

    switched_on: set[str] = field(default_factory=set[str])

    def pause(self, times: float = 1.0) -> None:
        """Let an operation take its time.

        Args:
            times: how much longer it takes than a short one.
        """
        time.sleep(self.seconds * times)


def project_number(project: str) -> str:
    """Return the number of a project, the same whenever it is asked for."""
    return str(int(hashlib.sha256(project.encode()).hexdigest()[:10], 16) + 10**11)


def now() -> str:
    """Return the time as Google's APIs write it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


class Kind:
    """One kind of resource. Subclasses say what is special; the rest is the same for all."""

    type: ClassVar[str]
    """Type token."""
    resource: ClassVar[str]
    """Terraform's name of it."""
    path: ClassVar[str]
    """The ID, with the names of properties in braces."""
    api: ClassVar[str]
    """The API that must be switched on, without `.googleapis.com`."""
    place: ClassVar[str] = ""
    """Property with the place, which the provider's region or zone fills: `region`, `zone` or `location`."""
    goes_first: ClassVar[bool] = False
    """Whether it is always deleted before its replacement is made."""
    unread: ClassVar[tuple[str, ...]] = ()
    """Inputs that the cloud knows nothing of: a read leaves them as the state has them."""
    link: ClassVar[str] = "https://www.googleapis.com/compute/v1"
    """Begins `selfLink`."""

    @property
    def name(self) -> str:
        """The kind's name in messages: `Network`."""
        return self.type.rpartition(":")[2]

    @property
    def fields(self) -> Fields:
        """What the plug-in knows of its properties."""
        return fields_of(self.resource)

    @property
    def named(self) -> bool:
        """Whether a `name` is made up where the program gives none."""
        return "name" in self.fields and self.fields["name"].given

    def faults(self, inputs: Properties) -> list[Fault]:
        """Return what the plug-in finds wrong with inputs whose types are right; unknown values are among them."""
        del inputs
        return []

    def refusals(self, inputs: Properties) -> list[Fault]:
        """Return what the plug-in passes on and the API refuses."""
        del inputs
        return []

    def refuse(self, inputs: Properties) -> None:
        """Refuse what the API does not take.

        Raises:
            GoogleError: the inputs are wrong by themselves.
        """
        for fault in self.refusals(inputs):
            if self.api == "compute":
                raise GoogleError(400, f"Invalid value for field 'resource.{fault.path}': {fault.reason}", "invalid")
            raise GoogleError(400, fault.reason, "badRequest")

    def defaults(self, inputs: Properties) -> Properties:
        """Return what the cloud takes where neither the program nor the plug-in says anything."""
        del inputs
        return {}

    def shrinks(self, path: str, old: Value, new: Value) -> bool:
        """Tell whether a change goes in the one direction that needs a new resource."""
        del path, old, new
        return False

    def complete(self, cloud: Cloud, inputs: Properties) -> Properties:
        """Return the inputs with project and place of the provider's where they have none.

        Raises:
            ProviderError: neither has one.
        """
        result: Properties = {**self.defaults(inputs), **planned(self.fields, {}, inputs)}
        result["project"] = text_at(inputs, "project") or cloud.project
        if not result["project"]:
            raise ProviderError("Failed to retrieve project, pid: , err: project: required field is not set")
        if self.place and not inputs.get(self.place):
            filled = {"region": cloud.region, "zone": cloud.zone, "location": cloud.zone or cloud.region}[self.place]
            if not filled:
                raise ProviderError(
                    f"Cannot determine {self.place}: set in this resource, or set provider-level zone/region."
                )
            result[self.place] = filled
        elif self.place in ("region", "zone"):
            result[self.place] = text_at(inputs, self.place).rpartition("/")[2]
        return result

    def id_of(self, properties: Properties) -> str:
        """Return the ID that complete properties lead to."""
        return _FIELD.sub(lambda match: text_at(properties, match[1]).rpartition("/")[2], self.path)

    def create(self, cloud: Cloud, inputs: Properties, status: Callable[[str], None]) -> Entry:
        """Make the resource.

        Args:
            cloud: where.
            inputs: complete, without secrets.
            status: told what goes on.

        Raises:
            ProviderError: the API refuses.
        """
        del status
        entry_id = self.id_of(inputs)
        with cloud.ledger.change() as entries:
            self._admit(cloud, entries, inputs)
        cloud.pause()
        with cloud.ledger.change() as entries:
            self._admit(cloud, entries, inputs)
            self.meet(entries, inputs)
            found = {**self.outputs(entries, inputs, entry_id), **labels_after(self.fields, None, inputs)}
            entry = Entry(self.type, entry_id, {**inputs, **found}, inputs)
            entries.put(entry)
        return entry

    def _admit(self, cloud: Cloud, entries: Entries, inputs: Properties) -> None:
        """Check what every API checks first: project, place, that it is switched on, and that the name is free."""
        del cloud
        project, entry_id = text_at(inputs, "project"), self.id_of(inputs)
        if not re.fullmatch(r"[a-z][a-z0-9.:-]*", project):
            raise GoogleError(403, f"Permission denied on resource project {project}.", "forbidden")
        if self.place:
            self.check_place(text_at(inputs, self.place))
        if self.api and not entries.is_on(project, self.api):
            raise ApiOffError(project, self.api)
        self.refuse(inputs)
        if entries.get(entry_id) is not None:
            self.meet_namesake(entry_id)

    def check_place(self, place: str) -> None:
        """Refuse a place that does not exist.

        Raises:
            GoogleError: it has not the form of a zone or region.
        """
        fits = {"region": is_region(place), "zone": is_zone(place), "location": is_region(place) or is_zone(place)}
        if not fits[self.place]:
            word = "region" if self.place == "region" else "zone"
            raise GoogleError(400, f"Invalid value for field '{word}': '{place}'. Unknown {word}.", "invalid")

    def meet_namesake(self, entry_id: str) -> None:
        """Refuse a name that is taken.

        Raises:
            ProviderError: as the plug-in or the API tells it.
        """
        raise GoogleError(409, f"The resource '{entry_id}' already exists", "alreadyExists")

    def meet(self, entries: Entries, inputs: Properties) -> None:
        """Check what the resource needs of others.

        Raises:
            GoogleError: something is missing or in the way.
        """
        del entries, inputs

    def outputs(self, entries: Entries, inputs: Properties, entry_id: str) -> Properties:
        """Return what the cloud adds to the inputs."""
        del entries, inputs
        return {"selfLink": f"{self.link}/{entry_id}", "creationTimestamp": now()}

    def read(self, cloud: Cloud, entry: Entry) -> Entry:
        """Return the resource as it is now, whatever goes on with it."""
        del cloud
        return entry

    def settled(self, cloud: Cloud, entry_id: str) -> Entry | None:
        """Return the resource once nothing goes on with it any more; None for gone."""
        return cloud.ledger.read().get(entry_id)

    def update(self, cloud: Cloud, entry: Entry, inputs: Properties, status: Callable[[str], None]) -> Entry:
        """Change the resource in place.

        Args:
            cloud: where.
            entry: as it is.
            inputs: complete, without secrets.
            status: told what goes on.

        Raises:
            ProviderError: the API refuses.
        """
        del status
        cloud.pause()
        kept = {name: value for name, value in entry.properties.items() if name not in entry.inputs}
        labels = labels_after(self.fields, entry.properties, inputs)
        changed = replace(entry, properties={**kept, **inputs, **labels}, inputs=inputs)
        with cloud.ledger.change() as entries:
            self.meet(entries, inputs)
            entries.put(changed)
        return changed

    def delete(self, cloud: Cloud, entry: Entry, state: Properties, status: Callable[[str], None]) -> None:
        """Delete the resource.

        Args:
            cloud: where.
            entry: as it is.
            state: as the engine last knew it; some rules are about that.
            status: told what goes on.

        Raises:
            ProviderError: the API refuses.
        """
        del state, status
        with cloud.ledger.change() as entries:
            self.let_go(cloud, entries, entry)
        cloud.pause()
        with cloud.ledger.change() as entries:
            self.let_go(cloud, entries, entry)
            entries.remove(entry.id)

    def let_go(self, cloud: Cloud, entries: Entries, entry: Entry) -> None:
        """Check that nothing uses the resource.

        Raises:
            GoogleError: something does.
        """
        del cloud
        for user in self.users(entries, entry):
            raise GoogleError(
                400,
                f"The {self.name.lower()} resource '{entry.id}' is already being used by '{user}'",
                "resourceInUseByAnotherResource",
            )

    def users(self, entries: Entries, entry: Entry) -> Iterable[str]:
        """Return the IDs of what uses the resource."""
        del entries, entry
        return ()


class OperatedKind(Kind):
    """A kind that the cloud makes and deletes in operations of its own: they go on when whoever asked is gone."""

    def provision(self, cloud: Cloud, entry: Entry, status: Callable[[str], None]) -> Entry:
        """Bring a resource to what it should be; goes on where somebody was killed.

        Raises:
            ProviderError: it does not get there.
        """
        raise NotImplementedError

    def end(self, cloud: Cloud, entry: Entry) -> None:
        """Take a resource away; goes on where somebody was killed.

        Raises:
            ProviderError: it does not go.
        """
        raise NotImplementedError

    def settled(self, cloud: Cloud, entry_id: str, status: Callable[[str], None] = lambda _: None) -> Entry | None:
        with cloud.ledger.operation(entry_id):
            entry = cloud.ledger.read().get(entry_id)
            if entry is not None and entry.status == PROVISIONING:
                return self.provision(cloud, entry, status)
            if entry is not None and entry.status == STOPPING:
                self.end(cloud, entry)
                return None
            return entry

    def started(self, cloud: Cloud, entry: Entry, status: Callable[[str], None]) -> Entry:
        """Enter a resource that is to be made or changed, and wait until it is.

        Raises:
            ProviderError: somebody has deleted it meanwhile, or it does not get there.
        """
        with cloud.ledger.change() as entries:
            entries.put(replace(entry, status=PROVISIONING))
        settled = self.settled(cloud, entry.id, status)
        if settled is None:
            raise GoogleError(404, f"Not found: {entry.id}.", "notFound")
        return settled

    def delete(self, cloud: Cloud, entry: Entry, state: Properties, status: Callable[[str], None]) -> None:
        status("nodes end")
        with cloud.ledger.change() as entries:
            entries.put(replace(entry, status=STOPPING))
        self.settled(cloud, entry.id)


def referred(entries: Entries, reference: str, path: str, project: str) -> Entry:
    """Return what a property refers to.

    Args:
        entries: the ledger's.
        reference: name, path or URL.
        path: the ID that a mere name stands for, with `{name}`.
        project: of the resource that refers.

    Raises:
        GoogleError: there is none.
    """
    wanted = path.format(project=project, name=reference)
    if "projects/" in reference:
        wanted = reference[reference.index("projects/") :]
    found = entries.get(wanted)
    if found is None:
        raise GoogleError(404, f"The resource '{wanted}' was not found", "notFound")
    return found


def refers(entry: Entry, name: str, target: Entry) -> bool:
    """Whether a property of one entry refers to another one.

    Args:
        entry: the one that may refer.
        name: the property.
        target: the other one.
    """
    return names(text_at(entry.properties, name), target)


def names(reference: str, target: Entry) -> bool:
    """Whether a name, path or URL is that of an entry."""
    return reference in (target.name, target.id) or reference.endswith(f"/{target.id}")
