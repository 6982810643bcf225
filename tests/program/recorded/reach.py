"""Who reaches which port by network policies, as Kubernetes defines them ("Network Policies")."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Policy = Mapping[str, Any]
"""A NetworkPolicy as the API server has it."""


@dataclass(frozen=True)
class Party:
    """Who opens connections, or is asked.

    Attributes:
        namespace: of a pod; None of whoever is on a node's own network, whom no selector matches.
        labels: of a pod.
        address: of whoever is no pod; None leaves open which it is, and then no `ipBlock` matches.
    """

    namespace: str | None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    address: str | None = None


def reaches(
    policies: Sequence[Policy], namespace: str, source: Party, destination: Party, port: int, protocol: str = "TCP"
) -> bool:
    """Whether one may open a connection to another.

    Args:
        policies: all of a namespace.
        namespace: it.
        source: who opens it.
        destination: who is asked.
        port: where; the destination's own.
        protocol: TCP or UDP.
    """
    return _is_allowed(policies, namespace, "Egress", source, destination, (port, protocol)) and _is_allowed(
        policies, namespace, "Ingress", destination, source, (port, protocol)
    )


def _is_allowed(
    policies: Sequence[Policy], namespace: str, direction: str, about: Party, other: Party, port: tuple[int, str]
) -> bool:
    key, peers = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    chosen = [
        policy["spec"]
        for policy in policies
        if about.namespace == namespace
        and _selects(policy["spec"]["podSelector"], about.labels)
        and direction in policy["spec"]["policyTypes"]
    ]
    return not chosen or any(
        _names(rule.get("ports"), port) and _is_one_of(rule.get(peers), namespace, other)
        for spec in chosen
        for rule in spec.get(key) or ()
    )


def _names(ports: Sequence[Mapping[str, Any]] | None, port: tuple[int, str]) -> bool:
    return not ports or any((int(each["port"]), each.get("protocol", "TCP")) == port for each in ports)


def _is_one_of(peers: Sequence[Mapping[str, Any]] | None, namespace: str, party: Party) -> bool:
    return not peers or any(_is(peer, namespace, party) for peer in peers)


def _is(peer: Mapping[str, Any], namespace: str, party: Party) -> bool:
    if block := peer.get("ipBlock"):
        address = party.address and ipaddress.ip_address(party.address)
        networks = [block["cidr"], *(block.get("except") or ())]
        inside, *excepted = (address and address in ipaddress.ip_network(network) for network in networks)
        return bool(inside) and not any(excepted)
    if party.namespace is None:
        return False
    chosen = peer.get("namespaceSelector")
    place = {"kubernetes.io/metadata.name": party.namespace}
    in_place = party.namespace == namespace if chosen is None else _selects(chosen, place)
    return in_place and _selects(peer.get("podSelector") or {}, party.labels)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    exact: Mapping[str, str] = selector.get("matchLabels") or {}
    expressions: Sequence[Mapping[str, Any]] = selector.get("matchExpressions") or ()
    return exact.items() <= labels.items() and all(
        each["operator"] == "In" and labels.get(each["key"]) in each["values"] for each in expressions
    )
