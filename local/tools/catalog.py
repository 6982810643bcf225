"""The tools that can be built from Go modules: what each is built from, and which of them serve for what.

Which release of what is built stands in the `go.mod` files under `local/go`, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.machine.paths import PROJECT_FOLDER

_MODULES = PROJECT_FOLDER / "local" / "go"


class ToolchainError(RuntimeError):
    """A tool is neither on the machine nor can it be built; the message says what to do."""


@dataclass(frozen=True)
class Tool:
    """Something that is built from one of our Go modules.

    Attributes:
        name: its name in messages and in the cache.
        folder: its module under `local/go`.
        module: the Go module whose release, in that `go.mod`, is the tool's version; empty for a program of our own,
            whose source lies beside it.
        binaries: file name in the cache, and the last element of the package path in `go.mod`'s `tool` lines.
        minutes: how long a first build takes on two cores, told to the user.
        tags: build tags.
        link_values: Go variables set when linking; `{version}` stands for the tool's version, `v1.36.3`, `{number}` for
            the same without its `v`, `{major}` and `{minor}` for parts of it.
        scripts: files of the Go module to lie, executable, beside the binaries.
        release: what the commit in `go.mod` was released as, where the module has no versions of its own.
    """

    name: str
    folder: str
    module: str
    binaries: Mapping[str, str]
    minutes: int
    tags: str = ""
    link_values: Sequence[str] = ()
    scripts: Sequence[str] = ()
    release: str = ""

    @property
    def version(self) -> str:
        """Version from `go.mod`, `v1.36.3`, or that of the release.

        Raises:
            ToolchainError: `go.mod` does not require the module.
        """
        if self.release:
            return self.release
        found = re.search(rf"^(?:require\s+|\t){re.escape(self.module)} (v\S+)", self.go_mod.read_text(), re.MULTILINE)
        if found is None:
            raise ToolchainError(f"{self.go_mod} does not require {self.module}: run `go mod tidy` there")
        return found[1]

    @property
    def title(self) -> str:
        """Name and version, for people."""
        return f"{self.name} {self.version}" if self.module else self.name

    @property
    def go_mod(self) -> Path:
        """The file that says from which releases it is built."""
        return _MODULES / self.folder / "go.mod"

    def sources(self) -> list[Path]:
        """Return the Go files that are our own."""
        return sorted(self.go_mod.parent.rglob("*.go"))

    def packages(self) -> dict[str, str]:
        """Return the Go package of each binary, from `go.mod`'s `tool` lines.

        Raises:
            ToolchainError: there is no `tool` line for a binary.
        """
        listed = re.findall(r"^(?:tool\s+|\t)([\w./-]+)$", self.go_mod.read_text(), flags=re.MULTILINE)
        by_name = {re.sub(r"/v\d+$", "", package).rpartition("/")[2]: package for package in listed}
        missing = sorted(set(self.binaries.values()) - by_name.keys())
        if missing:
            raise ToolchainError(f"{self.go_mod} has no `tool` line for {', '.join(missing)}")
        return {binary: by_name[source] for binary, source in self.binaries.items()}

    def flags(self) -> list[str]:
        """Return the flags of `go build`."""
        values: list[str] = []
        if self.link_values:
            version = self.version
            number = version.removeprefix("v")
            major, minor = number.split(".")[:2]
            named = {"version": version, "number": number, "major": major, "minor": minor}
            values = [value.format(**named) for value in self.link_values]
        linker = " ".join(["-s", "-w", *(f"-X {value}" for value in values)])
        return ["-trimpath", *(["-tags", self.tags] if self.tags else []), "-ldflags", linker]


_KUBERNETES_VERSION = (
    "k8s.io/component-base/version.gitVersion={version}",
    "k8s.io/component-base/version.gitMajor={major}",
    "k8s.io/component-base/version.gitMinor={minor}",
)
"""What Kubernetes' own build sets: without it, a binary says that it is v0.0.0."""

TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
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
        Tool(
            name="pulumi",
            folder="pulumi",
            module="github.com/pulumi/pulumi/pkg/v3",
            binaries={"pulumi": "pulumi"},
            minutes=5,
            tags="osusergo grpcnotrace",
            link_values=("github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}",),
        ),
        Tool(
            name="kwok",
            folder="kwok",
            module="sigs.k8s.io/kwok",
            binaries={"kwok": "kwok"},
            minutes=2,
        ),
        Tool(
            name="etcd",
            folder="etcd",
            module="go.etcd.io/etcd/server/v3",
            binaries={"etcd": "server"},
            minutes=1,
        ),
        Tool(
            name="language-host",
            folder="language-host",
            module="github.com/pulumi/pulumi/sdk/v3",
            binaries={"pulumi-language-python": "pulumi-language-python"},
            minutes=1,
            scripts=("python/cmd/pulumi-language-python-exec",),
        ),
        Tool(
            name="kubernetes-plugin",
            folder="kubernetes-plugin",
            module="github.com/pulumi/pulumi-kubernetes/provider/v4",
            release="v4.25.0",
            binaries={"pulumi-resource-kubernetes": "kubernetes-plugin"},
            minutes=4,
            link_values=("github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version={number}",),
        ),
        Tool(
            name="kubectl",
            folder="kubernetes",
            module="k8s.io/kubernetes",
            binaries={"kubectl": "kubectl"},
            minutes=1,
            link_values=_KUBERNETES_VERSION,
        ),
        Tool(
            name="node",
            folder="kubernetes",
            module="k8s.io/kubernetes",
            binaries={"kubelet": "kubelet", "kube-proxy": "kube-proxy"},
            minutes=1,
            link_values=_KUBERNETES_VERSION,
        ),
        Tool(
            name="coredns",
            folder="coredns",
            module="github.com/coredns/coredns",
            binaries={"coredns": "coredns"},
            minutes=2,
        ),
        Tool(
            name="actionlint",
            folder="actionlint",
            module="github.com/rhysd/actionlint",
            binaries={"actionlint": "actionlint"},
            minutes=1,
        ),
        Tool(
            name="dragonfly-standin",
            folder="dragonfly-standin",
            module="",
            binaries={"dragonfly-standin": "dragonfly-standin", "pause": "pause"},
            minutes=1,
        ),
    )
}
"""Every tool, in the order of building: the longest first, and kubectl when the packages it shares are compiled."""

CLUSTER_TOOLS = ("etcd", "kubernetes", "kwok")
"""What a local cluster is made of."""

CONTAINER_TOOLS = ("etcd", "kubernetes", "node", "coredns")
"""What a local cluster is made of whose nodes run containers; the rest of it are Debian's packages."""

ENGINE_TOOLS = ("pulumi", "language-host", "kubectl")
"""What works on a stack and a cluster."""

PLUGIN_TOOLS = ("kubernetes-plugin",)
"""What the engine makes Kubernetes objects with, where the released plug-in cannot be downloaded."""

LINT_TOOLS = ("actionlint",)
"""What checks files that are neither run nor type-checked here."""

IMAGE_TOOLS = ("dragonfly-standin",)
"""What container images are made of, besides Debian's packages."""


def version_numbers(version: str) -> tuple[int, int, int] | None:
    """Return the three numbers of the first version in a text, for comparison; None without one."""
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None
