"""Configs of the stacks that many tests look at."""

from __future__ import annotations

import json

# Without mirrors: what writes them onto the nodes of an existing cluster has rules of its own, in test_node_mirrors.
DEFAULT_CONFIG = {"dragonfly:provisionCluster": "false", "dragonfly:registryMirrors": "[]"}

LINE_2_5_CONFIG = {**DEFAULT_CONFIG, "dragonfly:tag": "2.5.1"}

# Every key that an installation into an existing cluster has, none with its default, but for what 2.1 has not.
CONFIGURED_CONFIG = {
    "dragonfly:provisionCluster": "false",
    "dragonfly:clusterName": "another-cluster",
    "dragonfly:clusterLocation": "europe-west1",
    "dragonfly:network": "shared",
    "dragonfly:subnetwork": "nodes",
    "dragonfly:authorizedNetworks": json.dumps(["203.0.113.0/24"]),
    "dragonfly:dnsEndpoint": "true",
    "dragonfly:nodeMachineType": "n2-standard-8",
    "dragonfly:nodeCount": "5",
    "dragonfly:nodeAutoscaling": json.dumps({"min": 2, "max": 7}),
    "dragonfly:maintenanceWindow": json.dumps({"start": "22:30", "hours": 6}),
    "dragonfly:nodeDiskSize": "200Gi",
    "dragonfly:spot": "true",
    "dragonfly:registryMirrors": "[]",
    "dragonfly:mirrorPrivateRegistries": "true",
    "dragonfly:registryConfigPath": "/var/lib/rancher/k3s/agent/etc/containerd/certs.d",
    "dragonfly:deletionProtection": "false",
    "dragonfly:networkPolicies": "false",
    "dragonfly:consoleFrom": json.dumps(["team"]),
    "dragonfly:metricsFrom": json.dumps(["monitoring"]),
    "dragonfly:registriesIn": json.dumps(["registry"]),
    "dragonfly:registryPorts": json.dumps([8443]),
    "dragonfly:kubeconfig": '{"apiVersion": "v1", "kind": "Config", "token": "the-kubeconfigs-token"}',
    "dragonfly:kubeContext": "chosen-context",
    "dragonfly:appInstanceName": "images-eu",
    "dragonfly:namespace": "p2p",
    "dragonfly:createNamespace": "true",
    "dragonfly:defaultStorageClass": "standard-rwo",
    "dragonfly:dbPersistentDiskSize": "20Gi",
    "dragonfly:redisPersistentDiskSize": "10Gi",
    "dragonfly:metricsExporterEnabled": "true",
    "dragonfly:monitoring": "operator",
    "dragonfly:monitoringLabels": json.dumps({"release": "prometheus"}),
    "dragonfly:tag": "2.1.35",
    "dragonfly:clientTag": "1.4.4",
    "dragonfly:allowDowngrade": "true",
    "dragonfly:keepUpgradeSnapshot": "true",
    "dragonfly:imageRegistry": "registry.example.com:5000/mirror",
    "dragonfly:images": json.dumps({"redis": "registry.example.com/redis@sha256:" + "0" * 64}),
    "dragonfly:imagePullSecrets": json.dumps(["mirror", "team.mirror"]),
    "dragonfly:dbUserPassword": "DbUserPassword.configured",
    "dragonfly:dbRootPassword": "DbRootPassword.configured",
    "dragonfly:dbExporterPassword": "DbExporterPassword.configured",
    "dragonfly:redisPassword": "RedisPassword.configured",
    "dragonfly:peerPort": "62000",
    "dragonfly:proxyPort": "62001",
    "dragonfly:uploadPort": "62002",
    "dragonfly:peerHealthPort": "62003",
    "dragonfly:peerMetricsPort": "62004",
    "dragonfly:peerStatsPort": "62005",
    "dragonfly:peerQuicPort": "62006",
    "dragonfly:peerPriorityClass": "important",
    "dragonfly:installApplicationCrd": "false",
    "dragonfly:readyTimeoutSeconds": "120",
}
CONFIGURED_LINE_2_5_CONFIG = {
    **CONFIGURED_CONFIG,
    "dragonfly:tag": "2.5.2",
    "dragonfly:seedPeerCacheSize": "100Gi",
}
SECRET_KEYS = frozenset(
    f"dragonfly:{key}"
    for key in ("kubeconfig", "dbUserPassword", "dbRootPassword", "dbExporterPassword", "redisPassword")
)
