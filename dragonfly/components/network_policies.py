"""The network policies: each component's pods reach, and are reached by, whom they need and nobody else.

Peers are on their nodes' own network, which no policy is about: the firewall of the nodes decides who reaches them. By
what address a node is known is not the same in every cluster, so what a peer opens connections to is open to all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.meta import v1 as meta
from pulumi_kubernetes.networking import v1 as networking

from dragonfly.instance.objects import Instance
from dragonfly.parts import ports
from dragonfly.parts.labels import Component
from dragonfly.parts.ports import PeerPorts
from dragonfly.parts.traffic import ASK_REGISTRIES, METRICS_PORTS, flows, policy_names

_NAMESPACE_NAME = "kubernetes.io/metadata.name"
_DNS = 53
# A metadata server gives a node's credentials to whoever asks, and it is always at such an address (RFC 3927).
_OUTSIDE = networking.NetworkPolicyPeerArgs(
    ip_block=networking.IPBlockArgs(cidr="0.0.0.0/0", except_=["169.254.0.0/16"])
)
# The pod's own, by which prometheus-to-sd signs in: behind the first address with Dataplane V2, behind the second with
# other policy engines (GKE documentation, "Network policy", "Workload Identity Federation for GKE").
_METADATA_SERVERS = (("169.254.169.254/32", 80), ("169.254.169.252/32", 988))
_HTTPS = 443
_DATABASES = (Component.MYSQL, Component.REDIS)


@dataclass(frozen=True)
class NetworkPoliciesArgs:
    """What the policies need to know.

    Args:
        instance: the instance whose pods they are about.
        peer_ports: of every node.
        console_from: namespaces whose pods may use REST API and console.
        metrics_from: namespaces whose pods may read metrics.
        registries_in: namespaces of the cluster in which registries are.
        registry_ports: where any registry listens.
        metrics_exporter_enabled: the databases' pods export metrics to Cloud Monitoring.
    """

    instance: Instance
    peer_ports: PeerPorts
    console_from: Sequence[str]
    metrics_from: Sequence[str]
    registries_in: Sequence[str]
    registry_ports: Sequence[int]
    metrics_exporter_enabled: bool


class NetworkPolicies(pulumi.ComponentResource):
    """One policy for each component whose pods have addresses of their own.

    Attributes:
        policies: all of them.
    """

    policies: list[networking.NetworkPolicy]

    def __init__(self, name: str, args: NetworkPoliciesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dragonfly:network_policies:NetworkPolicies", name, None, opts)
        self._args = args
        self._flows = flows(args.peer_ports)
        instance = args.instance
        self.policies = [
            networking.NetworkPolicy(
                f"{component.removeprefix('dragonfly-')}-network-policy",
                metadata=instance.metadata(policy_name, component),
                spec=networking.NetworkPolicySpecArgs(
                    pod_selector=instance.selector(component),
                    policy_types=["Ingress", "Egress"],
                    ingress=self._ingress(component),
                    egress=self._egress(component),
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for component, policy_name in policy_names(instance.names).items()
        ]
        self.register_outputs({})

    def _ingress(self, component: Component) -> list[networking.NetworkPolicyIngressRuleArgs]:
        sources: dict[tuple[int, ...], list[Component]] = {}
        for flow in self._flows:
            if flow.destination == component:
                sources.setdefault(flow.ports, []).append(flow.source)
        rules = [_from(self._pods(who), numbers) for numbers, who in sources.items()]
        if component == Component.MANAGER:
            rules += _from_namespaces(self._args.console_from, ports.MANAGER_REST)
        if component in METRICS_PORTS:
            rules += _from_namespaces(self._args.metrics_from, METRICS_PORTS[component])
        return rules

    def _egress(self, component: Component) -> list[networking.NetworkPolicyEgressRuleArgs]:
        rules = [_to(self._pods([flow.destination]), flow.ports) for flow in self._flows if flow.source == component]
        if component in ASK_REGISTRIES:
            inside = [_namespaces(self._args.registries_in)] if self._args.registries_in else []
            rules.append(_to([_OUTSIDE, *inside], self._args.registry_ports))
        if component in _DATABASES:
            if not self._args.metrics_exporter_enabled:
                return rules
            rules += [_to([_address(network)], [port]) for network, port in _METADATA_SERVERS]
            rules.append(_to([_OUTSIDE], [_HTTPS]))
        # To anywhere: a node's own cache of names has no pods behind its address.
        return [*rules, networking.NetworkPolicyEgressRuleArgs(ports=[*_listed([_DNS], "UDP"), *_listed([_DNS])])]

    def _pods(self, components: Sequence[Component]) -> list[networking.NetworkPolicyPeerArgs] | None:
        """Return whose pods they are; None, which stands for everybody, with peers among them."""
        if Component.PEER in components:
            return None
        selector = self._args.instance.selector
        return [networking.NetworkPolicyPeerArgs(pod_selector=selector(component)) for component in components]


def _from(
    who: list[networking.NetworkPolicyPeerArgs] | None, numbers: Iterable[int]
) -> networking.NetworkPolicyIngressRuleArgs:
    return networking.NetworkPolicyIngressRuleArgs(from_=who, ports=_listed(numbers))


def _to(
    whom: list[networking.NetworkPolicyPeerArgs] | None, numbers: Iterable[int]
) -> networking.NetworkPolicyEgressRuleArgs:
    return networking.NetworkPolicyEgressRuleArgs(to=whom, ports=_listed(numbers))


def _from_namespaces(names: Sequence[str], port: int) -> list[networking.NetworkPolicyIngressRuleArgs]:
    # An empty list of peers would stand for everybody.
    return [_from([_namespaces(names)], [port])] if names else []


def _namespaces(names: Sequence[str]) -> networking.NetworkPolicyPeerArgs:
    # Every namespace has its name as a label, which nobody but the API server sets.
    named = meta.LabelSelectorRequirementArgs(key=_NAMESPACE_NAME, operator="In", values=list(names))
    return networking.NetworkPolicyPeerArgs(namespace_selector=meta.LabelSelectorArgs(match_expressions=[named]))


def _address(network: str) -> networking.NetworkPolicyPeerArgs:
    return networking.NetworkPolicyPeerArgs(ip_block=networking.IPBlockArgs(cidr=network))


def _listed(numbers: Iterable[int], protocol: str = "TCP") -> list[networking.NetworkPolicyPortArgs]:
    return [networking.NetworkPolicyPortArgs(port=number, protocol=protocol) for number in numbers]
