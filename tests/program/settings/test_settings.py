"""The stack's config: every faulty stack ends in one message that names every fault, and no secret."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, ValidationError

from dragonfly.parts.images import Image
from dragonfly.parts.names import Names, longest_app_name
from dragonfly.settings.model import NodeAutoscaling, Settings
from dragonfly.settings.report import SettingsError
from dragonfly.settings.stack_config import settings_of
from tests.program.recorded.known_stacks import CONFIGURED_LINE_2_5_CONFIG, SECRET_KEYS
from tests.program.recorded.recorded_program import run_main

EXISTING_CLUSTER = {"dragonfly:provisionCluster": "false"}
GOOGLE = {"gcp:project": "my-project", "gcp:zone": "us-west1-a"}
PASSWORD_KEYS = ("dbUserPassword", "dbRootPassword", "dbExporterPassword", "redisPassword")
GOOD_PASSWORD = "Correct.Horse.42"
DIGEST = "sha256:" + "a" * 64


@dataclass(frozen=True)
class BadStack:
    """A faulty stack and what its message must say.

    Attributes:
        config: keys without the project's namespace unless they have one; an existing cluster unless it says otherwise.
        faults: key and a part of the rule, for each fault; no other fault may be reported.
        secret: which of the keys are encrypted.
    """

    id: str
    config: dict[str, str]
    faults: tuple[tuple[str, str], ...]
    secret: frozenset[str] = frozenset()
    environment: dict[str, str] = field(default_factory=dict[str, str])


def _images(**references: object) -> dict[str, str]:
    return {"images": json.dumps(references)}


def _one(id_: str, key: str, value: str, rule: str) -> BadStack:
    return BadStack(id_, {key: value}, ((key, rule),))


BAD_STACKS = (
    # Types.
    _one("boolean-as-word", "provisionCluster", "yes", "must be true or false"),
    _one("boolean-as-number", "metricsExporterEnabled", "1", "must be true or false"),
    _one("boolean-in-capitals", "createNamespace", "False", "must be true or false"),
    _one("boolean-as-json-string", "installApplicationCrd", '"false"', "must be true or false"),
    _one("boolean-empty", "metricsExporterEnabled", "", "must be true or false"),
    _one("port-as-word", "peerPort", "http", "must be a whole number"),
    _one("port-with-fraction", "proxyPort", "65001.5", "must be a whole number"),
    _one("port-as-boolean", "uploadPort", "true", "must be a whole number"),
    _one("timeout-with-unit", "readyTimeoutSeconds", "10m", "must be a whole number"),
    _one("images-as-list", "images", '["redis:7"]', "must be an object"),
    _one("images-as-text", "images", "redis:7", "must be an object"),
    BadStack("image-as-number", _images(redis=7), (("images.redis", "must be a string"),)),
    # Disk sizes.
    _one("disk-size-as-word", "dbPersistentDiskSize", "big", "must be a Kubernetes quantity"),
    _one("disk-size-in-GB", "redisPersistentDiskSize", "5GB", "must be a Kubernetes quantity"),
    _one("disk-size-with-space", "dbPersistentDiskSize", "8 Gi", "must be a Kubernetes quantity"),
    _one("disk-size-empty", "dbPersistentDiskSize", "", "must be a Kubernetes quantity"),
    _one("disk-size-of-too-many-digits", "dbPersistentDiskSize", "1e9999999", "must be"),
    _one("disk-size-zero", "dbPersistentDiskSize", "0", "must be at least one byte"),
    _one("disk-size-zero-with-unit", "redisPersistentDiskSize", "0Gi", "must be at least one byte"),
    _one("disk-size-negative", "redisPersistentDiskSize", "-5Gi", "must be at least one byte"),
    _one("disk-size-below-a-byte", "dbPersistentDiskSize", "500m", "must be at least one byte"),
    _one("cache-too-small", "seedPeerCacheSize", "9Gi", "at least 10Gi"),
    _one("cache-in-GB", "seedPeerCacheSize", "50GB", "must be a Kubernetes quantity"),
    _one("cache-of-2.1", "seedPeerCacheSize", "50Gi", "is for Dragonfly 2.5, and dragonfly:tag is 2.1.34"),
    # Metrics.
    _one("monitoring-of-another", "monitoring", "datadog", "must be one of managed, operator, none"),
    BadStack(
        "label-key-with-space",
        {"monitoringLabels": '{"release!": "x"}'},
        (('monitoringLabels["release!"]', "must be the key of a label"),),
    ),
    BadStack(
        "label-value-with-slash",
        {"monitoring": "operator", "metricsFrom": '["m"]', "monitoringLabels": '{"release": "a/b"}'},
        (("monitoringLabels.release", "must be the value of a label"),),
    ),
    _one("labels-without-operator", "monitoringLabels", '{"release": "x"}', "dragonfly:monitoring is none"),
    BadStack("operator-without-a-way", {"monitoring": "operator"}, (("metricsFrom", "could read nothing"),)),
    BadStack(
        "operator-without-any-way",
        {"monitoring": "operator", "metricsFrom": "[]"},
        (("metricsFrom", "could read nothing"),),
    ),
    BadStack(
        "label-of-ours",
        {"monitoringLabels": '{"app.kubernetes.io/part-of": "x"}'},
        (('monitoringLabels["app.kubernetes.io/part-of"]', "are the program's own"),),
    ),
    _one("channels-without-policies", "notificationChannels", '["a@b.com"]', "dragonfly:provisionCluster is true"),
    # Names.
    _one("app-name-too-long-once-derived", "appInstanceName", "a" * 43, "has 43 characters, may have 42"),
    _one("app-name-in-capitals", "appInstanceName", "Dragonfly", "DNS-1035"),
    _one("app-name-with-digit-first", "appInstanceName", "1-dragonfly", "DNS-1035"),
    _one("app-name-with-hyphen-last", "appInstanceName", "dragonfly-", "DNS-1035"),
    _one("app-name-with-dot", "appInstanceName", "dragonfly.1", "DNS-1035"),
    _one("app-name-with-line-end", "appInstanceName", "dragonfly\n", "DNS-1035"),
    _one("app-name-empty", "appInstanceName", "", "DNS-1035"),
    _one("namespace-with-underscore", "namespace", "image_cache", "DNS-1123"),
    _one("namespace-too-long", "namespace", "n" * 64, "DNS-1123"),
    _one("namespace-of-kubernetes", "namespace", "kube-system", "reserves"),
    _one("storage-class-with-slash", "defaultStorageClass", "standard/rwo", "name of a StorageClass"),
    _one("storage-class-too-long", "defaultStorageClass", "s" * 254, "name of a StorageClass"),
    _one("cluster-name-too-long", "clusterName", "c" * 41, "1 to 40"),
    _one("cluster-name-with-digit-first", "clusterName", "4ever", "starting with a letter"),
    _one("containerd-path-of-another", "registryConfigPath", "/etc/cni/net.d", "in containerd's own"),
    _one("containerd-path-that-leads-away", "registryConfigPath", "/etc/../containerd/certs.d", "in containerd's own"),
    # Unknown keys.
    BadStack("unknown-key", {"appName": "x"}, (("appName", "nearest one is dragonfly:appInstanceName"),)),
    BadStack("key-misspelt", {"redisPasword": "x"}, (("redisPasword", "nearest one is dragonfly:redisPassword"),)),
    BadStack("key-in-other-case", {"Namespace": "x"}, (("Namespace", "nearest one is dragonfly:namespace"),)),
    BadStack("key-of-the-guide", {"IMAGE_REGISTRY": "x"}, (("IMAGE_REGISTRY", "nearest one is dragonfly:imageReg"),)),
    BadStack("field-name", {"image_overrides": "{}"}, (("image_overrides", "is not a config key"),)),
    BadStack(
        "unknown-image", _images(redisexporter="a/b:1"), (("images.redisexporter", "one is images.redisExporter"),)
    ),
    BadStack("image-of-the-guide", _images(elasticsearch="a/b:1"), (("images.elasticsearch", "is not an image"),)),
    # Images.
    BadStack("image-without-tag", _images(redis="a/redis"), (("images.redis", "has neither tag nor digest"),)),
    BadStack("image-latest", _images(manager="a/manager:latest"), (("images.manager", "must name a version"),)),
    BadStack("image-in-capitals", _images(mysql="a/MySQL:8"), (("images.mysql", "must be an image reference"),)),
    BadStack("image-with-scheme", _images(dfget="https://a/b:1"), (("images.dfget", "must be an image reference"),)),
    BadStack("image-short-digest", _images(dfget="a/b@sha256:12"), (("images.dfget", "must be an image reference"),)),
    BadStack("image-empty", _images(seedPeer=""), (("images.seedPeer", "must be an image reference"),)),
    _one("registry-with-scheme", "imageRegistry", "https://gcr.io/google", "without scheme"),
    _one("registry-with-slash-last", "imageRegistry", "gcr.io/google/", "without scheme, tag or trailing slash"),
    _one("registry-with-tag", "imageRegistry", "gcr.io/google:2.1", "without scheme, tag"),
    *(
        BadStack(f"registry-port-{port}", {"registryPorts": f"[{port}]"}, (("registryPorts[0]", "from 1 to 65535"),))
        for port in (0, 65536)
    ),
    _one("console-from-a-word", "consoleFrom", "team", "must be a list"),
    BadStack("console-from-capitals", {"consoleFrom": '["Team"]'}, (("consoleFrom[0]", "must be a DNS-1123 label"),)),
    BadStack("pull-secret-of-a-path", {"imagePullSecrets": '["a/b"]'}, (("imagePullSecrets[0]", "of an object"),)),
    _one("priority-class-in-capitals", "peerPriorityClass", "High", "must be the name of an object"),
    _one("metrics-from-twice", "metricsFrom", '["a", "a"]', "names an entry twice"),
    *(
        BadStack(id_, {"maintenanceWindow": window}, ((f"maintenanceWindow.{key}", rule),))
        for id_, window, key, rule in (
            ("maintenance-too-short", '{"hours": 3}', "hours", "must be 4 to 24 hours a day"),
            ("maintenance-of-two-days", '{"hours": 48}', "hours", "must be 4 to 24 hours a day"),
            ("maintenance-at-25", '{"start": "25:00"}', "start", "must be a time of day in UTC"),
            ("maintenance-with-seconds", '{"start": "03:00:00"}', "start", "must be a time of day in UTC"),
            ("maintenance-on-a-day", '{"start": "03:00", "day": 1}', "day", "is not known here"),
        )
    ),
    _one("maintenance-as-a-word", "maintenanceWindow", "daily", "must be an object with start and hours"),
    _one("tag-latest", "tag", "latest", "must name a version"),
    _one("tag-with-colon", "tag", "dragonfly:2.1", "must be an image tag"),
    _one("tag-with-dot-first", "tag", ".2.1", "must be an image tag"),
    _one("tag-too-long", "tag", "2" * 129, "must be an image tag"),
    _one("tag-empty", "tag", "", "must be an image tag"),
    *(
        _one(f"tag-of-no-line-{tag}", "tag", tag, "that this program installs: 2.1.N or 2.5.N")
        for tag in ("2.0.9", "2.2", "2.10.1", "2.5", "2.50.1", "3.0.0", "12.1", "2.1.34.1")
    ),
    *(
        _one(f"client-tag-{tag}", "clientTag", tag, "1.4.3 or a later 1.4.N")
        for tag in ("1.4.2", "1.5.1", "1.4", "2.5.1", "1.4.3.1")
    ),
    # Secrets.
    *(BadStack(f"plain-text-{key}", {key: GOOD_PASSWORD}, ((key, "stands in plain text"),)) for key in PASSWORD_KEYS),
    BadStack("plain-text-kubeconfig", {"kubeconfig": "{}"}, (("kubeconfig", "stands in plain text"),)),
    *(
        BadStack(f"short-{key}", {key: "short"}, ((key, "must be 12 to 128 characters"),), frozenset({key}))
        for key in PASSWORD_KEYS
    ),
    *(
        BadStack(f"kubeconfig-{name}", {"kubeconfig": text}, (("kubeconfig", RULE),), frozenset({"kubeconfig"}))
        for name, text in {"path": "~/.kube/config", "list": "[]", "no-yaml": "a: [b"}.items()
        for RULE in ["must be the contents of a kubeconfig, not its path; the command below reads them with `< FILE`"]
    ),
    BadStack(
        "long-password",
        {"dbRootPassword": "a" * 129},
        (("dbRootPassword", "must be 12 to 128 characters"),),
        frozenset({"dbRootPassword"}),
    ),
    *(
        BadStack(
            f"password-with-{name}",
            {"dbRootPassword": f"aaaaaaaaaaaa{character}bbb"},
            (("dbRootPassword", "letters, digits"),),
            frozenset({"dbRootPassword"}),
        )
        for name, character in {
            "quote": "'",
            "double-quote": '"',
            "at": "@",
            "slash": "/",
            "backslash": "\\",
            "dollar": "$",
            "braces": "{found}",
            "space": " ",
            "hash": "#",
            "line-end": "\n",
            "umlaut": "ü",
        }.items()
    ),
    BadStack(
        "plain-text-and-short",
        {"redisPassword": "short"},
        (("redisPassword", "stands in plain text"), ("redisPassword", "must be 12 to 128 characters")),
    ),
    # Where the cluster comes from.
    BadStack(
        "kubeconfig-of-provisioned-cluster",
        {"provisionCluster": "true", "kubeconfig": "{}", **GOOGLE},
        (("kubeconfig", "one of the two must go"),),
        frozenset({"kubeconfig"}),
    ),
    BadStack(
        "context-of-provisioned-cluster",
        {"provisionCluster": "true", "kubeContext": "minikube", **GOOGLE},
        (("kubeContext", "one of the two must go"),),
    ),
    BadStack(
        "kubeconfig-and-context-of-cluster-provisioned-by-default",
        {"provisionCluster": "true", "kubeContext": "minikube", "kubeconfig": "{}"},
        (
            ("kubeconfig", "one of the two must go"),
            ("kubeContext", "one of the two must go"),
            ("gcp:project", "is not set"),
            ("gcp:zone", "is not set"),
        ),
        frozenset({"kubeconfig"}),
    ),
    BadStack("no-zone", {"provisionCluster": "true", "gcp:project": "my-project"}, (("gcp:zone", "is not set"),)),
    BadStack("no-project", {"provisionCluster": "true", "gcp:zone": "us-west1-a"}, (("gcp:project", "is not set"),)),
    BadStack(
        "no-project-but-zone-in-environment",
        {"provisionCluster": "true"},
        (("gcp:project", "is not set"),),
        environment={"CLOUDSDK_COMPUTE_ZONE": "us-west1-a", "GOOGLE_PROJECT": ""},
    ),
    # Ports of the nodes.
    _one("port-privileged", "peerPort", "80", "must be a port from 1024 to 65535"),
    _one("port-zero", "proxyPort", "0", "must be a port from 1024 to 65535"),
    _one("port-negative", "proxyPort", "-65001", "must be a port from 1024 to 65535"),
    _one("port-too-high", "uploadPort", "65536", "must be a port from 1024 to 65535"),
    _one("port-of-the-guide", "peerHealthPort", "40901", "outgoing connections"),
    _one("port-first-ephemeral", "peerMetricsPort", "32768", "outgoing connections"),
    _one("port-last-ephemeral", "peerMetricsPort", "60999", "outgoing connections"),
    BadStack("two-ports-alike", {"uploadPort": "65000"}, (("uploadPort", "is the port of dragonfly:peerPort too"),)),
    BadStack(
        "all-ports-alike",
        dict.fromkeys(("peerPort", "proxyPort", "uploadPort", "peerHealthPort", "peerMetricsPort"), "30000"),
        tuple(
            (key, "is the port of dragonfly:peerPort too")
            for key in ("proxyPort", "uploadPort", "peerHealthPort", "peerMetricsPort")
        ),
    ),
    # Waiting.
    _one("timeout-too-short", "readyTimeoutSeconds", "9", "10 to 3600"),
    _one("timeout-too-long", "readyTimeoutSeconds", "3601", "10 to 3600"),
    # Several at once.
    BadStack(
        "everything-at-once",
        {
            "provisionCluster": "true",
            "appInstanceName": "Dragon_Fly",
            "namespace": "kube-public",
            "dbPersistentDiskSize": "0",
            "redisPersistentDiskSize": "5 GB",
            "tag": "latest",
            "replicas": "3",
            "metricsExporterEnabled": "on",
            "peerPort": "65001",
            "dbUserPassword": "a{b}c",
            "kubeContext": "minikube",
            "gcp:zone": "us-west1-a",
            **_images(redis="redis", mysqlexporter="a/b:1"),
        },
        (
            ("appInstanceName", "DNS-1035"),
            ("namespace", "reserves"),
            ("dbPersistentDiskSize", "at least one byte"),
            ("redisPersistentDiskSize", "quantity"),
            ("tag", "must name a version"),
            ("replicas", "is not a config key"),
            ("metricsExporterEnabled", "must be true or false"),
            ("proxyPort", "is the port of dragonfly:peerPort too"),
            ("dbUserPassword", "stands in plain text"),
            ("dbUserPassword", "must be 12 to 128 characters"),
            ("kubeContext", "one of the two must go"),
            ("gcp:project", "is not set"),
            ("images.redis", "has neither tag nor digest"),
            ("images.mysqlexporter", "one is images.mysqlExporter"),
        ),
    ),
)


def _full(key: str) -> str:
    return key if ":" in key else f"dragonfly:{key}"


def _load(
    config: dict[str, str], secret: frozenset[str] = frozenset(), environment: dict[str, str] | None = None
) -> Settings:
    return settings_of(
        {**EXISTING_CLUSTER, **{_full(key): value for key, value in config.items()}},
        frozenset(_full(key) for key in secret),
        stack="test",
        environment=environment or {},
    )


def _message(
    config: dict[str, str], secret: frozenset[str] = frozenset(), environment: dict[str, str] | None = None
) -> str:
    with pytest.raises(SettingsError) as caught:
        _load(config, secret, environment)
    return str(caught.value)


def _faults(message: str) -> list[tuple[str, str, str, str]]:
    """Key, value, rule and remedy of each fault in a message."""
    _, *blocks = message.rstrip("\n").split("\n\n")
    faults: list[tuple[str, str, str, str]] = []
    for block in blocks:
        head, rule, remedy = block.split("\n")
        match = re.fullmatch(r"  (?P<key>[^:]+:[^: ]+)(?:: (?P<found>.*))?", head)
        assert match is not None, head
        faults.append((match["key"], match["found"] or "", rule.strip(), remedy.strip()))
    return faults


def test_there_are_many_bad_stacks() -> None:
    assert len({stack.id for stack in BAD_STACKS}) == len(BAD_STACKS) >= 40


@pytest.mark.parametrize("stack", BAD_STACKS, ids=lambda stack: stack.id)
def test_bad_stack_is_refused_with_every_fault_in_one_message(stack: BadStack) -> None:
    message = _message(stack.config, stack.secret, stack.environment)
    faults = _faults(message)
    assert sorted(key for key, *_ in faults) == sorted(_full(key) for key, _ in stack.faults)
    for key, rule in stack.faults:
        assert any(found == _full(key) and rule in text for found, _, text, _ in faults), (key, rule, message)
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    assert message.startswith(f"the config of stack test has {count}; nothing was changed\n")


@pytest.mark.parametrize("stack", BAD_STACKS, ids=lambda stack: stack.id)
def test_every_fault_comes_with_the_command_that_mends_it(stack: BadStack) -> None:
    for key, _, _, remedy in _faults(_message(stack.config, stack.secret, stack.environment)):
        assert re.match(r"pulumi config (?:set|rm) ", remedy)
        assert key in remedy
        # Only with --path does the CLI read a dot or a bracket in a key as the way into what it holds.
        assert bool(re.search(r"[.[]", key)) == ("--path " in remedy)


@pytest.mark.parametrize(
    ("key", "value", "rule", "remedy"),
    [
        ("provisionCluster", "yes", "must be true or false", "set dragonfly:provisionCluster <value>"),
        ("peerPort", "http", "must be a whole number", "set dragonfly:peerPort <value>"),
        ("images", '["redis:7"]', "must be an object", "set dragonfly:images <value>"),
        ("images", '{"redis": 7}', "must be a string", "set --path dragonfly:images.redis <value>"),
        ("authorizedNetworks", "all", "must be a list", "set dragonfly:authorizedNetworks <value>"),
        ("registryMirrors", "[7]", "must be a string", "set --path 'dragonfly:registryMirrors[0]' <value>"),
        ("nodeAutoscaling", "5", "must be an object with min and max", "set dragonfly:nodeAutoscaling <value>"),
        ("nodeAutoscaling", '{"min": 3}', "must be given", "set --path dragonfly:nodeAutoscaling.max <value>"),
        (
            "nodeAutoscaling",
            '{"min": 3, "max": 3, "size": 3}',
            "is not known here; an object with min and max is expected",
            "rm --path dragonfly:nodeAutoscaling.size",
        ),
        (
            "redisPassword",
            "short",
            "must be 12 to 128 characters out of letters, digits and . _ ~ + = , ^ ! * - "
            "(others would have to be quoted differently in SQL, DSN, YAML and shell)",
            "set --secret dragonfly:redisPassword",
        ),
    ],
)
def test_fault_is_told_in_full(key: str, value: str, rule: str, remedy: str) -> None:
    (fault,) = _faults(_message({key: value}, frozenset(PASSWORD_KEYS)))
    assert fault[2:] == (rule, f"pulumi config {remedy}")


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        (
            "appInstanceName",
            "Dragonfly",
            "must be a DNS-1035 label: lower-case letters, digits and '-', starting with a letter, not ending in '-'",
        ),
        (
            "namespace",
            "image_cache",
            "must be a DNS-1123 label: up to 63 lower-case letters, digits and '-', not at either end '-'",
        ),
        ("namespace", "kube-x", "starts with kube-, which Kubernetes reserves for its own namespaces"),
        ("defaultStorageClass", "a/b", "must be the name of a StorageClass; `kubectl get storageclass` lists them"),
        (
            "clusterName",
            "4ever",
            "must be 1 to 40 lower-case letters, digits and '-', starting with a letter, not ending in '-'",
        ),
        ("clusterLocation", "moon", "must be a zone such as us-west1-a or a region such as us-west1"),
        (
            "network",
            "a_b",
            "must be a network's name, or projects/<project>/global/networks/<name> of another project",
        ),
        (
            "subnetwork",
            "a_b",
            "must be a subnetwork's name, or projects/<project>/regions/<region>/subnetworks/<name> of another project",
        ),
        ("nodeCount", "0", "must be 1 to 1000 nodes in each zone of the cluster"),
        ("nodeDiskSize", "100GB", "must be a Kubernetes quantity such as 200Gi"),
        ("nodeDiskSize", "9Gi", "must be 10Gi to 65536Gi; write for example 200Gi"),
        ("dbPersistentDiskSize", "5GB", "must be a Kubernetes quantity such as 8Gi"),
        ("dbPersistentDiskSize", "0", "must be at least one byte; write for example 8Gi"),
        (
            "registryConfigPath",
            "/etc/cni/net.d",
            "must be the absolute path of a directory in containerd's own, as its config.toml names it",
        ),
        ("peerPort", "80", "must be a port from 1024 to 65535; lower ones need root on the node"),
        (
            "peerPort",
            "32768",
            "lies in 32768 to 60999, which Linux hands to outgoing connections: the peer could find it taken",
        ),
        ("readyTimeoutSeconds", "9", "must be 10 to 3600 seconds"),
        ("registryPorts", "[443, 443]", "names an entry twice"),
    ],
)
def test_rule_of_a_value_is_told_in_full(key: str, value: str, rule: str) -> None:
    remedy = f"pulumi config set dragonfly:{key} <value>"
    assert _faults(_message({key: value})) == [(f"dragonfly:{key}", json.dumps(value), rule, remedy)]


def test_missing_project_and_zone_come_with_an_example() -> None:
    assert [remedy for *_, remedy in _faults(_message({"provisionCluster": "true"}))] == [
        "pulumi config set gcp:project my-project",
        "pulumi config set gcp:zone us-west1-a",
    ]


@pytest.mark.parametrize("stack", BAD_STACKS, ids=lambda stack: stack.id)
def test_bad_value_is_shown_unless_it_is_a_secret(stack: BadStack) -> None:
    for key, found, rule, _ in _faults(_message(stack.config, stack.secret, stack.environment)):
        steps = re.findall(r'"[^"]+"|[^.[\]"]+', key.removeprefix("dragonfly:"))
        field_key, *inner = (step.strip('"') for step in steps)
        if field_key in (*PASSWORD_KEYS, "kubeconfig"):
            assert found == ""
        elif rule.startswith("must "):
            value = stack.config[field_key]
            expected: Any = json.loads(value) if inner else value
            for part in inner:
                expected = expected[int(part) if part.isdigit() else part]
            assert json.loads(found) == expected


@pytest.mark.parametrize("key", [*PASSWORD_KEYS, "kubeconfig"])
@pytest.mark.parametrize(
    "value",
    ["Tr0ub4dor{input}", "Tr0ub4dor{message}", "Tr0ub4dor{", "Tr0ub4dor}", "Tr0ub4dor%s%(x)s", "Tr0ub4dor'\"\\ ${x}"],
)
@pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "plain"])
def test_no_message_contains_a_secret(key: str, value: str, encrypted: bool) -> None:
    others = {"provisionCluster": "true", "tag": "latest", "namespace": "{input}"}
    message = _message({key: value, **others}, frozenset({key}) if encrypted else frozenset())
    assert "Tr0ub4dor" not in message
    assert f"dragonfly:{key}\n" in message
    assert '"{input}"' in message, "a value that is no secret is shown as it is, braces included"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tag", "Tr0ub4dor:3"),
        ("namespace", "Tr0ub4dor"),
        ("peerPort", "Tr0ub4dor"),
        ("images", '{"redis": "Tr0ub4dor"}'),
        ("images", '{"redis": 12, "manager": "Tr0ub4dor"}'),
        ("dbPasword", "Tr0ub4dor"),
    ],
)
def test_what_the_stack_encrypts_is_never_shown_whatever_the_key(key: str, value: str) -> None:
    message = _message({key: value}, frozenset({key}))
    assert "Tr0ub4dor" not in message
    for path, _, _, remedy in _faults(message):
        assert ("." in path) == ("--path " in remedy)
        assert ("--secret " in remedy) == remedy.startswith("pulumi config set"), "it must stay encrypted"


@pytest.mark.parametrize(
    ("encrypted", "remedy"),
    [("peerPort", "set dragonfly:proxyPort <value>"), ("proxyPort", "set --secret dragonfly:proxyPort")],
)
def test_an_encrypted_port_is_not_shown_either_where_it_is_another_ones_too(encrypted: str, remedy: str) -> None:
    message = _message({"peerPort": "4711", "proxyPort": "4711"}, frozenset({encrypted}))
    assert _faults(message) == [
        (
            "dragonfly:proxyPort",
            "",
            "is the port of dragonfly:peerPort too; a peer's ports must differ",
            f"pulumi config {remedy}",
        )
    ]
    assert "4711" not in message


@pytest.mark.parametrize("key", PASSWORD_KEYS)
def test_plain_text_password_comes_with_the_command_to_encrypt_it(key: str) -> None:
    assert f"pulumi config set --secret dragonfly:{key}\n" in _message({key: GOOD_PASSWORD})


@pytest.mark.parametrize("length", [43, 50, 60])
def test_name_in_the_message_about_a_long_app_name_really_is_too_long(length: int) -> None:
    message = _message({"appInstanceName": "a" * length})
    match = re.search(r"such as (\S+),", message)
    assert match is not None
    names = Names("a" * length)
    limits = {**dict.fromkeys(names.services(), 63), **dict.fromkeys(names.workloads(), 52)}
    assert len(match[1]) > limits[match[1]]


def test_defaults() -> None:
    settings = _load({})
    assert settings.app_instance_name == "dragonfly-1"
    assert settings.provision_cluster is False
    assert settings.images.reference(Image.MANAGER) == "marketplace.gcr.io/google/dragonfly-manager2:2.1.34"
    assert settings.db_root_password is None


def test_keys_of_other_namespaces_are_not_ours() -> None:
    _load({"gcp:project": "", "kubernetes:kubeconfig": "x", "random:tag": "latest", "dragonflyx:tag": "latest"})


@pytest.mark.parametrize("key", ["imageRegistry", "seedPeerCacheSize", "kubeconfig", "kubeContext", *PASSWORD_KEYS])
def test_empty_value_of_an_optional_key_is_the_same_as_none(key: str) -> None:
    assert _load({key: ""}) == _load({})


def test_everything_set() -> None:
    settings = settings_of(CONFIGURED_LINE_2_5_CONFIG, SECRET_KEYS, stack="test", environment={})
    assert {_key(name) for name in settings.model_fields_set} == {
        key.removeprefix("dragonfly:") for key in CONFIGURED_LINE_2_5_CONFIG
    }
    # Of a cluster of the program's own alone.
    elsewhere = {"dragonfly:notificationChannels"}
    assert {*CONFIGURED_LINE_2_5_CONFIG, *elsewhere} == {f"dragonfly:{_key(name)}" for name in Settings.model_fields}
    assert settings.peer_port == 62000
    assert settings.ready_timeout_seconds == 120
    assert settings.install_application_crd is False
    assert settings.image_overrides == {Image.REDIS: "registry.example.com/redis@sha256:" + "0" * 64}
    assert settings.redis_password == SecretStr("RedisPassword.configured")


def _key(field_name: str) -> str:
    return Settings.model_fields[field_name].alias or field_name


def test_provisioned_cluster_with_project_and_zone() -> None:
    assert _load({"provisionCluster": "true", **GOOGLE}).provision_cluster is True


@pytest.mark.parametrize("zone", ["GOOGLE_ZONE", "GCLOUD_ZONE", "CLOUDSDK_COMPUTE_ZONE"])
@pytest.mark.parametrize(
    "project", ["GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"]
)
def test_project_and_zone_may_come_from_the_environment(project: str, zone: str) -> None:
    _load({"provisionCluster": "true"}, environment={project: "my-project", zone: "us-west1-a"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("appInstanceName", "a" * 42),
        ("appInstanceName", "a"),
        ("clusterName", "c" * 40),
        ("namespace", "n" * 63),
        ("namespace", "1st"),
        # Every digit, wherever one may stand.
        *(("namespace", name) for name in ("0", "9", "a0", "a9", "a09a", "aa")),
        *(
            ("defaultStorageClass", name)
            for name in ("0", "9", "a0", "a9", "a09a", "b.0", "b.9", "b.b0", "b.b9", "b.b09b")
        ),
        *(("clusterName", name) for name in ("c0", "c9", "c09c", "cc")),
        *(("registryConfigPath", f"/{digit}/containerd/{digit}") for digit in "09"),
        ("defaultStorageClass", "s" * 253),
        ("defaultStorageClass", "example.com.fast"),
        ("dbPersistentDiskSize", "1"),
        ("dbPersistentDiskSize", "1.5Ti"),
        ("imageRegistry", "localhost:5000"),
        ("imageRegistry", "europe-docker.pkg.dev/my-project/mirror"),
        ("tag", "2.1.34-debian11"),
        ("tag", f"2.1.{'3' * 124}"),
        *(("tag", tag) for tag in ("2", "2.1", "v2.1.34", "2.5.0", "v2.5.1", "2.5.12-alpine")),
        *(("clientTag", tag) for tag in ("v1.4.3", "1.4.10", "1.4.3-debian12")),
        ("images", json.dumps({image.value: f"a/b@{DIGEST}" for image in Image})),
        ("images", "{}"),
        ("peerPort", "1024"),
        ("peerPort", "32767"),
        ("peerPort", "61000"),
        ("peerPort", "65535"),
        ("readyTimeoutSeconds", "10"),
        ("readyTimeoutSeconds", "3600"),
        ("registryPorts", "[1, 65535]"),
        ("consoleFrom", '["kube-system", "1st"]'),
        ("metricsFrom", "[]"),
    ],
)
def test_good_value_at_the_edge(key: str, value: str) -> None:
    _load({key: value})


@pytest.mark.parametrize("password", ["a" * 12, "a" * 128, "Az09._~+=,^!*-"])
def test_good_password(password: str) -> None:
    settings = _load(dict.fromkeys(PASSWORD_KEYS, password), frozenset(PASSWORD_KEYS))
    assert settings.db_root_password == SecretStr(password)
    assert password not in repr(settings)


def test_settings_are_frozen() -> None:
    settings = _load({"nodeAutoscaling": '{"min": 1, "max": 2}'})
    with pytest.raises(ValidationError, match="frozen"):
        settings.tag = "2.1.35"  # pyright: ignore[reportAttributeAccessIssue] - what must not work
    assert settings.node_autoscaling
    with pytest.raises(ValidationError, match="frozen"):
        settings.node_autoscaling.max = 3  # pyright: ignore[reportAttributeAccessIssue] - what must not work


@pytest.mark.parametrize(
    ("model", "value"), [(Settings, {"redisPassword": 20401}), (NodeAutoscaling, {"min": 20402, "max": 20401})]
)
def test_error_of_the_validation_itself_holds_no_value(model: type[BaseModel], value: dict[str, int]) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(value)
    assert "20401" not in str(refused.value)


@pytest.mark.parametrize(
    ("namespace", "create", "created"),
    [("default", "true", False), ("p2p", "true", True), ("p2p", "false", False)],
)
def test_namespace_is_created_unless_it_is_default_or_not_wanted(namespace: str, create: str, created: bool) -> None:
    assert _load({"namespace": namespace, "createNamespace": create}).namespace_is_created is created


_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def test_the_longest_app_name_is_42() -> None:
    assert longest_app_name() == 42


# The same examples every time: a run that fails on one machine fails on all.
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    st.one_of(
        st.from_regex(r"[a-z](?:[a-z0-9-]{0,45}[a-z0-9])?", fullmatch=True),
        st.text(alphabet="ab1-_.A\n ", max_size=50),
        st.text(max_size=60),
    )
)
def test_every_accepted_app_name_gives_names_that_kubernetes_accepts(app: str) -> None:
    try:
        names = _load({"appInstanceName": app}).names
    except SettingsError:
        # Refused names are the table's matter, save that a good one must not be refused.
        assert _NAME.fullmatch(app) is None or len(app) > 42
        return
    for service in names.services():
        assert len(service) <= 63
        assert _NAME.fullmatch(service)
    for workload in names.workloads():
        # The label controller-revision-hash is the name, a hyphen and ten characters.
        assert len(workload) + 11 <= 63
        assert _NAME.fullmatch(workload)
    for other in (names.mysql_claim, names.redis_claim, names.mysql_secret, names.mysqld_exporter_secret, app):
        assert len(other) <= 253
        assert _NAME.fullmatch(other)


@pytest.mark.parametrize(
    "config",
    [
        {"dragonfly:provisionCluster": "false", "dragonfly:tag": "latest"},
        {"dragonfly:provisionCluster": "false", "dragonfly:tagg": "2.1.34"},
        {"dragonfly:provisionCluster": "false", "dragonfly:redisPassword": GOOD_PASSWORD},
        {"dragonfly:provisionCluster": "true"},
    ],
)
def test_faults_end_the_program_before_any_resource_is_registered(config: dict[str, str]) -> None:
    recorded = run_main(config)
    assert isinstance(recorded.error, SettingsError)
    assert recorded.resources == []
    assert recorded.exports == {}
