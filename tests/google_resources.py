"""The stand-in for pulumi-resource-gcp called directly, and inputs of every kind that fit together."""

from __future__ import annotations

import copy
from typing import Any, cast

from pulumi.runtime.proto import provider_pb2

from local.ledger.ledger import CLUSTER, DISK, Entry, Ledger
from local.standins.cloud.clusters import Clusters
from local.standins.plugins.google.kinds.kind import Cloud
from local.standins.plugins.google.provider import GcpProvider
from local.standins.plugins.property_values import Properties, write_properties

wire: Any = provider_pb2

PROJECT = "test-project"
NETWORK, SUBNETWORK = "gcp:compute/network:Network", "gcp:compute/subnetwork:Subnetwork"
ROUTER, NAT, FIREWALL = "gcp:compute/router:Router", "gcp:compute/routerNat:RouterNat", "gcp:compute/firewall:Firewall"
SERVICE = "gcp:projects/service:Service"
ACCOUNT, MEMBER = "gcp:serviceaccount/account:Account", "gcp:projects/iAMMember:IAMMember"
POOL = "gcp:container/nodePool:NodePool"

HOST: Properties = {
    "host": "http://127.0.0.1:65001",
    "capabilities": ["HOST_CAPABILITY_PULL", "HOST_CAPABILITY_RESOLVE"],
}
VALID: dict[str, Properties] = {
    SERVICE: {"service": "compute.googleapis.com"},
    NETWORK: {"name": "net", "autoCreateSubnetworks": False},
    SUBNETWORK: {
        "name": "sub",
        "network": "net",
        "region": "us-west1",
        "ipCidrRange": "10.0.0.0/20",
        "secondaryIpRanges": [
            {"rangeName": "pods", "ipCidrRange": "10.4.0.0/14"},
            {"rangeName": "services", "ipCidrRange": "10.8.0.0/20"},
        ],
    },
    ROUTER: {"name": "router", "network": "net", "region": "us-west1"},
    NAT: {
        "name": "nat",
        "router": "router",
        "region": "us-west1",
        "natIpAllocateOption": "AUTO_ONLY",
        "sourceSubnetworkIpRangesToNat": "LIST_OF_SUBNETWORKS",
        "subnetworks": [{"name": "sub", "sourceIpRangesToNats": ["ALL_IP_RANGES"]}],
    },
    FIREWALL: {
        "name": "rule",
        "network": "net",
        "allows": [{"protocol": "tcp", "ports": ["65000", "1-2"]}],
        "sourceRanges": ["10.4.0.0/14"],
    },
    DISK: {"name": "disk", "zone": "us-west1-a", "size": 8, "type": "pd-balanced", "labels": {"a": "b"}},
    ACCOUNT: {"accountId": "my-nodes"},
    MEMBER: {
        "project": PROJECT,
        "role": "roles/viewer",
        "member": f"serviceAccount:my-nodes@{PROJECT}.iam.gserviceaccount.com",
    },
    CLUSTER: {
        "name": "c",
        "location": "us-west1-a",
        "network": "net",
        "subnetwork": "sub",
        "initialNodeCount": 1,
        "removeDefaultNodePool": True,
        "ipAllocationPolicy": {"clusterSecondaryRangeName": "pods", "servicesSecondaryRangeName": "services"},
        "privateClusterConfig": {"enablePrivateNodes": True, "masterIpv4CidrBlock": "172.16.0.0/28"},
        "deletionProtection": False,
    },
    POOL: {
        "name": "p",
        "cluster": "c",
        "location": "us-west1-a",
        "nodeCount": 3,
        "nodeConfig": {
            "machineType": "e2-standard-4",
            "diskSizeGb": 100,
            "oauthScopes": ["a", "b"],
            "containerdConfig": {"registryHosts": [{"server": "docker.io", "hosts": [HOST]}]},
        },
    },
}


class Silence:
    """An engine's log that nobody reads."""

    def message(self, severity: int, urn: str, text: str) -> None: ...

    def status(self, urn: str, text: str) -> None: ...


def provider_of(ledger: Ledger) -> GcpProvider:
    """A provider in a project whose APIs are switched on, where operations take no time."""
    with ledger.change() as entries:
        for api in ("compute", "container", "iam", "cloudresourcemanager"):
            entries.put(Entry(SERVICE, f"{PROJECT}/{api}.googleapis.com"))
    return GcpProvider(Silence(), Cloud(ledger, Clusters(ledger), PROJECT, "us-west1", "us-west1-a", 0))


def urn(kind: str) -> str:
    return f"urn:pulumi:test::project::{kind}::it"


def create(provider: GcpProvider, kind: str, inputs: Properties | None = None) -> str:
    properties = VALID[kind] if inputs is None else inputs
    answer = provider.create(wire.CreateRequest(urn=urn(kind), properties=write_properties(properties)))
    return cast(str, answer.id)


def delete(provider: GcpProvider, kind: str, resource_id: str, state: Properties | None = None) -> None:
    provider.delete(wire.DeleteRequest(urn=urn(kind), id=resource_id, properties=write_properties(state or {})))


def changed(kind: str, path: str, value: Any) -> Properties:
    """The valid inputs with one property changed, or taken away for None."""
    inputs: Any = copy.deepcopy(VALID[kind])
    place: Any = inputs
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        if isinstance(step, str) and step not in place:
            place[step] = {}
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return inputs
