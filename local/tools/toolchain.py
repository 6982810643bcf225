"""The command-line tools and servers that a machine without a cloud needs: found on it, fetched, or built once.

Which release of what is fetched or built stands in the `go.mod` files under `local/go`, and nowhere else. Both go into
a cache outside the repository, one folder for each tool and everything that its content depends on.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from local.machine.file_lock import file_lock
from local.machine.paths import PROJECT_FOLDER, cache_folder
from local.tools.downloads import Downloads
from local.tools.releases import RELEASES, WHY_BUILT, Order, Release

_MODULES = PROJECT_FOLDER / "local" / "go"

_CONCURRENT_BUILDS = 2
"""Modules built at a time: more only slow each other down on a small machine."""

_REMINDER_SECONDS = 60
"""How often a build without a terminal says that it goes on."""

_LOG_TAIL_LINES = 20


class ToolchainError(RuntimeError):
    """A tool is neither on the machine nor can it be built; the message says what to do."""


@dataclass(frozen=True)
class Tool:
    """Something that is built from one of our Go modules.

    Attributes:
        name: Its name in messages and in the cache.
        folder: Its module under `local/go`.
        module: The Go module whose release, in that `go.mod`, is the tool's version; empty for a program of our own,
            whose source lies beside it.
        binaries: File name in the cache, and the last element of the package path in `go.mod`'s `tool` lines.
        minutes: How long a first build takes on two cores, told to the user.
        tags: Build tags.
        link_values: Go variables set when linking; `{version}` stands for the tool's version, `v1.36.3`, `{number}` for
            the same without its `v`, `{major}` and `{minor}` for parts of it.
        scripts: Files of the Go module to lie, executable, beside the binaries.
        release: What the commit in `go.mod` was released as, where the module has no versions of its own.
        on_machine: Looks for good ones already installed; None when there are none.
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
    on_machine: Callable[[], dict[str, Path] | None] = field(default=lambda: None)

    @property
    def version(self) -> str:
        """Version from `go.mod`, `v1.36.3`, or that of the release.

        Raises:
            ToolchainError: `go.mod` does not require the module.
        """
        return self.release or _required(self.folder, self.module)

    @property
    def title(self) -> str:
        """Name and version, for people."""
        return f"{self.name} {self.version}" if self.module else self.name

    def sources(self) -> list[Path]:
        """Return the Go files that are our own."""
        return sorted((_MODULES / self.folder).rglob("*.go"))

    def packages(self) -> dict[str, str]:
        """Return the Go package of each binary, from `go.mod`'s `tool` lines.

        Raises:
            ToolchainError: There is no `tool` line for a binary.
        """
        text = _go_mod(self.folder).read_text()
        listed = re.findall(r"^(?:tool\s+|\t)([\w./-]+)$", text, flags=re.MULTILINE)
        by_name = {re.sub(r"/v\d+$", "", package).rpartition("/")[2]: package for package in listed}
        missing = sorted(set(self.binaries.values()) - by_name.keys())
        if missing:
            raise ToolchainError(f"{_go_mod(self.folder)} has no `tool` line for {', '.join(missing)}")
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


@functools.cache
def _official_pulumi() -> dict[str, Path] | None:
    """Find the official CLI, which brings its language hosts, unless it is older than the release built here.

    The two are taken together or not at all: the host does not tell its version.
    """
    cli, host = shutil.which("pulumi"), shutil.which("pulumi-language-python")
    if cli is None or host is None:
        return None
    text = _output([cli, "version"], {"PULUMI_SKIP_UPDATE_CHECK": "1"})
    found = _numbers(text or "")
    if found is None or found < cast("tuple[int, int, int]", _numbers(TOOLS["pulumi"].version)):
        return None
    return {"pulumi": Path(cli), "pulumi-language-python": Path(host)}


def _pulumi_on_machine() -> dict[str, Path] | None:
    found = _official_pulumi()
    return None if found is None else {"pulumi": found["pulumi"]}


