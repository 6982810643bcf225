"""Tools are fetched whole and checked, or not at all; and what is told in each case."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import re
import socket
import ssl
import stat
import tarfile
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from local.machine.certificates import Authority
from local.tools import toolchain
from local.tools.building.go_tool import GoTool
from local.tools.download.downloads import Downloads
from local.tools.download.releases import RELEASES, WHY_BUILT, Listing, Order, PublishedFile, Release
from local.tools.download.report import DownloadProgress
from local.tools.download.transfer import Transfer
from tests.local.tools.release_server import ReleaseServer, release_server
from tests.waiting import wait_until, while_busy

PROGRAM = random.Random(1).randbytes(1_000_000)
ANSWER_SECONDS = 10.0
"""For an answer that comes: a machine that has much else to do is slow."""

SHORT_SECONDS = 0.5
"""For one that does not."""

REFUSED = "(asked again after a day, or after `rm CACHE/refused/*.json`)"
ASKING = "asking for etcd v1, 10 s at most for an answer ..."
ASKING_SHORTLY = ASKING.replace("10 s", "0.5 s")
FETCHED = "etcd v1: fetched 1.0 MB in N s (N MB/s), checksum verified"
ARCHIVE_PATH = "/etcd.tar.gz"
SUMS_PATH = "/SHA256SUMS"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

GO = """\
#!/bin/sh
if [ "$1" = env ]; then echo go1.99.0; exit; fi
# The folder of a module: what is taken out of it lies beside this.
if [ "$1" = mod ]; then echo "{\\"Dir\\": \\"${0%/*}\\"}"; exit; fi
while [ "$1" != -o ]; do shift; done
shift
echo built > "$1/server"
echo built > "$1/kwok"
"""


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxies and certificates of whoever runs the tests are not meant."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


@pytest.fixture
def site() -> Generator[ReleaseServer]:
    with release_server() as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def archive(members: Mapping[str, bytes]) -> bytes:
    """Return what a project publishes."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for path, content in members.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    # Without the time, which would make each process of the tests another one.
    return gzip.compress(output.getvalue(), mtime=0)


ARCHIVE = archive({"etcd-v1/README.md": b"read", "etcd-v1/etcd": PROGRAM})


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def order(site: ReleaseServer, tool: str = "etcd", listing: Listing = "named") -> Order:
    file = PublishedFile(site.url + ARCHIVE_PATH, site.url + SUMS_PATH, listing, {tool: f"etcd-v1/{tool}"})
    return Order(tool, f"{tool} v1", (file,))


def publish(site: ReleaseServer, content: bytes = ARCHIVE, checksum: str = "") -> None:
    site.has(ARCHIVE_PATH, content)
    site.has(SUMS_PATH, f"{'0' * 64}  other.tar.gz\n{checksum or digest(ARCHIVE)}  etcd.tar.gz\n".encode())


class Asked:
    """One run of a question, and what was read meanwhile."""

    def __init__(
        self, site: ReleaseServer, cache: Path, *orders: Order, wait: float = ANSWER_SECONDS, **how: bool
    ) -> None:
        self._said = io.StringIO()
        self._names = {site.url: "SITE", str(cache): "CACHE", site.url.partition("//")[2]: "SITE"}
        self.orders = orders or (order(site),)
        self.downloads = Downloads(cache, Console(file=self._said, width=80), wait)
        started = time.monotonic()
        self.failures = self.downloads.fetch(self.orders, **how)
        self.seconds = time.monotonic() - started
        self.downloads.tell_built(self.orders, self.failures)

    @property
    def told(self) -> list[str]:
        text = self._said.getvalue()
        for what, name in self._names.items():
            text = text.replace(what, name)
        return re.sub(r"in \d+ s \([\d.]+ MB/s\)", "in N s (N MB/s)", text).splitlines()

    @property
    def programs(self) -> dict[str, Path]:
        found = [self.downloads.fetched(order) for order in self.orders]
        return {name: path for one in found if one is not None for name, path in one.items()}


def left(cache: Path) -> list[str]:
    """Return what lies in the cache besides its locks and refusals."""
    return sorted(path.name for path in cache.iterdir() if path.name not in ("locks", "refused"))


def transferring() -> list[threading.Thread]:
    """Return what is on its way."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("fetching")]


def built_instead(why: str, again: str = REFUSED, asking: str = ASKING) -> list[str]:
    return [asking, f"etcd v1 is built instead of fetched: {why} {again}"]


def test_a_good_one_is_kept_and_not_asked_for_again(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    asked = Asked(site, cache)
    assert asked.told == [ASKING, FETCHED]
    assert asked.failures == {}
    program = asked.programs["etcd"]
    assert program.read_bytes() == PROGRAM
    assert program.stat().st_mode & stat.S_IXUSR
    assert re.fullmatch(r"etcd-fetched-[0-9a-f]{16}", program.parent.name)
    assert left(cache) == [program.parent.name]
    assert [path.name for path in program.parent.iterdir()] == ["etcd"]
    assert sorted(site.asked) == [SUMS_PATH, ARCHIVE_PATH]
    assert Asked(site, cache).told == []
    assert len(site.asked) == 2


def test_programs_that_are_files_of_their_own_are_kept_together(site: ReleaseServer, cache: Path) -> None:
    files: list[PublishedFile] = []
    for name in ("kubelet", "kube-proxy"):
        site.has(f"/{name}", name.encode())
        site.has(f"/{name}.sha256", digest(name.encode()).encode())
        files.append(PublishedFile(f"{site.url}/{name}", f"{site.url}/{name}.sha256", "alone"))
    programs = Asked(site, cache, Order("node", "node v1", tuple(files))).programs
    assert {name: path.read_text() for name, path in programs.items()} == {name: name for name in programs}
    assert sorted(programs) == ["kube-proxy", "kubelet"]
    assert all(path.stat().st_mode & stat.S_IXUSR for path in programs.values())
    del site.answers["/kubelet"]
    assert Asked(site, cache.parent / "other", Order("node", "node v1", tuple(files))).programs == {}


def test_a_wrong_checksum_is_never_kept(site: ReleaseServer, cache: Path) -> None:
    publish(site, content=ARCHIVE + b"more")
    asked = Asked(site, cache)
    assert asked.told == built_instead(
        "SITE/etcd.tar.gz is not what its project published: "
        f"its SHA-256 is {digest(ARCHIVE + b'more')}, and SITE/SHA256SUMS says {digest(ARCHIVE)}"
    )
    assert asked.programs == {}
    assert left(cache) == []


@pytest.mark.parametrize("listed", [f"{digest(ARCHIVE)}  other-etcd.tar.gz\n", "<html>Sign in</html>", ""])
def test_a_list_without_the_file_is_no_checksum(site: ReleaseServer, cache: Path, listed: str) -> None:
    publish(site)
    site.has(SUMS_PATH, listed.encode())
    asked = Asked(site, cache)
    assert asked.told == built_instead("SITE/SHA256SUMS has no checksum of etcd.tar.gz")
    assert left(cache) == []


@pytest.mark.parametrize(("listed", "is_good"), [("{}", True), ("{}\n", True), ("{} etcd.tar.gz", False), ("", False)])
def test_a_checksum_that_stands_alone(site: ReleaseServer, cache: Path, listed: str, is_good: bool) -> None:
    publish(site)
    site.has(SUMS_PATH, listed.format(digest(ARCHIVE)).encode())
    asked = Asked(site, cache, order(site, listing="alone"))
    assert bool(asked.programs) == is_good


@pytest.mark.parametrize("mark", ["  ", " *", "  ./"])
def test_a_checksum_is_found_however_its_list_was_made(site: ReleaseServer, cache: Path, mark: str) -> None:
    publish(site)
    site.has(SUMS_PATH, f"{digest(ARCHIVE).upper()}{mark}etcd.tar.gz\r\n".encode())
    assert Asked(site, cache).told == [ASKING, FETCHED]


def test_one_that_is_cut_off_is_begun_anew_the_next_time(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    site.cuts_off(ARCHIVE_PATH, ARCHIVE)
    asked = Asked(site, cache)
    assert asked.told == built_instead("SITE/etcd.tar.gz broke off, 0.5 MB of 1.0 MB", "(asked again the next time)")
    assert left(cache) == []
    publish(site)
    assert Asked(site, cache).told == [ASKING, FETCHED]


def test_a_site_that_hangs_up_is_asked_once_more(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    site.hangs_up(ARCHIVE_PATH, ARCHIVE, times=1)
    assert Asked(site, cache).told == [ASKING, FETCHED]


def test_a_site_that_goes_on_hanging_up_is_given_up(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    site.hangs_up(ARCHIVE_PATH, ARCHIVE, times=2)
    told = " ".join(Asked(site, cache).told)
    assert "127.0.0.1 cannot be reached: " in told
    assert site.asked.count(ARCHIVE_PATH) == 2


def test_one_that_stops_coming_is_given_up(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    site.stalls(ARCHIVE_PATH, ARCHIVE)
    asked = Asked(site, cache, wait=SHORT_SECONDS)
    why = "SITE/etcd.tar.gz stopped coming: nothing for 0.5 s, 0.5 MB of 1.0 MB"
    assert asked.told == built_instead(why, "(asked again the next time)", ASKING_SHORTLY)
    assert asked.seconds < while_busy(4 * SHORT_SECONDS)
    assert left(cache) == []


def test_size_and_speed_are_shown_on_a_terminal(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    site.drips(ARCHIVE_PATH, ARCHIVE, pieces=10, seconds=0.1)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=160, color_system=None)
    assert Downloads(cache, console, ANSWER_SECONDS).fetch([order(site)]) == {}
    assert re.search(r"fetching etcd v1 .* 0\.\d/1\.0 MB \d\S* [kM]B/s", screen.getvalue())


def test_what_was_never_published_is_refused_and_that_is_remembered(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    del site.answers[ARCHIVE_PATH]
    assert Asked(site, cache).told == built_instead("SITE/etcd.tar.gz answers 404 Not Found")
    again = Asked(site, cache)
    assert again.told == [f"etcd v1 is built instead of fetched: refused within the last day {REFUSED}"]
    assert list(again.failures) == ["etcd"]
    assert site.asked.count(ARCHIVE_PATH) == 1
    publish(site)
    assert Asked(site, cache, ask_again=True).told == [ASKING, FETCHED]


def test_another_release_is_another_question(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    old = PublishedFile(f"{site.url}/old.tar.gz", site.url + SUMS_PATH, "named", {"etcd": "etcd-v1/etcd"})
    assert Asked(site, cache, Order("etcd", "etcd v0", (old,))).programs == {}
    assert Asked(site, cache).told == [ASKING, FETCHED]


def test_a_published_file_without_its_checksum_is_not_kept(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    del site.answers[SUMS_PATH]
    assert Asked(site, cache).told == built_instead("SITE/SHA256SUMS answers 404 Not Found")
    assert left(cache) == []


def test_redirects_are_followed(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    site.has("/elsewhere", ARCHIVE)
    site.leads_to(ARCHIVE_PATH, "/between")
    site.leads_to("/between", f"{site.url}/elsewhere")
    assert Asked(site, cache).told == [ASKING, FETCHED]


def test_no_redirect_leads_to_another_site_without_tls(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    with release_server() as other:
        publish(other)
        site.leads_to(ARCHIVE_PATH, f"{other.url}/etcd.tar.gz")
        asked = Asked(site, cache)
        target = f"{other.url}/etcd.tar.gz"
        assert asked.told == built_instead(f"SITE/etcd.tar.gz leads to {target}, which is not https")
        assert other.asked == []


def test_redirects_in_a_circle_end(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    site.leads_to(ARCHIVE_PATH, ARCHIVE_PATH)
    why = "SITE/etcd.tar.gz leads from one address to the next, more than 5 times"
    assert Asked(site, cache).told == built_instead(why)


def test_a_silent_network_costs_one_wait_for_all_together(site: ReleaseServer, cache: Path) -> None:
    site.says_nothing(ARCHIVE_PATH)
    site.says_nothing(SUMS_PATH)
    for path in ("/kwok.tgz", "/kwok.tgz.sha256"):
        site.says_nothing(path)
    other = PublishedFile(f"{site.url}/kwok.tgz", f"{site.url}/kwok.tgz.sha256", "named", {"kwok": "kwok"})
    both = (order(site), Order("kwok", "kwok v2", (other,)))
    asked = Asked(site, cache, *both, wait=SHORT_SECONDS)
    assert asked.told == [
        "asking for etcd v1, kwok v2, 0.5 s at most for an answer ...",
        f"etcd v1, kwok v2 are built instead of fetched: 127.0.0.1 did not answer within 0.5 s {REFUSED}",
    ]
    # Four files on one site.
    assert SHORT_SECONDS <= asked.seconds < while_busy(3 * SHORT_SECONDS)
    again = Asked(site, cache, *both, wait=SHORT_SECONDS)
    assert again.told == [
        f"etcd v1, kwok v2 are built instead of fetched: refused within the last day {REFUSED}",
    ]
    assert again.seconds < SHORT_SECONDS


def test_a_silent_site_is_not_waited_for_again_for_another_tool(site: ReleaseServer, cache: Path) -> None:
    site.says_nothing(ARCHIVE_PATH)
    site.says_nothing(SUMS_PATH)
    Asked(site, cache, wait=SHORT_SECONDS)
    there = PublishedFile(f"{site.url}/kwok.tgz", f"{site.url}/kwok.tgz.sha256", "named", {"kwok": "kwok"})
    (told,) = Asked(site, cache, Order("kwok", "kwok v2", (there,))).told
    assert told == f"kwok v2 is built instead of fetched: refused within the last day {REFUSED}"
    elsewhere = PublishedFile(
        "http://localhost:1/kwok.tgz", "http://localhost:1/kwok.tgz.sha256", "named", {"kwok": "kwok"}
    )
    (_, told) = Asked(site, cache, Order("kwok", "kwok v2", (elsewhere,))).told
    assert told == f"kwok v2 is built instead of fetched: localhost cannot be reached: Connection refused {REFUSED}"


def test_a_second_process_does_not_wait_for_a_silent_site_again(site: ReleaseServer, cache: Path) -> None:
    site.says_nothing(ARCHIVE_PATH)
    site.says_nothing(SUMS_PATH)
    first = threading.Thread(target=lambda: Asked(site, cache, wait=SHORT_SECONDS))
    first.start()
    wait_until(lambda: ARCHIVE_PATH in site.asked, "the first asks", every=0.01)
    assert Asked(site, cache, wait=SHORT_SECONDS).told == [
        "waiting for another process that fetches tools",
        f"etcd v1 is built instead of fetched: refused within the last day {REFUSED}",
    ]
    first.join()
    assert site.asked.count(ARCHIVE_PATH) == 1


def test_an_answer_after_the_wait_is_too_late(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    site.answers_late(ARCHIVE_PATH, ARCHIVE, 3 * SHORT_SECONDS)
    asked = Asked(site, cache, wait=SHORT_SECONDS)
    assert asked.told == built_instead("127.0.0.1 did not answer within 0.5 s", asking=ASKING_SHORTLY)
    assert asked.seconds < while_busy(3 * SHORT_SECONDS)
    time.sleep(max(0.0, 3 * SHORT_SECONDS - asked.seconds) + 0.1)
    assert left(cache) == []


def test_addresses_that_lead_on_are_one_wait_together(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    for number in range(4):
        site.leads_to(f"/{number}", f"/{number + 1}", SHORT_SECONDS * 0.6)
    site.leads_to(ARCHIVE_PATH, "/0")
    site.has("/4", ARCHIVE)
    asked = Asked(site, cache, wait=SHORT_SECONDS)
    assert asked.told == built_instead("127.0.0.1 did not answer within 0.5 s", asking=ASKING_SHORTLY)
    assert asked.seconds < while_busy(2 * SHORT_SECONDS)


def test_what_keeps_coming_may_take_longer_than_the_wait(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    site.drips(ARCHIVE_PATH, ARCHIVE, pieces=10, seconds=SHORT_SECONDS / 4)
    asked = Asked(site, cache, wait=SHORT_SECONDS)
    assert asked.told == [ASKING_SHORTLY, FETCHED]
    assert asked.seconds > 2 * SHORT_SECONDS


def test_an_answer_within_the_wait_is_in_time(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    site.answers_late(ARCHIVE_PATH, ARCHIVE, SHORT_SECONDS / 2)
    assert Asked(site, cache).told == [ASKING, FETCHED]


def test_a_site_that_is_not_there_is_not_waited_for(site: ReleaseServer, cache: Path) -> None:
    with release_server() as gone:
        pass
    asked = Asked(gone, cache)
    assert asked.told == built_instead("127.0.0.1 cannot be reached: Connection refused")
    assert asked.seconds < ANSWER_SECONDS


def test_two_tools_of_one_archive_are_fetched_together(site: ReleaseServer, cache: Path) -> None:
    both = archive({"etcd-v1/etcd": PROGRAM, "etcd-v1/host": b"host"})
    publish(site, both, digest(both))
    asked = Asked(site, cache, order(site), order(site, "host"))
    assert asked.programs["etcd"].read_bytes() == PROGRAM
    assert asked.programs["host"].read_bytes() == b"host"
    assert sorted(site.asked) == [SUMS_PATH, ARCHIVE_PATH]


def test_one_of_two_can_be_had(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    missing = PublishedFile(f"{site.url}/kwok.tgz", f"{site.url}/kwok.tgz.sha256", "named", {"kwok": "kwok"})
    asked = Asked(site, cache, order(site), Order("kwok", "kwok v2", (missing,)))
    assert list(asked.programs) == ["etcd"]
    assert list(asked.failures) == ["kwok"]


def test_an_archive_without_the_program_is_not_kept(site: ReleaseServer, cache: Path) -> None:
    other = archive({"README.md": b"read"})
    publish(site, other, digest(other))
    assert Asked(site, cache).told == built_instead("SITE/etcd.tar.gz lacks one of etcd-v1/etcd")
    assert left(cache) == []


def test_what_is_no_archive_is_not_kept(site: ReleaseServer, cache: Path) -> None:
    publish(site, b"x", digest(b"x"))
    assert Asked(site, cache).told == built_instead("SITE/etcd.tar.gz cannot be unpacked")
    assert left(cache) == []


def test_an_interruption_leaves_nothing_and_the_next_run_begins_anew(
    site: ReleaseServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(site)
    site.stalls(ARCHIVE_PATH, ARCHIVE)

    def interrupt(progress: DownloadProgress, title: str, parts: Sequence[Transfer]) -> None:
        if any(part.received for part in parts):
            # The end of a process does not wait for any.
            assert all(thread.daemon for thread in transferring())
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DownloadProgress, "show", interrupt)
        with pytest.raises(KeyboardInterrupt):
            Asked(site, cache)
    # Nor does anything go on behind what comes next.
    wait_until(lambda: not transferring(), "no transfer goes on", seconds=ANSWER_SECONDS / 2, every=0.02)
    assert left(cache) == []
    # What a process that was killed leaves.
    (cache / ".fetching-killed").mkdir()
    (cache / ".fetching-killed" / "file-0").write_bytes(ARCHIVE[:10])
    publish(site)
    asked = Asked(site, cache)
    assert asked.told == [ASKING, FETCHED]
    assert left(cache) == [asked.programs["etcd"].parent.name]


def test_a_second_process_waits_and_takes_what_the_first_fetched(site: ReleaseServer, cache: Path) -> None:
    publish(site)
    site.answers_late(ARCHIVE_PATH, ARCHIVE, SHORT_SECONDS)
    first = threading.Thread(target=Asked, args=(site, cache))
    first.start()
    wait_until(lambda: ARCHIVE_PATH in site.asked, "the first asks", every=0.01)
    assert Asked(site, cache).told == ["waiting for another process that fetches tools"]
    first.join()
    assert site.asked.count(ARCHIVE_PATH) == 1


def test_the_proxy_of_the_environment_is_asked(
    site: ReleaseServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", site.url)
    monkeypatch.setenv("HTTPS_PROXY", site.url)
    plain = PublishedFile(
        "http://site.test/etcd.tar.gz", "http://site.test/SHA256SUMS", "named", {"etcd": "etcd-v1/etcd"}
    )
    site.has("http://site.test/etcd.tar.gz", ARCHIVE)
    site.has("http://site.test/SHA256SUMS", f"{digest(ARCHIVE)}  etcd.tar.gz".encode())
    assert Asked(site, cache, Order("etcd", "etcd v1", (plain,))).told == [ASKING, FETCHED]
    secure = PublishedFile("https://site.test/x.tgz", "https://site.test/x.tgz.sha256", "named", {"x": "x"})
    asked = Asked(site, cache, Order("x", "x v1", (secure,)))
    assert asked.told == [
        "asking for x v1, 10 s at most for an answer ...",
        "x v1 is built instead of fetched: site.test cannot be reached through the proxy: "
        f"Tunnel connection failed: 403 Forbidden {REFUSED}",
    ]
    assert set(site.asked[2:]) == {"site.test:443"}
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    publish(site)
    assert Asked(site, cache).told == [ASKING, FETCHED]


def test_certificates_are_checked_with_those_of_the_environment(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "authority", "ca")
    own = authority.server("site", ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)

    def wrap(plain: socket.socket) -> ssl.SSLSocket:
        # Each connection greets in a thread of its own.
        return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)

    with release_server(wrap) as site:
        publish(site)
        (_, told) = Asked(site, cache).told
        assert told.startswith(
            "etcd v1 is built instead of fetched: 127.0.0.1 has a certificate that is not trusted here: "
        )
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
        assert Asked(site, cache, ask_again=True).told == [ASKING, FETCHED]
        # As those of GitHub do.
        with release_server(wrap) as other:
            other.has("/elsewhere", ARCHIVE)
            site.leads_to(ARCHIVE_PATH, f"{other.url}/elsewhere")
            assert Asked(site, tmp_path / "third").told == [ASKING, FETCHED]
        # Whoever could answer in the place of a site without TLS must not be led to.
        with release_server() as plain:
            publish(plain)
            site.leads_to(ARCHIVE_PATH, plain.url + ARCHIVE_PATH)
            (_, told) = Asked(site, tmp_path / "other").told
            assert told.startswith(f"etcd v1 is built instead of fetched: SITE/etcd.tar.gz leads to {plain.url}/")


@pytest.fixture
def played_go(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Go that builds anything at once; nothing else is on the machine."""
    programs = tmp_path / "bin"
    programs.mkdir()
    go = programs / "go"
    go.write_text(GO)
    go.chmod(0o755)
    kwok = toolchain.TOOLS["kwok"]
    assert isinstance(kwok, GoTool)
    for file in kwok.files:
        (programs / file).parent.mkdir(parents=True, exist_ok=True)
        (programs / file).touch()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("DRAGONFLY_LOCAL_CACHE", str(cache))
    return go


def row(site: ReleaseServer) -> dict[str, Release]:
    return {
        "etcd": Release(
            page="",
            url=site.url + ARCHIVE_PATH,
            checksum_url=site.url + SUMS_PATH,
            listing="named",
            members={"etcd": "etcd-v1/etcd"},
        )
    }


def provide(site: ReleaseServer, *names: str) -> tuple[dict[str, Path], list[str]]:
    said = io.StringIO()
    binaries = toolchain.provide(names, Console(file=said), row(site))
    text = said.getvalue().replace(site.url, "SITE")
    return binaries, re.sub(r"\bin \d+ s( \([\d.]+ MB/s\))?", "in N s", text).splitlines()


def test_what_is_fetched_needs_no_go(site: ReleaseServer, played_go: Path) -> None:
    publish(site)
    played_go.unlink()
    binaries, told = provide(site, "etcd")
    version = toolchain.TOOLS["etcd"].version
    assert binaries["etcd"].read_bytes() == PROGRAM
    assert told == [
        f"asking for etcd {version}, 20 s at most for an answer ...",
        f"etcd {version}: fetched 1.0 MB in N s, checksum verified",
    ]
    assert provide(site, "etcd") == (binaries, [f"tools fetched before: etcd {version}"])


def test_what_cannot_be_fetched_is_built_and_not_asked_for_again(
    site: ReleaseServer, played_go: Path, cache: Path
) -> None:
    publish(site)
    del site.answers[SUMS_PATH]
    binaries, told = provide(site, "etcd", "kwok")
    etcd, kwok = toolchain.TOOLS["etcd"], toolchain.TOOLS["kwok"]
    assert binaries["etcd"].read_text() == "built\n"
    assert "fetched" not in binaries["etcd"].parent.name
    again = f"(asked again after a day, or after `rm {cache}/refused/*.json`)"
    assert told[:3] == [
        f"asking for {etcd.title}, 20 s at most for an answer ...",
        f"{etcd.title} is built instead of fetched: SITE/SHA256SUMS answers 404 Not Found {again}",
        f"{kwok.title} is built: its project publishes no checksums",
    ]
    assert sorted(told[3:]) == [
        f"{etcd.title}: building, once; about 1 min on two cores",
        f"{etcd.title}: built in N s",
        f"{kwok.title}: building, once; about 2 min on two cores",
        f"{kwok.title}: built in N s",
    ]
    publish(site)
    assert provide(site, "etcd", "kwok") == (binaries, [f"tools built before: {kwok.title}, {etcd.title}"])


def test_without_network_and_go_it_is_told_what_to_install(site: ReleaseServer, played_go: Path) -> None:
    played_go.unlink()
    with pytest.raises(toolchain.ToolchainError, match=r"etcd must be built, but there is no `go` on PATH"):
        provide(site, "etcd")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("name", RELEASES)
def test_each_row_yields_the_programs_of_its_tool(name: str, machine: str) -> None:
    wanted = RELEASES[name].order(name, lambda tool: toolchain.TOOLS[tool].version, machine)
    assert wanted is not None
    tool = toolchain.TOOLS[name]
    assert isinstance(tool, GoTool)
    assert sorted(wanted.programs()) == sorted([*tool.binaries, *(Path(file).name for file in tool.files)])
    for url in wanted.urls():
        assert url.startswith("https://")
        assert "{" not in url
    for file in wanted.files:
        assert all("{" not in path for path in file.members.values())
        assert wanted.title.split()[1].lstrip("v") in file.url
    assert RELEASES[name].page.startswith("https://")


def test_there_is_a_row_or_a_reason_for_each_tool() -> None:
    assert set(RELEASES) | set(WHY_BUILT) == set(toolchain.TOOLS)
    assert not set(RELEASES) & set(WHY_BUILT)


def test_the_cli_and_its_language_host_come_from_one_archive() -> None:
    orders = [RELEASES[name].order(name, lambda tool: f"v1-{tool}") for name in ("pulumi", "language-host")]
    cli, host = (order for order in orders if order is not None)
    assert cli.urls() == host.urls()
    assert [dict(order.files[0].members) for order in (cli, host)] == [
        {"pulumi": "pulumi/pulumi"},
        {
            "pulumi-language-python": "pulumi/pulumi-language-python",
            # Beside the host, which looks for it there.
            "pulumi-language-python-exec": "pulumi/pulumi-language-python-exec",
        },
    ]


def test_nothing_is_published_for_another_processor() -> None:
    assert RELEASES["etcd"].order("etcd", lambda tool: "v1", "riscv64") is None
