"""What a project has by itself: APIs that are switched on, service accounts, and who may do what."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any, Final

from local.ledger.ledger import SERVICE, Entries, Entry
from local.standins.plugins.google.kinds.kind import ApiOffError, Cloud, GoogleError, Kind, project_number
from local.standins.plugins.google.rules import account_id_faults, is_project
from local.standins.plugins.google.types import Fault
from local.standins.plugins.object_fields import text_at
from local.standins.plugins.property_values import Properties

_PROJECTS: Final = "cloudresourcemanager"
_ACCOUNT: Final = "serviceAccount:"
_MEMBER: Final = re.compile(
    r"(?:user|group|serviceAccount|domain|principal|principalSet)[:].+|allUsers|allAuthenticatedUsers"
)
_ROLE: Final = re.compile(r"(?:roles|(?:projects|organizations)/[^/]+/roles)/[\w.]+")


class Service(Kind):
    """`gcp.projects.Service`: an API, which stays switched on unless `disableOnDestroy` says otherwise."""

    type = SERVICE
    resource = "google_project_service"
    path = "{project}/{service}"
    api = ""

    def refusals(self, inputs: Properties) -> list[Fault]:
        service = inputs.get("service")
        if isinstance(service, str) and not service.endswith(".googleapis.com"):
            return [Fault("service", f'"service" ("{service}") must be an API such as compute.googleapis.com')]
        return []

    def create(self, cloud: Cloud, inputs: Properties, status: Callable[[str], None]) -> Entry:
        project = text_at(inputs, "project")
        if not is_project(project):
            raise GoogleError(
                403,
                f"Permission denied to list services for consumer container [projects/{project}]",
                "forbidden",
            )
        self.refuse(inputs)
        api = text_at(inputs, "service").removesuffix(".googleapis.com")
        entry = Entry(self.type, self.id_of(inputs), dict(inputs), inputs)
        cloud.pause()
        with cloud.ledger.change() as entries:
            if not entries.is_on(project, "serviceusage"):
                raise ApiOffError(project, "serviceusage")
            on_before = entries.is_on(project, api)
            projects_answer = entries.is_on(project, _PROJECTS) and _PROJECTS not in cloud.switched_on
            entries.put(entry)
        if not on_before:
            cloud.switched_on.add(api)
            # It ends with a read of the project, and what was switched on a moment ago does not answer yet.
            if api != _PROJECTS and not projects_answer:
                raise ApiOffError(project, _PROJECTS)
        return entry

    def delete(self, cloud: Cloud, entry: Entry, state: Properties, status: Callable[[str], None]) -> None:
        if state.get("disableOnDestroy") is True:
            with cloud.ledger.change() as entries:
                entries.remove(entry.id)


class Account(Kind):
    """`gcp.serviceaccount.Account`."""

    type = "gcp:serviceaccount/account:Account"
    resource = "google_service_account"
    path = "projects/{project}/serviceAccounts/{email}"
    api = "iam"

    def faults(self, inputs: Properties) -> list[Fault]:
        return account_id_faults(inputs)

    def id_of(self, properties: Properties) -> str:
        return super().id_of({**properties, "email": _email(properties)})

    def outputs(self, entries: Entries, inputs: Properties, entry_id: str) -> Properties:
        email = _email(inputs)
        digest = int(hashlib.sha256(entry_id.encode()).hexdigest()[:15], 16)
        return {"email": email, "member": f"{_ACCOUNT}{email}", "name": entry_id, "uniqueId": str(digest)}


class IamMember(Kind):
    """`gcp.projects.IAMMember`."""

    type = "gcp:projects/iAMMember:IAMMember"
    resource = "google_project_iam_member"
    goes_first = True
    path = "{project}/{role}/{member}"
    api = "cloudresourcemanager"

    def refusals(self, inputs: Properties) -> list[Fault]:
        faults: list[Fault] = []
        member, role = inputs.get("member"), inputs.get("role")
        if isinstance(member, str) and not _MEMBER.fullmatch(member):
            faults.append(
                Fault("member", f'"member" ("{member}") must be a type and an identity, user:jane@example.com')
            )
        if isinstance(role, str) and not _ROLE.fullmatch(role):
            faults.append(Fault("role", f'"role" ("{role}") must be a role such as roles/viewer'))
        return faults

    def meet_namesake(self, entry_id: str) -> None:
        # Whoever has the role has it.
        pass

    def id_of(self, properties: Properties) -> str:
        return "/".join(text_at(properties, name) for name in ("project", "role", "member"))

    def meet(self, entries: Entries, inputs: Properties) -> None:
        member = text_at(inputs, "member")
        if member.startswith(_ACCOUNT):
            check_account(
                entries,
                member.removeprefix(_ACCOUNT),
                f"Service account {member.removeprefix(_ACCOUNT)} does not exist.",
            )

    def outputs(self, entries: Entries, inputs: Properties, entry_id: str) -> Properties:
        return {"etag": hashlib.sha256(entry_id.encode()).hexdigest()[:12]}


def check_account(entries: Entries, email: str, message: str) -> None:
    """Refuse a service account of this cloud that does not exist; Google's own accounts always do.

    Args:
        entries: the ledger's.
        email: the account's address.
        message: of the error.

    Raises:
        GoogleError: there is none.
    """
    accounts: list[Any] = [entry.properties.get("email") for entry in entries.of_type(Account.type)]
    if email.endswith(".iam.gserviceaccount.com") and email not in accounts:
        raise GoogleError(400, message, "badRequest")


def default_account(project: str) -> str:
    """Return the account that nodes run as where the program names none."""
    return f"{project_number(project)}-compute@developer.gserviceaccount.com"


def _email(properties: Properties) -> str:
    return f"{text_at(properties, 'accountId')}@{text_at(properties, 'project')}.iam.gserviceaccount.com"