def _language_host_on_machine() -> dict[str, Path] | None:
    found = _official_pulumi()
    return None if found is None else {"pulumi-language-python": found["pulumi-language-python"]}


def _kubectl_on_machine() -> dict[str, Path] | None:
    """Find a kubectl within one minor release of the API server (Kubernetes' version skew policy)."""
    path = shutil.which("kubectl")
    if path is None:
        return None
    text = _output([path, "version", "--client", "--output", "json"], {})
    try:
        document = cast("dict[str, Any]", json.loads(text or "{}"))
        found = _numbers(str(document["clientVersion"]["gitVersion"]))
    except (ValueError, KeyError, TypeError):
        return None
    server = _numbers(TOOLS["kubernetes"].version)
    if found is None or server is None or found[0] != server[0] or abs(found[1] - server[1]) > 1:
        return None
    return {"kubectl": Path(path)}


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
            on_machine=_pulumi_on_machine,
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
            on_machine=_language_host_on_machine,
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
            on_machine=_kubectl_on_machine,
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


def provide(
    names: Iterable[str] = tuple(TOOLS),
    console: Console | None = None,
    releases: Mapping[str, Release] = RELEASES,
) -> dict[str, Path]:
    """Make tools available: fetch those which neither the machine nor the cache has, and build what cannot be fetched.

    Args:
        names: Keys of `TOOLS`.
        console: Where progress goes; standard error when not given.
        releases: Where their projects publish them.

    Returns:
        The absolute path of each binary by its name, `kube-apiserver` for example.

    Raises:
        ToolchainError: Go is missing or too old, or a build failed.
    """
    console = console or Console(stderr=True, highlight=False)
    report = _Report(console)
    downloads = Downloads(cache_folder(), console)
    orders = release_orders(releases)
    wanted = set(names)
    binaries: dict[str, Path] = {}
    missing: list[Tool] = []
    for tool in TOOLS.values():
        if tool.name not in wanted:
            continue
        present = tool.on_machine()
        if present is not None:
            report.on_machine(tool, present)
            binaries.update(present)
            continue
        order = orders.get(tool.name)
        fetched = downloads.fetched(order) if order is not None else None
        build = _build_before(tool, report) if fetched is None else None
        if order is not None and fetched is not None:
            report.fetched(order)
            binaries.update(fetched)
        elif build is not None:
            report.cached(tool)
            binaries.update(build.binaries())
        else:
            missing.append(tool)
    report.summary()
    to_build: list[_Build] = []
    asked_for = [orders[tool.name] for tool in missing if tool.name in orders]
    failures = downloads.fetch(asked_for)
    downloads.tell_built(asked_for, failures)
    for tool in missing:
        order = orders.get(tool.name)
        fetched = downloads.fetched(order) if order is not None else None
        if fetched is not None:
            binaries.update(fetched)
            continue
        if tool.name not in failures:
            report.why_built(tool)
        to_build.append(_Build(tool, report))
    if to_build:
        with report:
            _run(to_build)
    for build in to_build:
        binaries.update(build.binaries())
    return binaries


def release_orders(releases: Mapping[str, Release] = RELEASES) -> dict[str, Order]:
    """Return what there is to fetch for this machine, by the name of the tool.

    Args:
        releases: Where the projects publish it.
    """
    if sys.platform != "linux":
        return {}
    found = {name: release.order(name, lambda tool: TOOLS[tool].version) for name, release in releases.items()}
    return {name: order for name, order in found.items() if order is not None}


def _build_before(tool: Tool, report: _Report) -> _Build | None:
    """Return a tool's build that the cache has. Where there is no Go, nothing was built for it."""
    try:
        build = _Build(tool, report)
    except ToolchainError:
        return None
    return build if build.done() else None


