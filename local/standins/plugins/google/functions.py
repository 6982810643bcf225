"""Questions that a program asks Google Cloud without making anything (`invoke`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from local.ledger.locations import is_region, is_zone, zones_of
from local.standins.plugins.google.kinds.kind import ApiOffError, Cloud, GoogleError, project_number
from local.standins.plugins.google.rules import is_project
from local.standins.plugins.google.versions import CHANNELS, newest_version
from local.standins.plugins.object_fields import text_at
from local.standins.plugins.property_values import Properties, Value
from local.standins.plugins.provider_errors import ProviderError


def _engine_versions(cloud: Cloud, arguments: Properties) -> Properties:
    project, location = _project(cloud, arguments), text_at(arguments, "location") or cloud.zone
    if not is_region(location) and not is_zone(location):
        raise GoogleError(400, f'Location "{location}" does not exist.', "badRequest")
    _check_api(cloud, project, "container")
    newest = newest_version()
    versions: list[Value] = [newest]
    channels: Properties = dict.fromkeys(CHANNELS, newest)
    return {
        "id": f"{project}/{location}",
        "project": project,
        "location": location,
        "defaultClusterVersion": newest,
        "latestMasterVersion": newest,
        "latestNodeVersion": newest,
        "validMasterVersions": versions,
        "validNodeVersions": versions,
        "releaseChannelDefaultVersion": channels,
        "releaseChannelLatestVersion": channels,
        "releaseChannelUpgradeTargetVersion": channels,
    }


def _get_project(cloud: Cloud, arguments: Properties) -> Properties:
    project = text_at(arguments, "projectId") or _project(cloud, arguments)
    if not is_project(project):
        raise GoogleError(403, f"The caller does not have permission to read project {project}", "forbidden")
    return {
        "id": f"projects/{project}",
        "projectId": project,
        "name": project,
        "number": project_number(project),
        "autoCreateNetwork": True,
        "billingAccount": "",
        "deletionPolicy": "PREVENT",
        "folderId": "",
        "orgId": "",
        "labels": {},
        "effectiveLabels": {},
        "pulumiLabels": {},
        "tags": {},
    }


def _zones(cloud: Cloud, arguments: Properties) -> Properties:
    project, region = _project(cloud, arguments), text_at(arguments, "region") or cloud.region
    _check_api(cloud, project, "compute")
    if not is_region(region):
        raise GoogleError(400, f"Invalid value for field 'region': '{region}'. Unknown region.", "invalid")
    names: list[Value] = [*zones_of(region)]
    return {"id": f"projects/{project}/regions/{region}", "project": project, "region": region, "names": names}


def _check_api(cloud: Cloud, project: str, api: str) -> None:
    if not cloud.ledger.read().is_on(project, api):
        raise ApiOffError(project, api)


def _project(cloud: Cloud, arguments: Properties) -> str:
    project = text_at(arguments, "project") or cloud.project
    if not project:
        raise ProviderError("project: required field is not set")
    return project


FUNCTIONS: Final[dict[str, Callable[[Cloud, Properties], Properties]]] = {
    "gcp:compute/getZones:getZones": _zones,
    "gcp:container/getEngineVersions:getEngineVersions": _engine_versions,
    "gcp:organizations/getProject:getProject": _get_project,
}
"""Every function that the stand-in has, by token."""
