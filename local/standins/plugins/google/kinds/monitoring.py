"""Cloud Monitoring: alert policies, whom they tell, and dashboards. The cloud makes up their names."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, cast

from local.ledger.ledger import Entries, Entry
from local.standins.plugins.google.kinds.kind import Cloud, GoogleError, Kind, project_number
from local.standins.plugins.google.rules import choice_faults
from local.standins.plugins.google.types import Fault
from local.standins.plugins.object_fields import list_at, number_at, objects_at, text_at
from local.standins.plugins.property_values import Properties, Value

_CHANNEL: Final = "gcp:monitoring/notificationChannel:NotificationChannel"
_POLICY: Final = "gcp:monitoring/alertPolicy:AlertPolicy"
_PROMQL: Final = "conditionPrometheusQueryLanguage"
_SECONDS: Final = re.compile(r"(\d+)s")
_MOST_CHANNELS: Final = 16
_MOST_CONDITIONS: Final = 6
_LEAST_AUTO_CLOSE: Final = 1800
_MOST_COLUMNS: Final = 48
_JSON: Final = "dashboardJson"


class _NamedByCloud(Kind):
    """A kind whose name is a number that the API gives."""

    api = "monitoring"

    def complete(self, cloud: Cloud, inputs: Properties) -> Properties:
        result = super().complete(cloud, inputs)
        if not text_at(result, "name"):
            # Digits, as the API's are.
            number = str(secrets.randbelow(10**18) + 10**18)
            result["name"] = self.path.format(project=text_at(result, "project"), name=number)
        return result

    def outputs(self, entries: Entries, inputs: Properties, entry_id: str) -> Properties:
        return {}


class NotificationChannel(_NamedByCloud):
    """`gcp.monitoring.NotificationChannel`."""

    type = _CHANNEL
    resource = "google_monitoring_notification_channel"
    path = "projects/{project}/notificationChannels/{name}"

    def refusals(self, inputs: Properties) -> list[Fault]:
        if text_at(inputs, "type") == "email" and not text_at(inputs, "labels", "email_address"):
            return [Fault("labels", 'Field "notification_channel.labels" is missing the label "email_address".')]
        return []

    def let_go(self, cloud: Cloud, entries: Entries, entry: Entry) -> None:
        policies = entries.of_type(_POLICY)
        users = [one.id for one in policies if entry.id in list_at(one.properties, "notificationChannels")]
        if users and entry.properties.get("forceDelete") is not True:
            told = ", ".join(f'"{user}"' for user in users)
            raise GoogleError(
                400, f'Could not delete "{entry.id}" because it is still being referenced by: {told}', "badRequest"
            )


class AlertPolicy(_NamedByCloud):
    """`gcp.monitoring.AlertPolicy`. Whether a query is PromQL is not looked at."""

    type = _POLICY
    resource = "google_monitoring_alert_policy"
    path = "projects/{project}/alertPolicies/{name}"

    def faults(self, inputs: Properties) -> list[Fault]:
        return [
            *choice_faults(inputs, ("combiner",), ("AND", "OR", "AND_WITH_MATCHING_RESOURCE")),
            *choice_faults(inputs, ("severity",), ("CRITICAL", "ERROR", "WARNING")),
        ]

    def refusals(self, inputs: Properties) -> list[Fault]:
        return [Fault(path, f"Field alert_policy.{path} {reason}") for path, reason in _refused(inputs)]

    def meet(self, entries: Entries, inputs: Properties) -> None:
        for channel in list_at(inputs, "notificationChannels"):
            found = entries.get(channel) if isinstance(channel, str) else None
            if found is None or found.type != _CHANNEL:
                raise GoogleError(404, f"Cannot find channel with name '{channel}'", "notFound")

    def outputs(self, entries: Entries, inputs: Properties, entry_id: str) -> Properties:
        conditions: list[Value] = [
            {**condition, "name": f"{entry_id}/conditions/{index + 1}"}
            for index, condition in enumerate(objects_at(inputs, "conditions"))
        ]
        return {"conditions": conditions, "creationRecords": []}


def _refused(inputs: Properties) -> Iterator[tuple[str, str]]:
    """Yield what the API refuses of a policy (Cloud Monitoring API, `AlertPolicy`, and its quotas)."""
    if len(list_at(inputs, "notificationChannels")) > _MOST_CHANNELS:
        yield "notification_channels", f"had more than {_MOST_CHANNELS} entries."
    close = text_at(inputs, "alertStrategy", "autoClose")
    if close and _seconds(close) < _LEAST_AUTO_CLOSE:
        yield "alert_strategy.auto_close", f'had an invalid value of "{close}": at least {_LEAST_AUTO_CLOSE}s.'
    conditions = objects_at(inputs, "conditions")
    if len(conditions) > _MOST_CONDITIONS:
        yield "conditions", f"had more than {_MOST_CONDITIONS} entries."
    for index, condition in enumerate(conditions):
        at, asked = f"conditions[{index}].condition_prometheus_query_language", condition.get(_PROMQL)
        if not isinstance(asked, dict):
            yield f"conditions[{index}]", "had no condition: the stand-in knows those of PromQL alone."
            continue
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", text_at(asked, "alertRule") or "_"):
            yield f"{at}.alert_rule", "must be a valid Prometheus label name."
        every = text_at(asked, "evaluationInterval")
        if every and (_seconds(every) <= 0 or _seconds(every) % 30):
            yield f"{at}.evaluation_interval", "must be a positive multiple of 30 seconds."
        if (lasts := text_at(asked, "duration")) and _seconds(lasts) < 0:
            yield f"{at}.duration", "must be a number of seconds."
        if asked.get("disableMetricValidation") is not True:
            # Nothing of ours has ever been measured in a cloud that begins empty.
            yield f"{at}.query", "refers to a metric that does not exist."


def _seconds(text: str) -> int:
    match = _SECONDS.fullmatch(text)
    return int(match[1]) if match else -1


class Dashboard(_NamedByCloud):
    """`gcp.monitoring.Dashboard`: what a read gives back is what the API has made of the program's JSON."""

    type = "gcp:monitoring/dashboard:Dashboard"
    resource = "google_monitoring_dashboard"
    path = "projects/{project}/dashboards/{name}"

    def faults(self, inputs: Properties) -> list[Fault]:
        text = inputs.get(_JSON)
        try:
            json.loads(text if isinstance(text, str) else "{}")
        except ValueError as error:
            return [Fault(_JSON, f'"dashboard_json" contains an invalid JSON: {error}')]
        return []

    def refusals(self, inputs: Properties) -> list[Fault]:
        board: Properties = json.loads(text_at(inputs, _JSON))
        return [Fault(_JSON, reason) for reason in _dashboard_faults(board)]

    def outputs(self, entries: Entries, inputs: Properties, entry_id: str) -> Properties:
        return {_JSON: _as_told(inputs, entry_id)}

    def update(self, cloud: Cloud, entry: Entry, inputs: Properties, status: Callable[[str], None]) -> Entry:
        changed = super().update(cloud, entry, inputs, status)
        changed = replace(changed, properties={**changed.properties, _JSON: _as_told(inputs, entry.id)})
        with cloud.ledger.change() as entries:
            entries.put(changed)
        return changed


