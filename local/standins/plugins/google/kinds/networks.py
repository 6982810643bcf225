"""Networks and what is in them: subnetworks, routers, NAT, firewall rules, addresses."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from typing import Final

from local.ledger.ledger import CLUSTER, Entries, Entry
from local.standins.plugins.google.kinds.kind import GoogleError, Kind, names, referred, refers
from local.standins.plugins.google.rules import Network as Range
from local.standins.plugins.google.rules import name_faults, overlap, range_at, range_faults
from local.standins.plugins.google.types import Fault
from local.standins.plugins.object_fields import list_at, objects_at, text_at
from local.standins.plugins.property_values import Properties, Unknown, Value

NETWORK_PATH: Final = "projects/{project}/global/networks/{name}"
"""ID of a network, which its mere name stands for."""


class Network(Kind):
    """`gcp.compute.Network`."""

    type = "gcp:compute/network:Network"
    resource = "google_compute_network"
    path = NETWORK_PATH
    api = "compute"

    def faults(self, inputs: Properties) -> list[Fault]:
        return name_faults(inputs)

    def defaults(self, inputs: Properties) -> Properties:
        return {"routingMode": "REGIONAL"}

    def outputs(self, entries: Entries, inputs: Properties, entry_id: str) -> Properties:
        number = _number(entry_id)
        return {"selfLink": f"{self.link}/{entry_id}", "gatewayIpv4": "", "networkId": number, "numericId": number}

    def users(self, entries: Entries, entry: Entry) -> Iterable[str]:
        inside = entries.of_type(Subnetwork.type, Firewall.type, Router.type, CLUSTER)
        return (other.id for other in inside if refers(other, "network", entry))


class Subnetwork(Kind):
    """`gcp.compute.Subnetwork`."""

    type = "gcp:compute/subnetwork:Subnetwork"
    resource = "google_compute_subnetwork"
    path = "projects/{project}/regions/{region}/subnetworks/{name}"
    api = "compute"
    place = "region"

    def faults(self, inputs: Properties) -> list[Fault]:
        faults = name_faults(inputs) + range_faults(inputs, "ipCidrRange", "ipCidrRange")
        for index, secondary in enumerate(objects_at(inputs, "secondaryIpRanges")):
            at = f"secondaryIpRanges[{index}]"
            faults += [
                Fault(f"{at}.rangeName", fault.reason) for fault in name_faults(secondary, "rangeName")
            ] + range_faults(secondary, f"{at}.ipCidrRange", "ipCidrRange")
        return faults

    def refusals(self, inputs: Properties) -> list[Fault]:
        clash = overlap(_ranges(inputs))
        return [Fault(clash[1], f"Invalid IPCidrRange: it conflicts with the range of {clash[0]}.")] if clash else []

    def defaults(self, inputs: Properties) -> Properties:
        return {"purpose": "PRIVATE", "stackType": "IPV4_ONLY"}

    def shrinks(self, path: str, old: Value, new: Value) -> bool:
        # A range can only be made to contain the old one (`IsShrinkageIpCidr`).
        if path != "ipCidrRange" or not isinstance(old, str) or not isinstance(new, str):
            return False
        return not ipaddress.IPv4Network(old).subnet_of(ipaddress.IPv4Network(new))

    def meet(self, entries: Entries, inputs: Properties) -> None:
        network = referred(entries, text_at(inputs, "network"), NETWORK_PATH, text_at(inputs, "project"))
        own = _ranges(inputs)
        for other in entries.of_type(self.type):
            if other.id == self.id_of(inputs) or not refers(other, "network", network):
                continue
            if clash := overlap([*((f"{other.id} {name}", found) for name, found in _ranges(other.properties)), *own]):
                raise GoogleError(
                    400,
                    f"Invalid IPCidrRange: the range of {clash[1]} conflicts with existing subnetwork '{other.id}' "
                    f"in region '{text_at(other.properties, 'region')}'.",
                    "invalid",
                )

    def outputs(self, entries: Entries, inputs: Properties, entry_id: str) -> Properties:
        whole = range_at(inputs, "ipCidrRange")
        return {
            **super().outputs(entries, inputs, entry_id),
            "gatewayAddress": str(whole[1]) if whole else "",
            "fingerprint": _number(entry_id),
            "subnetworkId": int(_number(entry_id)),
            "ipv6CidrRange": "",
            "state": "READY",
        }

    def users(self, entries: Entries, entry: Entry) -> Iterable[str]:
        # What really stands in the way are the nodes.
        clusters = [other.id for other in entries.of_type(CLUSTER) if refers(other, "subnetwork", entry)]
        return clusters + [
            nat.id
            for nat in entries.of_type(RouterNat.type)
            for subnetwork in objects_at(nat.properties, "subnetworks")
            if names(text_at(subnetwork, "name"), entry)
        ]


class Router(Kind):
    """`gcp.compute.Router`."""

    type = "gcp:compute/router:Router"
    resource = "google_compute_router"
    path = "projects/{project}/regions/{region}/routers/{name}"
    api = "compute"
    place = "region"

    def faults(self, inputs: Properties) -> list[Fault]:
        return name_faults(inputs)

    def meet(self, entries: Entries, inputs: Properties) -> None:
        referred(entries, text_at(inputs, "network"), NETWORK_PATH, text_at(inputs, "project"))


class RouterNat(Kind):
    """`gcp.compute.RouterNat`: a part of its router, with which it goes."""

    type = "gcp:compute/routerNat:RouterNat"
    resource = "google_compute_router_nat"
    path = "{project}/{region}/{router}/{name}"
    api = "compute"
    place = "region"

    def faults(self, inputs: Properties) -> list[Fault]:
        return name_faults(inputs)

    def refusals(self, inputs: Properties) -> list[Fault]:
        faults: list[Fault] = []
        if inputs.get("subnetworks") and inputs.get("sourceSubnetworkIpRangesToNat") != "LIST_OF_SUBNETWORKS":
            faults.append(
                Fault("subnetworks", "Subnetworks can only be given with LIST_OF_SUBNETWORKS as the ranges to NAT.")
            )
        if inputs.get("enableDynamicPortAllocation") is True and inputs.get("enableEndpointIndependentMapping") is True:
            faults.append(
                Fault(
                    "enableDynamicPortAllocation",
                    "Endpoint-Independent Mapping and Dynamic Port Allocation cannot be enabled together.",
                )
            )
        if list_at(inputs, "natIps") and inputs.get("natIpAllocateOption") == "AUTO_ONLY":
            faults.append(Fault("natIps", "NAT addresses cannot be given with AUTO_ONLY."))
        return faults

    def meet(self, entries: Entries, inputs: Properties) -> None:
        project, region = text_at(inputs, "project"), text_at(inputs, "region")
        referred(entries, text_at(inputs, "router"), self._router_path(region), project)
        for subnetwork in objects_at(inputs, "subnetworks"):
            path = f"projects/{{project}}/regions/{region}/subnetworks/{{name}}"
            referred(entries, text_at(subnetwork, "name"), path, project)

    def outputs(self, entries: Entries, inputs: Properties, entry_id: str) -> Properties:
        return {}

    @staticmethod
    def _router_path(region: str) -> str:
        return f"projects/{{project}}/regions/{region}/routers/{{name}}"


class Firewall(Kind):
    """`gcp.compute.Firewall`."""

    type = "gcp:compute/firewall:Firewall"
    resource = "google_compute_firewall"
    path = "projects/{project}/global/firewalls/{name}"
    api = "compute"

    def faults(self, inputs: Properties) -> list[Fault]:
        faults = name_faults(inputs)
        if bool(inputs.get("allows")) == bool(inputs.get("denies")):
            faults.append(Fault("allows", "one of `allow,deny` must be specified"))
        sources = ("sourceTags", "sourceRanges", "sourceServiceAccounts")
        if inputs.get("direction") != "EGRESS" and not any(inputs.get(field) for field in sources):
            faults.append(
                Fault("sourceRanges", "one of source_tags, source_ranges, or source_service_accounts must be defined")
            )
        accounts = inputs.get("sourceServiceAccounts") or inputs.get("targetServiceAccounts")
        tags = inputs.get("sourceTags") or inputs.get("targetTags")
        if accounts and tags:
            faults.append(Fault("sourceTags", "service accounts and tags cannot be given together"))
        priority = inputs.get("priority")
        if isinstance(priority, int) and not 0 <= priority <= 65535:
            faults.append(Fault("priority", f"expected priority to be in the range (0 - 65535), got {priority}"))
        direction = inputs.get("direction")
        if isinstance(direction, str) and direction not in ("INGRESS", "EGRESS"):
            faults.append(Fault("direction", f"expected direction to be one of [INGRESS EGRESS], got {direction}"))
        return faults

    def refusals(self, inputs: Properties) -> list[Fault]:
        faults: list[Fault] = []
        for field in ("sourceRanges", "destinationRanges"):
            for index, item in enumerate(list_at(inputs, field)):
                if isinstance(item, str) and ":" not in item:
                    faults += range_faults({"range": item}, f"{field}[{index}]", "range")
        for field in ("allows", "denies"):
            for index, rule in enumerate(objects_at(inputs, field)):
                for port in list_at(rule, "ports"):
                    if isinstance(port, str) and not _is_port(port):
                        faults.append(Fault(f"{field}[{index}].ports", f"{port!r} is no port and no range of ports"))
        return faults

    def defaults(self, inputs: Properties) -> Properties:
        return {"direction": "INGRESS"}

    def meet(self, entries: Entries, inputs: Properties) -> None:
        referred(entries, text_at(inputs, "network"), NETWORK_PATH, text_at(inputs, "project"))


def _ranges(inputs: Properties) -> list[tuple[str, Range]]:
    named = [("ipCidrRange", range_at(inputs, "ipCidrRange"))]
    for index, secondary in enumerate(objects_at(inputs, "secondaryIpRanges")):
        named.append((f"secondaryIpRanges[{index}].ipCidrRange", range_at(secondary, "ipCidrRange")))
    return [(name, found) for name, found in named if found is not None and not isinstance(found, Unknown)]


def _is_port(text: str) -> bool:
    first, _, last = text.partition("-")
    return all(part.isdigit() and 0 < int(part) < 65536 for part in (first, last or first))


def _number(entry_id: str) -> str:
    return str(int(hashlib.sha256(entry_id.encode()).hexdigest()[:15], 16))
