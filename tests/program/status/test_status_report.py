"""What the status command says once it knows how everything is: lines, document, versions and remedies."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from dragonfly.access.objects import Object
from dragonfly.parts.labels import COMPONENT_LABEL, Component
from dragonfly.settings.model import Settings
from dragonfly.status.doors import open_doors
from dragonfly.status.mirrors import NodeMirror
from dragonfly.status.pod_reasons import Reason
from dragonfly.status.remedies import remedy
from dragonfly.status.report import Report
from dragonfly.status.sharing import Sharing
from dragonfly.status.versions import advisories, running_images, version
from dragonfly.status.workloads import Condition

SETTINGS = Settings.model_validate({"provisionCluster": False, "namespace": "p2p", "appInstanceName": "images-eu"})
WIDTH = 60

CRASHED = Reason(
    "mysql ended with exit code 1", container="mysql", ended=True, restarts=1, pod="images-eu-mysql-0", log="no space"
)
PORTS = "no node takes it: 0/3 nodes are available: 3 node(s) didn't have free ports for the requested pod ports."
UNPLACED = Reason(PORTS, restarts=3, pod="dfget-1", pods=2)
MANAGER = Condition("Deployment", "images-eu-manager", True, "Ready")
CONDITIONS = [
    Condition("StatefulSet", "images-eu-mysql", False, "not Ready", [CRASHED]),
    MANAGER,
    Condition("DaemonSet", "images-eu-dfget", False, "not Ready 1 of 3", [UNPLACED]),
    Condition(None, "images-eu-redis", False, "missing"),
    Condition("Service", "images-eu-redis-svc", False, "missing"),
]


def report(*conditions: Condition, namespace_exists: bool = True, **more: Any) -> Report:
    images, said, mirrors = more.get("images", {}), more.get("said", []), more.get("mirrors", [])
    return Report("prod", SETTINGS, namespace_exists, list(conditions), images, said, mirrors)


def test_people_get_every_object_with_its_reasons_and_what_to_do() -> None:
    images = {"manager": ["r/manager:2.1.34"], "mysql": ["r/mysql:8.0.46"], "scheduler": ["r/s:2.1.34", "r/s:2.1.35"]}
    mirrors = [NodeMirror("node-1")]
    told = report(*CONDITIONS, images=images, said=["manager 2.1.34 has a hole"], mirrors=mirrors)
    assert list(told.lines(WIDTH)) == [
        "Stack prod, namespace p2p",
        "  images-eu-mysql    not Ready",
        "    mysql ended with exit code 1; started again once",
        "      log: no space",
        "  images-eu-manager  Ready",
        "  images-eu-dfget    not Ready 1 of 3",
        "    2 pods: no node takes it: 0/3 nodes are available: 3",
        "      node(s) didn't have free ports for the requested pod",
        "      ports.; started again 3 times",
        "      -> take ports that nobody else has on these nodes:",
        "        peerPort, proxyPort, uploadPort, peerHealthPort,",
        "        peerMetricsPort in the config",
        "Missing: images-eu-redis, Service images-eu-redis-svc.",
        "  `pulumi up --refresh` makes what is missing.",
        "Versions: 2.1.34 (manager, scheduler), 8.0.46 (mysql),",
        "  2.1.35 (scheduler)",
        "Mirrors: pulls go through the peer on 1 of 1 nodes",
        "Security: manager 2.1.34 has a hole",
        "Console: kubectl port-forward --namespace p2p svc/images-eu-manager-service 8080:8080",
        "         then http://localhost:8080, user root, password:",
        "         pulumi stack output consoleRootPassword --show-secrets --stack prod",
    ]


def test_people_get_no_more_than_there_is_to_say() -> None:
    stopped = Condition("Deployment", "images-eu-manager", False, "not Ready")
    assert list(report(stopped).lines(WIDTH)) == ["Stack prod, namespace p2p", "  images-eu-manager  not Ready"]
    # The console is the manager's: another that is Ready does not open it.
    other = Condition("StatefulSet", "images-eu-mysql", True, "Ready")
    assert list(report(stopped, other).lines(WIDTH))[-1] == "  images-eu-mysql    Ready"


def test_what_is_not_installed_is_not_listed_as_missing() -> None:
    assert list(report(CONDITIONS[3], namespace_exists=False).lines(WIDTH)) == [
        "Stack prod, namespace p2p",
        "The namespace p2p does not exist: nothing is installed. `pulumi up --refresh` makes what is missing.",
    ]


def test_a_page_of_words_is_cut_and_lines_stay_readable_in_a_narrow_terminal() -> None:
    def lines(text: str, width: int) -> list[str]:
        condition = Condition("Job", "j", False, "failed", [Reason(text, container="j", log=text)])
        return list(report(condition).lines(width))[2:]

    assert lines("a" * 240, 300) == [f"    {'a' * 240}", f"      log: {'a' * 240}"]
    assert lines("b" * 241, 300) == [f"    {'b' * 240}...", f"      log: {'b' * 240}..."]
    # A reference is copied by people.
    assert lines("it-is-a/reference:1-that-does-not-break-anywhere", 1)[0] == (
        "    it-is-a/reference:1-that-does-not-break-anywhere"
    )
    assert lines(f"{'a' * 34} b", 1)[0] == f"    {'a' * 34} b"
    assert lines(f"{'a' * 35} b", 1)[0] == f"    {'a' * 35}"
    assert lines("word " * 12, 1)[:2] == [f"    {'word ' * 7}".rstrip(), f"      {'word ' * 5}".rstrip()]


def test_people_read_how_much_was_shared() -> None:
    told = replace(report(MANAGER), sharing=Sharing(3, 2, 1, 60))
    said = "Sharing: 60 % of 5 bytes came from other nodes or the seed peer in the 60 seconds since"
    assert any(line.startswith(said) for line in told.lines(200))
    assert not any(line.startswith("Sharing") for line in replace(told, sharing=Sharing(faults=("x",))).lines(200))


def test_people_read_of_the_last_hour_or_why_nobody_knows() -> None:
    told = replace(report(MANAGER), last_hour=Sharing(9, 1, 1, from_seed_peer=3))
    (line,) = [line for line in told.lines(200) if line.startswith("Sharing")]
    assert line.startswith("Sharing: 90 % of 10 bytes came from other nodes or the seed peer in the last hour; ")
    silent = replace(report(MANAGER), last_hour=Sharing(faults=("http://p does not answer",)))
    assert "Sharing: http://p does not answer" in list(silent.lines(200))


def test_programs_get_a_document() -> None:
    mirrors = [NodeMirror("node-1"), NodeMirror("node-2", "why")]
    told = report(*CONDITIONS[2:4], images={"mysql": ["r/mysql:8.0.46"]}, said=["a hole"], mirrors=mirrors)
    last_hour = Sharing(9, 8, 7, faults=("x",))
    document = replace(told, sharing=Sharing(3, 2, 1, 60, (), 2, 50), last_hour=last_hour).document()
    assert told.document()["sharing"] is None
    assert json.loads(json.dumps(document)) == {
        "stack": "prod",
        "namespace": "p2p",
        "instance": "images-eu",
        "ready": False,
        "objects": [
            {
                "kind": "DaemonSet",
                "name": "images-eu-dfget",
                "ready": False,
                "state": "not Ready 1 of 3",
                "reasons": [
                    {
                        "pods": 2,
                        "pod": "dfget-1",
                        "reason": PORTS,
                        "restarts": 3,
                        "lastLogLine": None,
                        "remedy": remedy(UNPLACED, SETTINGS),
                    }
                ],
            },
            {"kind": None, "name": "images-eu-redis", "ready": False, "state": "missing", "reasons": []},
        ],
        "images": {"mysql": ["r/mysql:8.0.46"]},
        "advisories": ["a hole"],
        "mirrors": [
            {"node": "node-1", "throughPeer": True, "reason": None},
            {"node": "node-2", "throughPeer": False, "reason": "why"},
        ],
        "sharing": {
            "secondsSinceStart": 60,
            "bytesFromPeers": 3,
            "bytesFromSeedPeer": 2,
            "bytesFromRegistries": 2,
            "bytesOfSeedPeerFromRegistries": 1,
            "faults": [],
            "secondsSinceStartOfSeedPeer": 50,
        },
        "sharingInTheLastHour": {
            "bytesFromPeers": 9,
            "bytesFromSeedPeer": None,
            "bytesFromRegistries": 8,
            "bytesOfSeedPeerFromRegistries": 7,
            "faults": ["x"],
        },
        "console": {
            "portForwardCommand": "kubectl port-forward --namespace p2p svc/images-eu-manager-service 8080:8080",
            "url": "http://localhost:8080",
            "user": "root",
            "passwordCommand": "pulumi stack output consoleRootPassword --show-secrets --stack prod",
        },
    }
    assert report(MANAGER).document()["ready"] is True
    assert report(Condition("Job", "j", False, "failed", [Reason("x")])).document()["objects"][0]["reasons"][0] == {
        "pods": 1,
        "pod": None,
        "reason": "x",
        "restarts": 0,
        "lastLogLine": None,
        "remedy": None,
    }


GKE = Settings.model_validate({})
SCALED = Settings.model_validate({"nodeAutoscaling": {"min": 1, "max": 2}})


@pytest.mark.parametrize(
    ("what", "settings", "action"),
    [
        ("2 Insufficient memory.", SETTINGS, "give the cluster larger nodes, or more"),
        ("1 Too many pods.", GKE, "take larger nodes or more: nodeMachineType, nodeCount in the config"),
        ("1 Insufficient cpu.", SCALED, "take larger nodes or more: nodeMachineType, nodeAutoscaling in the config"),
        (
            'storageclass.storage.k8s.io "fast" not found',
            SETTINGS,
            "set defaultStorageClass in the config to one that `kubectl get storageclass` lists, delete the claim "
            "with kubectl, then `pulumi up --refresh`",
        ),
        ("ended with exit code 1", SETTINGS, None),
    ],
)
def test_what_to_do_about_a_reason(what: str, settings: Settings, action: str | None) -> None:
    assert remedy(Reason(what), settings) == action


def test_what_to_do_about_an_image_that_cannot_be_pulled() -> None:
    assert remedy(Reason("x", image="marketplace.gcr.io/google/dragonfly-manager2:2.1.34"), SETTINGS) == (
        "check tag, imageRegistry, images.manager, imagePullSecrets in the config"
    )
    assert remedy(Reason("x", image="somebody.example.com/sidecar:1"), SETTINGS) is None


def pod(component: Component, image: str, state: str = "running", container: str = "program") -> Object:
    return {
        "metadata": {"labels": {COMPONENT_LABEL: component}},
        "spec": {"containers": [{"name": container, "image": image}]},
        # The node may call it by another name.
        "status": {"containerStatuses": [{"name": container, "image": "sha256:0", "state": {state: {}}}]},
    }


def test_images_that_run_are_told_by_container() -> None:
    pods: list[Object] = [
        pod(Component.MANAGER, "r/m:2"),
        pod(Component.MANAGER, "r/m:1"),
        pod(Component.MANAGER, "r/m:3", "waiting"),
        pod(Component.MYSQL, "r/mysql:8", container="mysql"),
        {**pod(Component.MYSQL, "r/mysql:9"), "status": {}},
    ]
    assert running_images(pods) == {"mysql": ["r/mysql:8"], "program": ["r/m:1", "r/m:2"]}


@pytest.mark.parametrize(
    ("reference", "tag"),
    [
        ("r.example.com:5000/team/manager:2.1.34", "2.1.34"),
        ("r.example.com:5000/manager@sha256:abc", "sha256:abc"),
        ("manager:v2.1.34@sha256:abc", "v2.1.34"),
    ],
)
def test_a_version_is_the_tag_or_else_the_digest(reference: str, tag: str) -> None:
    assert version(reference) == tag


@pytest.mark.parametrize("tag", ["2.1.34", "v2.4.0", "1.9.9", "2.4.0-rc1"])
def test_a_manager_whose_jobs_are_open_is_told(tag: str) -> None:
    assert advisories([pod(Component.MANAGER, f"r/manager:{tag}")]) == [
        f"manager {tag} has CVE-2026-24124 (critical, fixed in 2.4.1): whoever reaches its REST API reads and makes "
        "jobs without signing in. Let nobody reach it that you do not trust, and move to 2.5, as "
        "docs/dragonfly-2.5.md tells: 2.1 gets no fixes."
    ]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, []),
        ({"consoleFrom": ["team", "ops"]}, ["consoleFrom lets every pod of team, ops in: whoever reaches"]),
        ({"networkPolicies": False, "consoleFrom": ["team"]}, ["networkPolicies is false: unless the cluster has"]),
    ],
)
def test_what_the_config_opens_is_told(config: dict[str, Any], said: list[str]) -> None:
    told = open_doors(Settings.model_validate(config))
    assert [one[: len(start)] for one, start in zip(told, said, strict=True)] == said
    assert all("users/signup" in one for one in told)


@pytest.mark.parametrize("tag", ["2.4.1", "v2.5.1", "3.0.0", "nightly", "2.1.34.1", "2026.1"])
def test_a_manager_that_has_the_fix_or_whose_tag_does_not_tell_is_not(tag: str) -> None:
    assert advisories([pod(Component.MANAGER, f"r/manager:{tag}"), pod(Component.SCHEDULER, "r/s:2.1.34")]) == []
