"""A GKE stack under mocks: its config, and what Google would answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from tests.program.recorded.recorded_program import Cloud, RecordedProgram, Resource, run_main

PROJECT = "my-project"
ZONE = "us-west1-a"
CLUSTER = "dragonfly-cluster"
NODE_ACCOUNT = "nodes@my-project.iam.gserviceaccount.com"
POD_RANGE = "10.4.0.0/14"
ENDPOINT = "203.0.113.9"
DNS_ENDPOINT = "gke-0a1b2c3d4e5f-123456789.us-west1.gke.goog"
AUTHORITY = "Y2VydGlmaWNhdGU="
VERSION = "1.35.2-gke.1000000"

GKE_CONFIG = {"gcp:project": PROJECT, "gcp:zone": ZONE, "dragonfly:defaultStorageClass": "standard-rwo"}


def google(*, offered: str, running: str, nodes: str, recorded: Mapping[str, Any] = MappingProxyType({})) -> Cloud:
    """Google Cloud, and the state of the stack.

    Args:
        offered: the version that the release channel gives to new clusters.
        running: the version of the control plane.
        nodes: the version of the nodes.
        recorded: the outputs of the resources that the state has, by URN.
    """
    channel = {"REGULAR": offered}
    return Cloud(
        functions={
            "gcp:container/getEngineVersions:getEngineVersions": {
                "releaseChannelDefaultVersion": channel,
                "releaseChannelLatestVersion": channel,
            },
            "gcp:compute/getZones:getZones": {"names": [f"us-west1-{zone}" for zone in ("f", "ai1a", "c", "b", "a")]},
            "gcp:organizations/getProject:getProject": {"number": "123456789"},
            "pulumi:pulumi:readStackResourceOutputs": {"outputs": dict(recorded)},
        },
        outputs={
            "gcp:container/cluster:Cluster": {
                "endpoint": ENDPOINT,
                "controlPlaneEndpointsConfig": {"dnsEndpointConfig": {"endpoint": DNS_ENDPOINT}},
                "masterVersion": running,
                "nodeVersion": nodes,
                "clusterIpv4Cidr": POD_RANGE,
                "masterAuth": {
                    "clusterCaCertificate": AUTHORITY,
                    "clientCertificateConfig": {"issueClientCertificate": False},
                },
            },
            "gcp:serviceaccount/account:Account": {
                "email": NODE_ACCOUNT,
                "member": f"serviceAccount:{NODE_ACCOUNT}",
            },
            "gcp:compute/network:Network": {"selfLink": "the-network"},
            "gcp:compute/subnetwork:Subnetwork": {"selfLink": "the-subnetwork"},
        },
    )


@cache
def run_gke(*, offered: str = VERSION, running: str = VERSION, nodes: str = VERSION, **keys: str) -> RecordedProgram:
    """Runs the program on GKE, once for the same arguments: what it registered is never changed afterwards.

    Args:
        offered: as for `google`.
        running: as for `google`.
        nodes: as for `google`.
        keys: config of the project beside GKE_CONFIG.
    """
    config = {**GKE_CONFIG, **{f"dragonfly:{key}": value for key, value in keys.items()}}
    return run_main(config, cloud=google(offered=offered, running=running, nodes=nodes)).completed()


def configured_gke() -> RecordedProgram:
    """The program with every key of a GKE cluster set to something else than its default."""
    return run_gke(
        clusterLocation="us-west1",
        clusterName="images",
        authorizedNetworks=json.dumps(["203.0.113.0/24", "198.51.100.7/32"]),
        dnsEndpoint="true",
        nodeMachineType="n2-standard-8",
        nodeAutoscaling=json.dumps({"min": 2, "max": 6}),
        maintenanceWindow=json.dumps({"start": "22:30", "hours": 6}),
        nodeDiskSize="200Gi",
        spot="true",
        registryMirrors=json.dumps(["quay.io", "gcr.io"]),
        mirrorPrivateRegistries="true",
        deletionProtection="false",
        consoleFrom=json.dumps(["team"]),
        metricsFrom=json.dumps(["gmp-system", "monitoring"]),
        registriesIn=json.dumps(["registry"]),
        notificationChannels=json.dumps(["on-call@example.com", "projects/my-project/notificationChannels/1"]),
        registryPorts=json.dumps([8443]),
        appInstanceName="images-eu",
        namespace="p2p",
        defaultStorageClass="premium-rwo",
        dbPersistentDiskSize="20.5Gi",
        metricsExporterEnabled="true",
        peerPort="62000",
        proxyPort="62001",
        uploadPort="62002",
        peerHealthPort="62003",
        peerMetricsPort="62004",
    )


def only(recorded: RecordedProgram, type_: str, name: str | None = None) -> Resource:
    """The one resource of a type, and of Pulumi's name where there are several."""
    found = [one for one in recorded.resources if one.type == type_ and name in (None, one.name)]
    assert len(found) == 1, f"{len(found)} resources {type_} {name or ''}"
    return found[0]


def cluster(recorded: RecordedProgram) -> dict[str, Any]:
    return only(recorded, "gcp:container/cluster:Cluster").manifest


def pool(recorded: RecordedProgram) -> dict[str, Any]:
    return only(recorded, "gcp:container/nodePool:NodePool").manifest


def node(recorded: RecordedProgram) -> dict[str, Any]:
    return pool(recorded)["nodeConfig"]


def firewall(recorded: RecordedProgram, name: str) -> dict[str, Any]:
    return only(recorded, "gcp:compute/firewall:Firewall", name).manifest


def all_dependencies(recorded: RecordedProgram, resource: Resource) -> set[str]:
    """URNs of everything that must exist before a resource and is deleted only after it."""
    by_urn = {one.urn: one for one in recorded.resources}
    found: set[str] = set()
    waiting = [resource]
    while waiting:
        one = waiting.pop()
        provider = one.provider.rpartition("::")[0]
        for urn in {*one.dependencies, provider} & by_urn.keys() - found:
            found.add(urn)
            waiting.append(by_urn[urn])
    return found
