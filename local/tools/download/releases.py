"""Where the projects publish what they built, and its checksums: one row a tool.

Which release of a tool is wanted stands in `local/go`, as for building it. A tool without a row here is always built.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Listing = Literal["named", "alone"]
"""How a file says a checksum: lines of `<sha256>  <name>`, as sha256sum writes them, or one and nothing else."""

_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
"""What `platform.machine()` says, and what Go and most projects call it."""

_GITHUB = "https://github.com"


@dataclass(frozen=True)
class PublishedFile:
    """One file of a release.

    Args:
        url: of the file.
        checksum_url: of the checksum that its project publishes.
        listing: how the checksum is written there.
        members: where each program lies in the archive, by its name; empty for a file that is the program itself, of
            the file's name.
    """

    url: str
    checksum_url: str
    listing: Listing
    members: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def name(self) -> str:
        """Name of the file, under which its checksum is listed."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Order:
    """What is to be fetched for a tool.

    Args:
        tool: its name.
        title: its name and version, for people.
        files: all that it is made of.
    """

    tool: str
    title: str
    files: tuple[PublishedFile, ...]

    def programs(self) -> list[str]:
        """Return the file names of what comes of it."""
        return [name for file in self.files for name in file.members or (file.name,)]

    def urls(self) -> list[str]:
        """Return all addresses that are asked for it."""
        return [url for file in self.files for url in (file.checksum_url, file.url)]


@dataclass(frozen=True)
class Release:
    """One row. In the texts, `{version}` is `v1.36.3`, `{number}` the same without its `v`, `{arch}` the processor.

    Args:
        page: documents the address, or makes it: what to read when a release is no longer found.
        url: of the archive, or with `{program}` of each program.
        checksum_url: of the published checksum; may say `{url}`.
        listing: how that is written.
        members: where each program lies in the archive, by its name.
        programs: names of the programs, where each is a file of its own.
        architectures: what the project calls the processors that it publishes for, by `platform.machine()`.
        of: the tool whose version it has, where that is another one.
    """

    page: str
    url: str
    checksum_url: str
    listing: Listing
    members: Mapping[str, str] = field(default_factory=dict[str, str])
    programs: tuple[str, ...] = ()
    architectures: Mapping[str, str] = field(default_factory=lambda: _GO_NAMES)
    of: str = ""

    def order(self, tool: str, version_of: Callable[[str], str], machine: str = "") -> Order | None:
        """Return what to fetch.

        Args:
            tool: name of the tool.
            version_of: returns a tool's version, `v1.36.3`.
            machine: the processor as `platform.machine()` says it, this one's when not given.

        Returns:
            The files, or None where the project publishes none for such a processor.
        """
        arch = self.architectures.get(machine or platform.machine())
        if arch is None:
            return None
        version = version_of(self.of or tool)
        values = {"version": version, "number": version.removeprefix("v"), "arch": arch}
        members = {name: path.format(**values) for name, path in self.members.items()}
        files: list[PublishedFile] = []
        for program in self.programs or ("",):
            url = self.url.format(**values, program=program)
            files.append(PublishedFile(url, self.checksum_url.format(**values, url=url), self.listing, members))
        return Order(tool, f"{tool} {version}", tuple(files))


def _kubernetes(*programs: str) -> Release:
    return Release(
        # "Download the kubectl checksum file", which all binaries beside it have too.
        page="https://kubernetes.io/docs/tasks/tools/install-kubectl-linux/",
        url="https://dl.k8s.io/release/{version}/bin/linux/{arch}/{program}",
        checksum_url="{url}.sha256",
        listing="alone",
        programs=programs,
    )


def _pulumi(*programs: str) -> Release:
    return Release(
        page=f"{_GITHUB}/pulumi/pulumi/blob/master/.goreleaser.yml",
        url=f"{_GITHUB}/pulumi/pulumi/releases/download/{{version}}/pulumi-{{version}}-linux-{{arch}}.tar.gz",
        checksum_url=f"{_GITHUB}/pulumi/pulumi/releases/download/{{version}}/pulumi-{{number}}-checksums.txt",
        listing="named",
        members={program: f"pulumi/{program}" for program in programs},
        architectures={"x86_64": "x64", "aarch64": "arm64"},
        # The language host that is built is older: of the last release that was a Go module of its own.
        of="pulumi",
    )


