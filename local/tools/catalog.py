"""The tools that can be built: what each is built from, and which of them serve for what."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from local.machine.paths import PROJECT_FOLDER
from local.tools.building.crate import Crate, Library
from local.tools.building.go_tool import GoTool
from local.tools.building.module_files import ModuleFiles
from local.tools.building.tool import Tool
from local.tools.download.releases import ROCKSDB

_DEFAULT_CLIENT: str = yaml.safe_load((PROJECT_FOLDER / "Pulumi.yaml").read_text())["config"]["clientTag"]["default"]

_KUBERNETES_VERSION = (
    "k8s.io/component-base/version.gitVersion={version}",
    "k8s.io/component-base/version.gitMajor={major}",
    "k8s.io/component-base/version.gitMinor={minor}",
)
"""What Kubernetes' own build sets: without it, a binary says that it is v0.0.0."""

KWOK_STAGES = tuple(
    f"kustomize/stage/{stage}.yaml"
    for stage in (
        "node/fast/node-initialize",
        "node/heartbeat-with-lease/node-heartbeat-with-lease",
        "pod/fast/pod-ready",
        "pod/fast/pod-complete",
        "pod/fast/pod-delete",
    )
)
"""What kwok does with nodes and pods: its own stages, which it does not take by itself (since v0.8.0)."""

TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        GoTool(
            name="kubernetes",
            folder="kubernetes",
            module="k8s.io/kubernetes",
            binaries={
                "kube-apiserver": "kube-apiserver",
                "kube-controller-manager": "kube-controller-manager",
                "kube-scheduler": "kube-scheduler",
            },
            minutes=5,
            link_values=_KUBERNETES_VERSION,
        ),
        GoTool(
            name="pulumi",
            folder="pulumi",
            module="github.com/pulumi/pulumi/pkg/v3",
            binaries={"pulumi": "pulumi"},
            minutes=5,
            tags="osusergo grpcnotrace",
            link_values=("github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}",),
        ),
        GoTool(
            name="kwok",
            folder="kubernetes",
            module="sigs.k8s.io/kwok",
            binaries={"kwok": "kwok"},
            minutes=2,
            files=KWOK_STAGES,
        ),
        GoTool(
            name="etcd",
            folder="kubernetes",
            module="go.etcd.io/etcd/server/v3",
            binaries={"etcd": "server"},
            minutes=1,
        ),
        GoTool(
            name="language-host",
            folder="language-host",
            module="github.com/pulumi/pulumi/sdk/v3",
            binaries={"pulumi-language-python": "pulumi-language-python"},
            minutes=1,
            files=("python/cmd/pulumi-language-python-exec",),
        ),
        GoTool(
            name="kubernetes-plugin",
            folder="kubernetes-plugin",
            module="github.com/pulumi/pulumi-kubernetes/provider/v4",
            release="v4.25.0",
            binaries={"pulumi-resource-kubernetes": "kubernetes-plugin"},
            minutes=4,
            link_values=("github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version={number}",),
        ),
        GoTool(
            name="kubectl",
            folder="kubernetes",
            module="k8s.io/kubernetes",
            binaries={"kubectl": "kubectl"},
            minutes=1,
            link_values=_KUBERNETES_VERSION,
        ),
        GoTool(
            name="node",
            folder="kubernetes",
            module="k8s.io/kubernetes",
            binaries={"kubelet": "kubelet", "kube-proxy": "kube-proxy"},
            minutes=1,
            link_values=_KUBERNETES_VERSION,
        ),
        GoTool(
            name="coredns",
            folder="kubernetes",
            module="github.com/coredns/coredns",
            binaries={"coredns": "coredns"},
            minutes=2,
        ),
        GoTool(
            name="kube-state-metrics",
            folder="kube-state-metrics",
            module="k8s.io/kube-state-metrics/v2",
            binaries={"kube-state-metrics": "kube-state-metrics"},
            minutes=2,
        ),
        GoTool(
            name="kube-router",
            folder="kubernetes",
            module="github.com/cloudnativelabs/kube-router/v2",
            binaries={"kube-router": "kube-router"},
            minutes=2,
            link_values=("github.com/cloudnativelabs/kube-router/v2/pkg/version.Version={version}",),
        ),
        GoTool(
            name="actionlint",
            folder="actionlint",
            module="github.com/rhysd/actionlint",
            binaries={"actionlint": "actionlint"},
            minutes=1,
        ),
        Crate(
            name="dragonfly-client",
            release=_DEFAULT_CLIENT,
            binaries={"dfdaemon": "dfdaemon"},
            minutes=10,
            needs=("clang", "cmake", "protoc"),
            library=Library("librocksdb-sys", "v10.4.2", ROCKSDB, "ROCKSDB_LIB_DIR"),
        ),
        GoTool(
            name="dragonfly",
            folder="dragonfly",
            module="d7y.io/dragonfly/v2",
            binaries={"dragonfly-manager": "manager", "dragonfly-scheduler": "scheduler"},
            minutes=5,
            link_values=("d7y.io/dragonfly/v2/version.GitVersion={version}",),
        ),
        ModuleFiles(
            name="managed-prometheus-kinds",
            folder="monitoring-kinds",
            module="github.com/GoogleCloudPlatform/prometheus-engine",
            binaries={
                "podmonitorings.yaml": "charts/operator/crds/monitoring.googleapis.com_podmonitorings.yaml",
            },
            minutes=1,
        ),
        ModuleFiles(
            name="prometheus-operator-kinds",
            folder="monitoring-kinds",
            module="github.com/prometheus-operator/prometheus-operator",
            binaries={
                "podmonitors.yaml": "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
                "prometheusrules.yaml": "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
            },
            minutes=1,
        ),
        GoTool(
            name="dragonfly-standin",
            folder="dragonfly-standin",
            module="",
            binaries={"dragonfly-standin": "dragonfly-standin", "pause": "pause"},
            minutes=1,
        ),
    )
}
"""Every tool, in the order of building: the longest first.

All that a cluster is made of is one Go module, with one release of each package: what they share is compiled once
where all is built. kwok alone took five minutes of a processor for a Kubernetes client of its own.
kube-state-metrics is a module of its own: it cannot be compiled with the client of Kubernetes 1.36.
"""

CLUSTER_TOOLS = ("etcd", "kubernetes", "kwok")
"""What a local cluster is made of."""

MANAGED_PROMETHEUS_KINDS, PROMETHEUS_OPERATOR_KINDS = "managed-prometheus-kinds", "prometheus-operator-kinds"
"""Definitions of the kinds by which a Prometheus in the cluster is told what to read."""

KUBE_STATE_METRICS = "kube-state-metrics"
"""Exports metrics of the cluster's objects, for alerts."""

CONTAINER_TOOLS = ("etcd", "kubernetes", "node", "coredns", "kube-router")
"""What a local cluster is made of whose nodes run containers; the rest of it are Debian's packages."""

ENGINE_TOOLS = ("pulumi", "language-host", "kubectl")
"""What works on a stack and a cluster."""

PLUGIN_TOOLS = ("kubernetes-plugin",)
"""What the engine makes Kubernetes objects with, where the released plug-in cannot be downloaded."""

LINT_TOOLS = ("actionlint",)
"""What checks files that are neither run nor type-checked here."""

IMAGE_TOOLS = ("dragonfly-standin",)
"""What container images of Dragonfly 2.1 are made of, besides Debian's packages."""

LINE_2_5_TOOLS = ("dragonfly-client", "dragonfly", *IMAGE_TOOLS)
"""The same of 2.5: the real programs, and what else its images have."""
