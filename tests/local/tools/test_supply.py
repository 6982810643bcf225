"""The command by which CI notices that a tool is no longer where it was published."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterable
from pathlib import Path

import pytest

from local.tools import supply, toolchain
from local.tools.download.releases import RELEASES, Release
from tests.local.tools.release_server import ReleaseServer, release_server

VERSION = toolchain.TOOLS["node"].version
PROGRAM = """\
#!/bin/sh
echo "Kubernetes {version}"
exit {code}
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[ReleaseServer]:
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DRAGONFLY_LOCAL_CACHE", str(tmp_path))
    with release_server() as server:
        for name in ("kubelet", "kube-proxy"):
            _publish(server, name)
        yield server


def _publish(site: ReleaseServer, name: str, version: str = VERSION, code: int = 0) -> None:
    content = PROGRAM.format(version=version, code=code).encode()
    site.has(f"/{name}", content)
    site.has(f"/{name}.sha256", hashlib.sha256(content).hexdigest().encode())


def _supply(
    site: ReleaseServer, capsys: pytest.CaptureFixture[str], *, with_library: bool = False
) -> tuple[int, list[str]]:
    node = Release(
        page="",
        url=f"{site.url}/{{program}}",
        checksum_url="{url}.sha256",
        listing="alone",
        programs=("kubelet", "kube-proxy"),
    )
    library = Release("", f"{site.url}/library.jar", "{url}.sha256", "alone").order("library", lambda _: "v7", "x86_64")
    code = supply.main(["--fetch-only"], {"node": node}, [library] if library is not None and with_library else [])
    told = re.sub(r"in \d+ s \([\d.]+ MB/s\)", "in N s", capsys.readouterr().err)
    return code, re.sub(r"/\S+/node-fetched-\w+", "CACHE", told.replace(site.url, "SITE")).splitlines()


ASKED = f"asking for node {VERSION}, 20 s at most for an answer ..."
FETCHED = f"node {VERSION}: fetched 0.0 MB in N s, checksum verified"


def test_each_program_is_fetched_and_started(site: ReleaseServer, capsys: pytest.CaptureFixture[str]) -> None:
    started = [f"CACHE/kubelet: Kubernetes {VERSION}", f"CACHE/kube-proxy: Kubernetes {VERSION}"]
    assert _supply(site, capsys) == (0, [ASKED, FETCHED, *started])
    # What is there is not fetched again.
    assert _supply(site, capsys) == (0, started)


def test_it_fails_with_what_cannot_be_fetched(site: ReleaseServer, capsys: pytest.CaptureFixture[str]) -> None:
    del site.answers["/kube-proxy"]
    refused = (1, [ASKED, f"node {VERSION} cannot be fetched: SITE/kube-proxy answers 404 Not Found"])
    assert _supply(site, capsys) == refused
    # It asks again although that was refused just now.
    assert _supply(site, capsys) == refused


@pytest.mark.parametrize(
    ("version", "code", "fault"),
    [
        ("v0.1.2", 0, f"`kube-proxy --version` says Kubernetes v0.1.2, which is not {VERSION}"),
        (VERSION, 3, f"`kube-proxy --version` ended with 3: Kubernetes {VERSION}"),
    ],
)
def test_it_fails_with_a_program_that_is_another(
    site: ReleaseServer, capsys: pytest.CaptureFixture[str], version: str, code: int, fault: str
) -> None:
    _publish(site, "kube-proxy", version, code)
    assert _supply(site, capsys) == (1, [ASKED, FETCHED, f"CACHE/kubelet: Kubernetes {VERSION}", fault])


def test_it_fails_with_a_library_that_cannot_be_fetched_and_starts_none(
    site: ReleaseServer, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = _supply(site, capsys, with_library=True)
    assert code == 1
    assert any(line.startswith("library v7 cannot be fetched: SITE/library.jar") for line in told), told
    content = b"no program"
    site.has("/library.jar", content)
    site.has("/library.jar.sha256", hashlib.sha256(content).hexdigest().encode())
    assert _supply(site, capsys, with_library=True)[0] == 0


def test_it_fails_where_nothing_is_published(
    site: ReleaseServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert _supply(site, capsys) == (1, ["node is not published for this machine"])


def test_only_programs_that_are_fetched_are_started_in_their_own_way() -> None:
    orders = (row.order(name, lambda _: "v1", "x86_64") for name, row in RELEASES.items())
    programs = {program for order in orders if order is not None for program in order.programs()}
    assert {*supply._START, *supply._NOT_STARTED} <= programs  # pyright: ignore[reportPrivateUsage]


def test_what_takes_long_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    provided: list[list[str]] = []

    def provide(names: Iterable[str], *_: object) -> None:
        provided.append(list(names))

    monkeypatch.setattr(toolchain, "provide", provide)
    assert supply.main(["--without", "dragonfly-client", "dragonfly"]) == 0
    assert provided == [[name for name in toolchain.TOOLS if name not in ("dragonfly-client", "dragonfly")]]
