"""Node pools: `gcp.container.NodePool`. Their nodes are made by `local/standins/cloud/node_pools.py`."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from dragonfly.google.machine_types import (
    DEFAULT_BOOT_DISK_GIB,
    UnknownMachineTypeError,
    machine_type_named,
)
from local.ledger.ledger import NODE_POOL, Entries, Entry
from local.ledger.locations import is_zone, node_zones_of, region_of
from local.standins.plugins.google.kinds.accounts import check_account, default_account
from local.standins.plugins.google.kinds.cluster import Cluster, running_cluster
from local.standins.plugins.google.kinds.kind import RUNNING, Cloud, GoogleError, Kind, OperatedKind
from local.standins.plugins.google.rules import choice_faults, pool_name_faults, registry_faults
from local.standins.plugins.google.types import Fault
from local.standins.plugins.google.versions import newest_version
from local.standins.plugins.object_fields import list_at, number_at, object_at, objects_at, text_at, value_at
from local.standins.plugins.property_values import Properties, Value
from local.standins.plugins.provider_errors import ProviderError

# Imported where they are used: Kubernetes' client takes more than a second to load, and most runs ask no cluster.
if TYPE_CHECKING:
    from kubernetes.client.api_client import ApiClient

    from local.standins.cloud.node_pools import NodePool as Nodes

_DEFAULT_MACHINE: Final = "e2-medium"
_DEFAULT_COUNT: Final = 3
_SMALLEST_DISK_GIB: Final = 10
_MOST_UPGRADED: Final = 20
_BOUNDS: Final = ("minNodeCount", "maxNodeCount")
_EFFECTS: Final = {"NO_SCHEDULE": "NoSchedule", "PREFER_NO_SCHEDULE": "PreferNoSchedule", "NO_EXECUTE": "NoExecute"}
_WITHOUT_NEW_NODES: Final = ("machineType", "diskSizeGb", "labels", "taints", "resourceLabels")
"""Parts of `nodeConfig` that the shape of nodes tells already, or that change on running nodes."""


class NodePool(OperatedKind):
    """`gcp.container.NodePool`."""

    type = NODE_POOL
    resource = "google_container_node_pool"
    path = "projects/{project}/locations/{location}/clusters/{cluster}/nodePools/{name}"
    api = "container"
    place = "location"

    def faults(self, inputs: Properties) -> list[Fault]:
        faults: list[Fault] = []
        least = [("nodeCount", 0), ("nodeConfig.diskSizeGb", _SMALLEST_DISK_GIB)]
        least += [(f"autoscaling.{field}", 0) for field in (*_BOUNDS, *map(_total, _BOUNDS))]
        least += [(f"upgradeSettings.{field}", 0) for field in ("maxSurge", "maxUnavailable")]
        for path, smallest in least:
            number = value_at(inputs, *path.split("."))
            if isinstance(number, int) and number < smallest:
                faults.append(Fault(path, f"expected {path} to be at least ({smallest}), got {number}"))
        for index, taint in enumerate(objects_at(inputs, "nodeConfig", "taints")):
            faults += choice_faults(taint, ("effect",), tuple(_EFFECTS), f"nodeConfig.taints[{index}].")
        return faults + choice_faults(inputs, ("upgradeSettings", "strategy"), ("SURGE", "BLUE_GREEN"))

    def refusals(self, inputs: Properties) -> list[Fault]:
        faults = pool_name_faults(inputs)
        low, high = (number_at(inputs, "autoscaling", field) for field in _BOUNDS)
        if low > high:
            faults.append(Fault("autoscaling", f"min_node_count ({low}) must not exceed max_node_count ({high})."))
        machine = text_at(inputs, "nodeConfig", "machineType")
        if machine and not _is_machine_type(machine):
            faults.append(Fault("nodeConfig.machineType", f'Machine type with name "{machine}" does not exist.'))
        settings = object_at(inputs, "upgradeSettings")
        nodes = number_at(settings, "maxSurge", default=1) + number_at(settings, "maxUnavailable")
        if not 1 <= nodes <= _MOST_UPGRADED:
            reason = f"The sum of max_surge and max_unavailable must be 1 to {_MOST_UPGRADED}, and is {nodes}."
            faults.append(Fault("upgradeSettings", reason))
        return faults + registry_faults(object_at(inputs, "nodeConfig", "containerdConfig"), "containerdConfig")

    def defaults(self, inputs: Properties) -> Properties:
        return {"version": newest_version(), "maxPodsPerNode": 110}

    def meet(self, entries: Entries, inputs: Properties) -> None:
        project = text_at(inputs, "project")
        running_cluster(entries, text_at(inputs, "cluster"), text_at(inputs, "location"), project)
        account = text_at(inputs, "nodeConfig", "serviceAccount") or default_account(project)
        check_account(entries, account, f'Service account "{account}" does not exist.')
        _check_zones(inputs)

    def meet_namesake(self, entry_id: str) -> None:
        raise ProviderError(f"resource - {entry_id} - already exists")

    def create(self, cloud: Cloud, inputs: Properties, status: Callable[[str], None]) -> Entry:
        owner = self.id_of(inputs).rpartition("/nodePools/")[0]
        # The plug-in asks again for as long as the cluster is being made.
        Cluster().settled(cloud, owner, status)
        with cloud.ledger.change() as entries:
            self._admit(cloud, entries, inputs)
            self.meet(entries, inputs)
        return self.started(cloud, Entry(self.type, self.id_of(inputs), dict(inputs), inputs, owner), status)

    def provision(self, cloud: Cloud, entry: Entry, status: Callable[[str], None]) -> Entry:
        from local.standins.cloud.node_pools import apply_pool

        cloud.pause()
        status("nodes start")
        with _client(cloud, entry) as client:
            apply_pool(cloud.clusters.control_plane(entry.owner), client, _nodes(entry), status)
        running = replace(entry, properties={**entry.properties, **self._found(entry)}, status=RUNNING)
        with cloud.ledger.change() as entries:
            entries.put(running)
        return running

    def _found(self, entry: Entry) -> Properties:
        inputs, nodes = entry.inputs, _nodes(entry)
        group = f"{Kind.link}/projects/{text_at(inputs, 'project')}/zones"
        urls: list[Value] = [f"{group}/{zone}/instanceGroupManagers/gke-{entry.name}" for zone in nodes.zones]
        config: Properties = {"machineType": _DEFAULT_MACHINE, "diskSizeGb": DEFAULT_BOOT_DISK_GIB}
        return {
            "nodeCount": nodes.per_zone,
            "initialNodeCount": inputs.get("initialNodeCount", nodes.per_zone),
            "nodeLocations": list[Value](nodes.zones),
            "instanceGroupUrls": urls,
            "managedInstanceGroupUrls": urls,
            "operation": "",
            "version": text_at(inputs, "version") or newest_version(),
            "nodeConfig": {**config, **object_at(inputs, "nodeConfig")},
        }

    def update(self, cloud: Cloud, entry: Entry, inputs: Properties, status: Callable[[str], None]) -> Entry:
        _check_zones(inputs)
        changed = replace(entry, inputs=inputs, properties={**entry.properties, **inputs})
        return self.started(cloud, changed, status)

    def end(self, cloud: Cloud, entry: Entry) -> None:
        from local.standins.cloud.node_pools import remove_pool

        cloud.pause()
        with _client(cloud, entry) as client:
            remove_pool(client, entry.name)
        with cloud.ledger.change() as entries:
            entries.remove(entry.id)


@contextmanager
def _client(cloud: Cloud, entry: Entry) -> Generator[ApiClient]:
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    from local.api import kubeconfig
    from local.api.errors import in_short
    from local.machine.processes import ProcessError
    from local.standins.cloud.node_pools import NodePoolError

    plane = cloud.clusters.control_plane(entry.owner)
    try:
        with kubeconfig.connect(plane.kubeconfig) as client:
            yield client
    except (NodePoolError, ProcessError) as error:
        raise ProviderError(f"Error waiting for GKE NodePool: {error}") from error
    except (ApiException, HTTPError, OSError) as error:
        raise ProviderError(f"Error waiting for GKE NodePool: {in_short(error)}") from error


def _nodes(entry: Entry) -> Nodes:
    from local.nodes.objects import NodeShape
    from local.standins.cloud.node_pools import NodePool as Nodes

    inputs = entry.inputs
    config = object_at(inputs, "nodeConfig")
    taints = [
        {
            "key": text_at(taint, "key"),
            "value": text_at(taint, "value"),
            "effect": _EFFECTS.get(text_at(taint, "effect"), ""),
        }
        for taint in objects_at(config, "taints")
    ]
    labels = {name: str(value) for name, value in object_at(config, "labels").items()}
    shape = NodeShape(
        machine_type_named(text_at(config, "machineType") or _DEFAULT_MACHINE),
        entry.name,
        number_at(config, "diskSizeGb", default=DEFAULT_BOOT_DISK_GIB),
        labels,
        taints,
    )
    other: dict[str, Any] = {name: value for name, value in config.items() if name not in _WITHOUT_NEW_NODES}
    return Nodes(
        cluster=entry.owner.rpartition("/")[2],
        name=entry.name,
        shape=shape,
        zones=_zones(inputs),
        per_zone=_count(inputs),
        surge=number_at(inputs, "upgradeSettings", "maxSurge", default=1),
        revision=json.dumps(other, sort_keys=True),
    )


def _zones(inputs: Properties) -> list[str]:
    return [str(zone) for zone in list_at(inputs, "nodeLocations")] or node_zones_of(text_at(inputs, "location"))


def _check_zones(inputs: Properties) -> None:
    region = region_of(text_at(inputs, "location"))
    for zone in _zones(inputs):
        if not is_zone(zone) or region_of(zone) != region:
            raise GoogleError(400, f'Zone "{zone}" does not exist in region "{region}".', "badRequest")


def _count(inputs: Properties) -> int:
    """Return the number of nodes in each zone; an autoscaler that nothing asks for more stays at its beginning."""
    for path in (("nodeCount",), ("initialNodeCount",), ("autoscaling", "minNodeCount")):
        count = value_at(inputs, *path)
        if isinstance(count, int):
            return count
    return _DEFAULT_COUNT


def _is_machine_type(name: str) -> bool:
    try:
        machine_type_named(name)
    except UnknownMachineTypeError:
        return False
    return True


def _total(field: str) -> str:
    return f"total{field[0].upper()}{field[1:]}"