def _as_told(inputs: Properties, entry_id: str) -> str:
    """Return the JSON as the API gives it back: with what it adds, and without what says nothing."""
    project = text_at(inputs, "project")
    own = {"name": entry_id.replace(project, project_number(project), 1), "etag": secrets.token_hex(16)}
    return json.dumps({**_without_nothing(json.loads(text_at(inputs, _JSON))), **own})


def _dashboard_faults(board: Properties) -> Iterator[str]:
    """Yield what the API refuses of a dashboard (Cloud Monitoring API, `Dashboard`, `MosaicLayout`)."""
    if not text_at(board, "displayName"):
        yield "Field displayName is required."
    columns = number_at(board, "mosaicLayout", "columns")
    if not 1 <= columns <= _MOST_COLUMNS:
        yield f"Field mosaicLayout.columns must be 1 to {_MOST_COLUMNS}."
    taken: dict[tuple[int, int], int] = {}
    for index, tile in enumerate(objects_at(board, "mosaicLayout", "tiles")):
        left, top, width, height = (number_at(tile, side) for side in ("xPos", "yPos", "width", "height"))
        if width < 1 or height < 1 or left + width > columns:
            yield f"Field mosaicLayout.tiles[{index}] does not fit the grid of {columns} columns."
            continue
        for x in range(left, left + width):
            for y in range(top, top + height):
                if taken.setdefault((x, y), index) != index:
                    yield f"Field mosaicLayout.tiles[{index}] overlaps tile {taken[x, y]}."
                    return


def _without_nothing(value: Any) -> Any:
    """Return JSON as protocol buffers have it: a field that is zero or empty is as if it were not there."""
    if isinstance(value, dict):
        kept = {name: _without_nothing(item) for name, item in cast("dict[str, Any]", value).items()}
        return {name: item for name, item in kept.items() if item not in (0, "", [], None)}
    if isinstance(value, list):
        return [_without_nothing(item) for item in cast("list[Any]", value)]
    return value