def _run(builds: list[_Build]) -> None:
    with ThreadPoolExecutor(_CONCURRENT_BUILDS) as executor:
        futures: list[Future[None]] = [executor.submit(build.run) for build in builds]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            # One failure or Ctrl-C ends the others too; what they compiled stays in Go's own cache.
            for future in futures:
                future.cancel()
            for build in builds:
                build.cancel()
            raise


class _Build:
    """One tool's build, into a folder named after all that its content depends on."""

    def __init__(self, tool: Tool, report: _Report) -> None:
        self._tool = tool
        self._report = report
        self._cancelled = threading.Event()
        self._go: subprocess.Popen[bytes] | None = None
        self._module = _MODULES / tool.folder
        self._environment = {
            **os.environ,
            # The machine may have no C compiler, and the user's own settings must not leak in.
            "CGO_ENABLED": "0",
            "GOFLAGS": "",
            "GOWORK": "off",
        }
        self._cache = cache_folder()
        digest = hashlib.sha256()
        for part in (
            (self._module / "go.mod").read_bytes(),
            (self._module / "go.sum").read_bytes(),
            json.dumps([tool.flags(), dict(tool.binaries), list(tool.scripts)]).encode(),
            self._go_version().encode(),
            *(source.read_bytes() for source in tool.sources()),
        ):
            digest.update(hashlib.sha256(part).digest())
        self._target = self._cache / f"{tool.name}-{digest.hexdigest()[:16]}"

    def done(self) -> bool:
        """Whether the cache has it: the folder appears only when complete."""
        return self._target.is_dir()

    def binaries(self) -> dict[str, Path]:
        return {name: self._target / name for name in self._tool.binaries}

    def cancel(self) -> None:
        self._cancelled.set()
        go = self._go
        if go is not None and go.poll() is None:
            # To go and its compilers alike.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(go.pid, signal.SIGINT)

    def run(self) -> None:
        """Build, unless another process does so first.

        Raises:
            ToolchainError: The build failed.
        """
        tool = self._tool
        locks = self._cache / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with file_lock(locks / tool.name, on_wait=lambda: self._report.waiting(tool)):
            if self.done() or self._cancelled.is_set():
                return
            # We hold the lock: what lies here was left by a build that was interrupted.
            for leftover in self._cache.glob(f".{tool.name}-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{tool.name}-", dir=self._cache))
            try:
                with self._report.building(tool):
                    self._compile(temporary)
                    self._copy_scripts(temporary)
                temporary.chmod(0o755)
                temporary.rename(self._target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def _compile(self, folder: Path) -> None:
        packages = self._tool.packages()
        logs = self._cache / "logs"
        logs.mkdir(exist_ok=True)
        log = logs / f"{self._tool.name}.log"
        command = [self._go_program(), "build", *self._tool.flags(), "-o", f"{folder}/", *packages.values()]
        with log.open("wb") as output:
            self._go = subprocess.Popen(
                command,
                cwd=self._module,
                # go's temporary files go with ours, however it ends.
                env={**self._environment, "GOTMPDIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            code = self._go.wait()
        if self._cancelled.is_set():
            raise ToolchainError(f"the build of {self._tool.name} was stopped")
        if code != 0:
            tail = "\n".join(f"  {line}" for line in log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])
            raise ToolchainError(
                f"building {self._tool.title} failed (go build ended with {code}). "
                f"The end of its log {log}:\n{tail}\n"
                f"After mending the cause run the same command again; what was compiled is kept."
            )
        for binary, source in self._tool.binaries.items():
            if binary != source:
                (folder / source).rename(folder / binary)

    def _copy_scripts(self, folder: Path) -> None:
        if not self._tool.scripts:
            return
        source = self._go_output(["list", "-m", "-f", "{{.Dir}}", self._tool.module])
        for script in self._tool.scripts:
            copy = folder / Path(script).name
            shutil.copyfile(Path(source) / script, copy)
            copy.chmod(0o755)

    def _go_program(self) -> str:
        program = shutil.which("go")
        if program is None:
            raise ToolchainError(
                f"{self._tool.name} must be built, but there is no `go` on PATH. Install Go {self._least_go()} or "
                f"newer (https://go.dev/dl/ or the system's package), then run the same command again."
            )
        return program

    def _go_version(self) -> str:
        version = self._go_output(["env", "GOVERSION"])
        found, least = _numbers(version), _numbers(self._least_go())
        if found is not None and least is not None and found < least:
            raise ToolchainError(
                f"{self._tool.name} must be built with Go {self._least_go()} or newer, but `go` on PATH is {version}. "
                f"Install a newer one (https://go.dev/dl/), then run the same command again."
            )
        return version

    def _least_go(self) -> str:
        found = re.search(r"^go (\S+)$", (self._module / "go.mod").read_text(), flags=re.MULTILINE)
        return found[1] if found else ""

    def _go_output(self, arguments: list[str]) -> str:
        command = [self._go_program(), *arguments]
        result = subprocess.run(
            command, cwd=self._module, env=self._environment, capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            raise ToolchainError(
                f"`go {' '.join(arguments)}` failed in {self._module}: {result.stderr.strip()}\n"
                f"If Go is too old, install {self._least_go()} or newer (https://go.dev/dl/)."
            )
        return result.stdout.strip()


class _Report:
    """Tells what is found, cached and built, and why: live on a terminal, in plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._cached: list[str] = []
        self._fetched: list[str] = []
        self._live = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
        )

    def __enter__(self) -> None:
        if self._console.is_terminal:
            self._live.start()

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def on_machine(self, tool: Tool, binaries: Mapping[str, Path]) -> None:
        self._line(f"{tool.name}: using the machine's {', '.join(str(path) for path in binaries.values())}")

    def cached(self, tool: Tool) -> None:
        self._cached.append(tool.title)

    def fetched(self, order: Order) -> None:
        self._fetched.append(order.title)

    def summary(self) -> None:
        if self._fetched:
            self._line(f"tools fetched before: {', '.join(self._fetched)}")
        if self._cached:
            self._line(f"tools built before: {', '.join(self._cached)}")

    def why_built(self, tool: Tool) -> None:
        why = WHY_BUILT.get(tool.name, "nothing is fetched for this kind of machine")
        self._line(f"{tool.title} is built: {why}")

    def waiting(self, tool: Tool) -> None:
        self._line(f"{tool.name}: waiting for another process that builds it")

    @contextlib.contextmanager
    def building(self, tool: Tool) -> Any:
        title = tool.title
        started = time.monotonic()
        stop_reminding = threading.Event()
        task: TaskID | None = None
        if self._console.is_terminal:
            task = self._live.add_task(f"building {title} (once; about {tool.minutes} min on two cores)", total=None)
        else:
            self._line(f"{title}: building, once; about {tool.minutes} min on two cores")
            threading.Thread(target=self._remind, args=(title, started, stop_reminding), daemon=True).start()
        try:
            yield
            self._line(f"{title}: built in {_duration(time.monotonic() - started)}")
        finally:
            stop_reminding.set()
            if task is not None:
                self._live.remove_task(task)

    def _remind(self, title: str, started: float, stop: threading.Event) -> None:
        while not stop.wait(_REMINDER_SECONDS):
            self._line(f"{title}: still building after {_duration(time.monotonic() - started)}")

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)


def _required(folder: str, module: str) -> str:
    found = re.search(rf"^(?:require\s+|\t){re.escape(module)} (v\S+)", _go_mod(folder).read_text(), re.MULTILINE)
    if found is None:
        raise ToolchainError(f"{_go_mod(folder)} does not require {module}: run `go mod tidy` there")
    return found[1]


def _go_mod(folder: str) -> Path:
    return _MODULES / folder / "go.mod"


def _numbers(version: str) -> tuple[int, int, int] | None:
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def _output(command: list[str], environment: Mapping[str, str]) -> str | None:
    try:
        result = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