RELEASES: Mapping[str, Release] = {
    "kubernetes": _kubernetes("kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    "kubectl": _kubernetes("kubectl"),
    "node": _kubernetes("kubelet", "kube-proxy"),
    "pulumi": _pulumi("pulumi"),
    "language-host": _pulumi("pulumi-language-python", "pulumi-language-python-exec"),
    "etcd": Release(
        page=f"{_GITHUB}/etcd-io/etcd/blob/main/Documentation/contributor-guide/release.md",
        url=f"{_GITHUB}/etcd-io/etcd/releases/download/{{version}}/etcd-{{version}}-linux-{{arch}}.tar.gz",
        checksum_url=f"{_GITHUB}/etcd-io/etcd/releases/download/{{version}}/SHA256SUMS",
        listing="named",
        members={"etcd": "etcd-{version}-linux-{arch}/etcd"},
    ),
    "kubernetes-plugin": Release(
        # The checksums have GoReleaser's usual name: https://goreleaser.com/customization/checksum
        page=f"{_GITHUB}/pulumi/pulumi-kubernetes/blob/master/.goreleaser.yml",
        url=f"{_GITHUB}/pulumi/pulumi-kubernetes/releases/download/{{version}}/"
        "pulumi-resource-kubernetes-{version}-linux-{arch}.tar.gz",
        checksum_url=f"{_GITHUB}/pulumi/pulumi-kubernetes/releases/download/{{version}}/"
        "pulumi-kubernetes_{number}_checksums.txt",
        listing="named",
        members={"pulumi-resource-kubernetes": "pulumi-resource-kubernetes"},
    ),
    "coredns": Release(
        page=f"{_GITHUB}/coredns/coredns/blob/master/Makefile.release",
        url=f"{_GITHUB}/coredns/coredns/releases/download/{{version}}/coredns_{{number}}_linux_{{arch}}.tgz",
        checksum_url="{url}.sha256",
        listing="named",
        members={"coredns": "coredns"},
    ),
    "kube-router": Release(
        # The checksums have GoReleaser's usual name, as above.
        page=f"{_GITHUB}/cloudnativelabs/kube-router/blob/master/.goreleaser.yml",
        url=f"{_GITHUB}/cloudnativelabs/kube-router/releases/download/{{version}}/"
        "kube-router_{number}_linux_{arch}.tar.gz",
        checksum_url=f"{_GITHUB}/cloudnativelabs/kube-router/releases/download/{{version}}/"
        "kube-router_{number}_checksums.txt",
        listing="named",
        members={"kube-router": "kube-router"},
    ),
    "actionlint": Release(
        page=f"{_GITHUB}/rhysd/actionlint/blob/main/.goreleaser.yaml",
        url=f"{_GITHUB}/rhysd/actionlint/releases/download/{{version}}/actionlint_{{number}}_linux_{{arch}}.tar.gz",
        checksum_url=f"{_GITHUB}/rhysd/actionlint/releases/download/{{version}}/actionlint_{{number}}_checksums.txt",
        listing="named",
        members={"actionlint": "actionlint"},
    ),
}
"""The rows, by the name of the tool."""

ROCKSDB = Release(
    # Made for Java, and whole: C's functions are in it, too.
    page="https://github.com/facebook/rocksdb/wiki/RocksJava-Basics",
    url="https://repo1.maven.org/maven2/org/rocksdb/rocksdbjni/{number}/rocksdbjni-{number}-linux64.jar",
    checksum_url="{url}.sha256",
    listing="alone",
    members={"librocksdb.so": "librocksdbjni-linux{arch}.so"},
    architectures={"x86_64": "64", "aarch64": "-aarch64"},
)
"""No tool, but what one is made of: to compile it takes longer than all else of the Rust client."""

WHY_BUILT: Mapping[str, str] = {
    # Its release has the programs and nothing to check them with:
    # https://github.com/kubernetes-sigs/kwok/blob/main/hack/releases.sh
    "kwok": "its project publishes no checksums",
    "dragonfly": "no page tells of checksums of its releases",
    "dragonfly-client": "no page tells of checksums of its releases",
    "dragonfly-standin": "it is a program of ours",
    "kube-state-metrics": "its project publishes container images alone",
    # One file each, which go verifies by its sum.
    "managed-prometheus-kinds": "its Go module has them",
    "prometheus-operator-kinds": "its Go module has them",
}
"""Why there is no row for a tool."""
