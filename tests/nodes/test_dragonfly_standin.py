"""The stand-in for the Dragonfly programs, run on loopback: what it refuses, what it waits for, what it serves."""

from __future__ import annotations

import http.client
import json
import queue
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
import yaml
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import ListValue, Struct

from dragonfly.config_files.daemon import daemon_config, peer_discovery, seed_peer_discovery
from dragonfly.config_files.manager import ManagerSecrets
from dragonfly.lines.known_lines import line_of
from dragonfly.parts.names import Names
from dragonfly.parts.ports import PeerPorts
from local.tools import toolchain
from local.tools.catalog import IMAGE_TOOLS
from tests.nodes.mysql_image import ROOT_PASSWORD, Database, stop
from tests.waiting import wait_until, while_busy

LOOPBACK = "127.0.0.1"
LIMIT_SECONDS = 20
NAMES = Names("app")
LINE = line_of("2.1.34")
PROGRAMS = ("server", "scheduler", "dfget")
PEER, SEED_PEER = "peer", "seed peer"
# A port of which nothing listens on loopback, and no server is given one.
NOBODY = 1

Document = dict[str, Any]


@pytest.fixture(scope="session")
def standin() -> Path:
    if shutil.which("go") is None:
        pytest.skip("the stand-in is built by Go, which is not on PATH")
    return toolchain.provide(IMAGE_TOOLS)["dragonfly-standin"]


@dataclass
class Process:
    """A stand-in that runs, with what it has said so far."""

    popen: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        self.lines.extend(self.popen.stdout)

    def ended(self) -> tuple[int, str]:
        code = self.popen.wait(LIMIT_SECONDS)
        self._reader.join(LIMIT_SECONDS)
        return code, "".join(self.lines)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self.popen.send_signal(number)
        return self.ended()

    def said(self) -> str:
        return "".join(list(self.lines))

    def says(self, text: str) -> bool:
        return text in self.said()


Start = Callable[[str, Document], Process]


@pytest.fixture
def start(standin: Path, tmp_path: Path) -> Iterator[Start]:
    started: list[Process] = []

    def run(program: str, config: Document) -> Process:
        folder = tmp_path / f"{program}-{len(started)}"
        folder.mkdir()
        (folder / program).symlink_to(standin)
        file = folder / "config.yaml"
        file.write_text(yaml.safe_dump(config))
        arguments = ["daemon"] if program == "dfget" else []
        command = [str(folder / program), *arguments, "--config", str(file)]
        popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(Process(popen))
        return started[-1]

    yield run
    for process in started:
        process.popen.kill()
        process.popen.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _moved(config: Document, folder: Path) -> None:
    """Sends what the program writes into a folder of the test's own."""
    for key in ("workHome", "cacheDir", "logDir", "dataDir"):
        config[key] = str(folder / key)


def _manager(tmp_path: Path) -> Document:
    rendered = LINE.manager_config(NAMES, ManagerSecrets("secret", "secret", "key"))
    config = cast("Document", deepcopy(rendered))
    _moved(config["server"], tmp_path)
    config["database"]["mysql"].update(host=LOOPBACK, port=NOBODY)
    return config


def _scheduler(tmp_path: Path) -> Document:
    config = cast("Document", deepcopy(LINE.scheduler_config(NAMES, redis_password="secret")))
    _moved(config["server"], tmp_path)
    config["manager"]["addr"] = f"{LOOPBACK}:{NOBODY}"
    config["server"]["port"], metrics = _free_ports(2)
    config["metrics"]["addr"] = f"{LOOPBACK}:{metrics}"
    return config


def _daemon(tmp_path: Path, role: str, address: str = f"{LOOPBACK}:{NOBODY}") -> Document:
    discovery = peer_discovery(address) if role == PEER else seed_peer_discovery(address, "200ms")
    config = cast("Document", deepcopy(daemon_config(PeerPorts(*_free_ports(7)), discovery)))
    _moved(config, tmp_path)
    config["download"]["downloadGRPC"]["unixListen"]["socket"] = str(tmp_path / "dfdaemon.sock")
    return config


def _config(tmp_path: Path, role: str) -> tuple[str, Document]:
    if role == "server":
        return role, _manager(tmp_path)
    if role == "scheduler":
        return role, _scheduler(tmp_path)
    return "dfget", _daemon(tmp_path, role)


def _port(config: Document, *path: str) -> int:
    for key in path:
        config = config[key]
    return config["tcpListen"]["port"]["start"]


class Answers(grpc.GenericRpcHandler):
    """A gRPC server's methods, each a function from the bytes of a request, or of a stream of them, to the answer's."""

    def __init__(
        self, methods: dict[str, Callable[[bytes], bytes]], streams: dict[str, Callable[[Iterator[bytes]], bytes]]
    ) -> None:
        self._methods = methods
        self._streams = streams

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        name = handler_call_details.method

        def of_stream(requests: Iterator[bytes], _: grpc.ServicerContext) -> bytes:
            return self._streams[name](requests)

        def of_one(request: bytes, _: grpc.ServicerContext) -> bytes:
            return self._methods[name](request)

        if name in self._streams:
            return grpc.stream_unary_rpc_method_handler(of_stream)
        return grpc.unary_unary_rpc_method_handler(of_one) if name in self._methods else None


SERVING = b"\x08\x01"
HEALTH = "/grpc.health.v1.Health/Check"
UPDATE = "/standin.Registry/Update"
KEEP_ALIVE = "/standin.Registry/KeepAlive"
LIST_SCHEDULERS = "/standin.Registry/ListSchedulers"


@dataclass
class Far:
    """The other end of a stand-in's calls: a manager and a scheduler in one.

    Attributes:
        schedulers: what it gives who asks; None for a manager that fails.
        asked: when each address asked for schedulers.
        members: what registered.
        keep_alives: when each message of each stream came.
        messages: after how many a stream is broken.
    """

    schedulers: list[str] | None = field(default_factory=list[str])
    asked: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    members: list[Document] = field(default_factory=list[Document])
    keep_alives: list[list[float]] = field(default_factory=list[list[float]])
    messages: int | None = None
    port: int = 0

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def registered(self, address: str) -> list[Document]:
        return [member for member in self.members if member["ip"] == address]

    def update(self, request: bytes) -> bytes:
        self.members.append(dict(Struct.FromString(request)))
        return Empty().SerializeToString()

    def keep_alive(self, requests: Iterator[bytes]) -> bytes:
        times: list[float] = []
        self.keep_alives.append(times)
        for _ in islice(requests, self.messages):
            times.append(time.monotonic())  # noqa: PERF401 - seen while the stream goes on
        return Empty().SerializeToString()

    def list_schedulers(self, request: bytes) -> bytes:
        address = cast("str", Struct.FromString(request)["ip"])
        self.asked.setdefault(address, []).append(time.monotonic())
        if self.schedulers is None:
            raise RuntimeError("the database is away")
        found = ListValue()
        found.extend(self.schedulers)
        return found.SerializeToString()


@pytest.fixture
def far() -> Iterator[Far]:
    played = Far()
    methods: dict[str, Callable[[bytes], bytes]] = {
        HEALTH: lambda _: SERVING,
        UPDATE: played.update,
        LIST_SCHEDULERS: played.list_schedulers,
    }
    # A stream has a thread to itself.
    server = grpc.server(ThreadPoolExecutor(8), handlers=[Answers(methods, {KEEP_ALIVE: played.keep_alive})])
    played.port = server.add_insecure_port(f"{LOOPBACK}:0")
    server.start()
    yield played
    server.stop(0).wait()


@pytest.fixture
def redis() -> Iterator[str]:
    """A server that knows as much of Redis as signing in with `secret` needs."""
    listener = socket.create_server((LOOPBACK, 0))

    def serve(connection: socket.socket) -> None:
        signed_in = False
        with connection, connection.makefile("rwb") as stream:
            while line := stream.readline():
                words: list[str] = []
                for _ in range(int(line[1:])):
                    size = int(stream.readline()[1:])
                    words.append(stream.read(size + 2)[:-2].decode())
                answer = "+OK"
                if words[0].lower() == "hello":
                    answer = "-ERR unknown command"
                elif words[0].lower() == "auth":
                    signed_in = words[-1] == "secret"
                    answer = "+OK" if signed_in else "-WRONGPASS invalid username-password pair"
                elif not signed_in:
                    answer = "-NOAUTH Authentication required."
                elif words[0].lower() == "ping":
                    answer = "+PONG"
                stream.write(f"{answer}\r\n".encode())
                stream.flush()

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"{LOOPBACK}:{listener.getsockname()[1]}"
    listener.close()


@pytest.fixture
def registry() -> Iterator[tuple[str, list[http.client.HTTPMessage]]]:
    """A web server that tells what it was asked for."""
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"registry: {self.path}".encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{LOOPBACK}:{server.server_address[1]}", seen
    server.shutdown()
    server.server_close()


def _get(
    port: int, path: str, headers: dict[str, str] | None = None, method: str = "GET", body: str | None = None
) -> tuple[int, str]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=LIMIT_SECONDS)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    found = response.status, response.read().decode()
    connection.close()
    return found


@pytest.mark.parametrize("program", PROGRAMS)
def test_first_line_of_the_log_says_that_it_is_a_stand_in(start: Start, program: str) -> None:
    code, text = start(program, {}).ended()
    assert code == 1
    assert re.search(r"This is a STAND-IN for the Dragonfly \w+, not Dragonfly", text.splitlines()[0])


@pytest.mark.parametrize(
    ("role", "path", "value", "reason"),
    [
        ("server", "database.mysql", None, "mysql requires parameter user"),
        ("server", "database.mysql.password", "", "mysql requires parameter password"),
        ("server", "database", None, "requires parameter"),
        ("server", "database", "mysql", "cannot unmarshal"),
        ("server", "database.redis.addrs", None, "redis requires parameter addrs"),
        ("server", "database.redis.addrs", "app-redis-svc:6379", "cannot unmarshal"),
        ("server", "auth.jwt.key", None, "jwt requires parameter key"),
        ("server", "auth.jwt.timeout", "two days", "cannot unmarshal !!str `two days` into time.Duration"),
        ("server", "server.grpc.port.start", "many", "cannot unmarshal !!str `many` into int"),
        ("server", "metrics.addr", "", "metrics requires parameter addr"),
        ("scheduler", "manager", None, "manager requires parameter addr"),
        ("scheduler", "manager.keepAlive.interval", "0s", "manager requires parameter keepAlive interval"),
        ("scheduler", "manager.schedulerClusterID", 0, "manager requires parameter schedulerClusterID"),
        ("scheduler", "database.redis", None, "redis requires parameter addrs"),
        ("scheduler", "dynConfig.refreshInterval", "soon", "cannot unmarshal !!str `soon` into time.Duration"),
        ("scheduler", "server.port", "many", "cannot unmarshal !!str `many` into int"),
        ("scheduler", "job.enable", "perhaps", "cannot unmarshal !!str `perhaps` into bool"),
        (PEER, "scheduler.netAddrs", None, "empty schedulers and config server is not specified"),
        (SEED_PEER, "scheduler.manager.netAddrs", [], "manager addr is not specified"),
        (SEED_PEER, "scheduler.manager.refreshInterval", "0s", "manager refreshInterval is not specified"),
        (PEER, "download.totalRateLimit", "fast", '"fast" is no size'),
        (PEER, "upload.rateLimit", "1Mi", "rate limit must be greater than"),
        (PEER, "upload.security", None, "upload.security: neither insecure nor a certificate"),
        (PEER, "proxy.proxies", [{"regx": "blobs/(sha256"}], "missing closing )"),
        (PEER, "proxy.registryMirror.url", "", "proxy.registryMirror.url must be the URL of a registry"),
        (PEER, "proxy", None, "proxy is missing"),
        (PEER, "storage.taskExpireTime", "6 hours", "cannot unmarshal !!str `6 hours` into time.Duration"),
        (PEER, "download.peerGRPC.tcpListen.port", {"start": "x"}, "cannot unmarshal !!str `x` into int"),
    ],
)
def test_refuses_a_config_that_the_real_program_refuses(
    start: Start, tmp_path: Path, role: str, path: str, value: object, reason: str
) -> None:
    program, config = _config(tmp_path, role)
    *parents, last = path.split(".")
    section = config
    for key in parents:
        section = section[key]
    if value is None:
        del section[last]
    else:
        section[last] = value
    code, text = start(program, config).ended()
    assert code == 1
    assert reason in text.splitlines()[-1]


@pytest.mark.parametrize("role", ["server", "scheduler", PEER, SEED_PEER])
def test_knows_every_key_that_the_program_renders(start: Start, tmp_path: Path, role: str) -> None:
    _, text = start(*_config(tmp_path, role)).ended()
    assert "warning" not in text


@pytest.mark.parametrize("role", ["server", "scheduler", PEER])
def test_warns_of_an_unknown_key_and_goes_on(start: Start, tmp_path: Path, role: str) -> None:
    program, config = _config(tmp_path, role)
    config["newKey"] = 1
    code, text = start(program, config).ended()
    assert code == 1
    assert "field newKey not found" in text
    assert "connection refused" in text.splitlines()[-1]


@pytest.mark.parametrize("role", ["server", "scheduler", PEER, SEED_PEER])
def test_ends_when_what_it_needs_is_not_there(start: Start, tmp_path: Path, role: str) -> None:
    code, text = start(*_config(tmp_path, role)).ended()
    assert code == 1
    assert re.search(rf"{LOOPBACK}:{NOBODY}\b.*connection refused", text.splitlines()[-1])


def test_ends_when_a_host_is_unknown(start: Start, tmp_path: Path) -> None:
    code, text = start("dfget", _daemon(tmp_path, PEER, "nowhere.invalid:8002")).ended()
    assert code == 1
    assert "nowhere.invalid:8002" in text.splitlines()[-1]


def test_ends_when_it_cannot_write(start: Start, tmp_path: Path) -> None:
    config = _scheduler(tmp_path)
    config["server"]["cacheDir"] = "/proc/none"
    code, text = start("scheduler", config).ended()
    assert code == 1
    assert "/proc/none" in text.splitlines()[-1]


def test_scheduler_signs_in_registers_and_serves(start: Start, tmp_path: Path, far: Far, redis: str) -> None:
    config = _scheduler(tmp_path)
    config["manager"].update(addr=far.address, keepAlive={"interval": "100ms"})
    config["database"]["redis"]["addrs"] = [redis]
    process = start("scheduler", config)
    wait_until(lambda: _open(config["server"]["port"]), "its port is open", evidence=process.said)
    assert [(member["kind"], member["port"]) for member in far.members] == [("scheduler", config["server"]["port"])]
    metrics = int(config["metrics"]["addr"].rpartition(":")[2])
    assert 'dragonfly_standin_info{program="scheduler"} 1' in _get(metrics, "/metrics")[1]
    began = time.monotonic()
    assert process.stop()[0] == 0
    assert time.monotonic() - began < while_busy(1)


def test_scheduler_sends_the_first_keep_alive_of_each_stream_after_one_interval(
    start: Start, tmp_path: Path, far: Far, redis: str
) -> None:
    config = _scheduler(tmp_path)
    config["manager"].update(addr=far.address, keepAlive={"interval": "1s"})
    config["database"]["redis"]["addrs"] = [redis]
    far.messages = 1
    process = start("scheduler", config)
    wait_until(lambda: _open(config["server"]["port"]), "its port is open", evidence=process.said)
    began = time.monotonic()
    assert not any(far.keep_alives)
    wait_until(lambda: len(far.keep_alives) > 1 and far.keep_alives[1], "it opens a stream anew", evidence=process.said)
    (first,), (after_break,) = far.keep_alives[:2]
    assert first - began > 0.5
    # What it sends to the broken stream tells it of the break.
    assert after_break - first > 1.5
    assert len(far.members) == 1


def test_scheduler_ends_when_redis_refuses_its_password(start: Start, tmp_path: Path, far: Far, redis: str) -> None:
    config = _scheduler(tmp_path)
    config["manager"]["addr"] = far.address
    config["database"]["redis"].update(addrs=[redis], password="wrong")
    code, text = start("scheduler", config).ended()
    assert code == 1
    assert "WRONGPASS" in text.splitlines()[-1]
    assert far.members == []


def _seed_peer(tmp_path: Path, far: Far, address: str, refresh_interval: str) -> Document:
    """Asks as `address`, which tells it from others on this machine."""
    config = _daemon(tmp_path / address, SEED_PEER, far.address)
    config["host"] = {"advertiseIP": address}
    config["scheduler"]["manager"]["refreshInterval"] = refresh_interval
    return config


def test_seed_peer_asks_again_only_at_a_tick_and_when_its_answer_is_old(start: Start, tmp_path: Path, far: Far) -> None:
    waiting = _seed_peer(tmp_path, far, "127.0.0.2", "500ms")
    keeping = _seed_peer(tmp_path, far, "127.0.0.3", "10m")
    misled = _seed_peer(tmp_path, far, "127.0.0.4", "500ms")
    finds_none, keeps_none = start("dfget", waiting), start("dfget", keeping)
    for process, when in (finds_none, "10s"), (keeps_none, "10m0s"):
        text = f"no scheduler has registered; serves nothing, asks again in {when}\n"
        wait_until(lambda p=process, t=text: p.says(t), "it says when it asks again", evidence=process.said)
    far.schedulers = [f"{LOOPBACK}:{NOBODY}"]
    finds_dead = start("dfget", misled)
    wait_until(lambda: finds_dead.says("no scheduler answers"), "it says that none answers", evidence=finds_dead.said)
    assert "serves nothing, asks again in 10s\n" in finds_dead.said()
    ports = {config["host"]["advertiseIP"]: _port(config, "download", "peerGRPC") for config in (waiting, misled)}
    assert not any(map(_open, ports.values()))
    far.schedulers = [far.address]
    for process, address in (finds_none, "127.0.0.2"), (finds_dead, "127.0.0.4"):
        wait_until(lambda a=address: far.registered(a), "it registers", evidence=process.said)
        (member,) = far.registered(address)
        assert (member["kind"], member["port"]) == ("seed_peer", ports[address])
        assert _open(ports[address])
        first, second = far.asked[address]
        assert 9.5 < second - first < 15
    wait_until(lambda: keeps_none.says("asks again in 9m50s"), "it had a tick", evidence=keeps_none.said)
    assert len(far.asked["127.0.0.3"]) == 1
    assert not _open(_port(keeping, "download", "peerGRPC"))
    assert keeps_none.stop()[0] == 0


def test_seed_peer_ends_when_its_first_question_fails(start: Start, tmp_path: Path, far: Far) -> None:
    far.schedulers = None
    code, text = start("dfget", _daemon(tmp_path, SEED_PEER, far.address)).ended()
    assert code == 1
    assert "the manager gives no schedulers" in text.splitlines()[-1]


def test_peer_listens_where_its_config_says(start: Start, tmp_path: Path, far: Far) -> None:
    config = _daemon(tmp_path, PEER, far.address)
    process = start("dfget", config)
    port = _port(config, "download", "peerGRPC")
    wait_until(lambda: _open(port), "its port is open", evidence=process.said)
    with grpc.insecure_channel(f"{LOOPBACK}:{port}") as channel:
        assert channel.unary_unary(HEALTH)(b"", timeout=LIMIT_SECONDS) == SERVING
    assert _get(_port(config, "health"), "/server/ping")[0] == 200
    assert _get(_port(config, "upload"), "/download")[0] == 404
    assert _get(int(config["metrics"][1:]), "/metrics")[0] == 200
    assert process.stop()[0] == 0


def _proxy(start: Start, config: Document) -> tuple[Process, int]:
    """A peer whose proxy listens, and the proxy's port."""
    process = start("dfget", config)
    port = _port(config, "proxy")
    wait_until(lambda: _open(port), "its port is open", evidence=process.said)
    return process, port


def test_proxy_passes_mirror_requests_to_the_registry_that_the_header_names(
    start: Start, tmp_path: Path, far: Far, registry: tuple[str, list[http.client.HTTPMessage]]
) -> None:
    address, seen = registry
    config = _daemon(tmp_path, PEER, far.address)
    process, port = _proxy(start, config)
    headers = {"X-Dragonfly-Registry": address, "Authorization": "Bearer token-of-the-client"}
    assert _get(port, "/v2/team/app/blobs/sha256:0?ns=x", headers) == (
        200,
        "registry: /v2/team/app/blobs/sha256:0?ns=x",
    )
    assert seen[0]["Authorization"] == "Bearer token-of-the-client"
    assert seen[0]["Host"] == address.removeprefix("http://")
    assert _get(port, "/v2/", {"X-Dragonfly-Registry": f"http://{LOOPBACK}:{NOBODY}"})[0] == 502
    # By the real program's names, and with its labels.
    metrics = _get(int(config["metrics"][1:]), "/metrics")[1].splitlines()
    for line in ('total{method="GET"} 2', "via_dragonfly_total 1", "not_via_dragonfly_total 1"):
        assert f"dragonfly_dfdaemon_proxy_request_{line}" in metrics
    _, text = process.stop()
    assert "token-of-the-client" not in text


def test_proxy_passes_mirror_requests_to_the_configured_registry(
    start: Start, tmp_path: Path, far: Far, registry: tuple[str, list[http.client.HTTPMessage]]
) -> None:
    config = _daemon(tmp_path, PEER, far.address)
    config["proxy"]["registryMirror"].update(dynamic=False, url=registry[0])
    _, port = _proxy(start, config)
    # Without `dynamic`, the header says nothing.
    headers = {"X-Dragonfly-Registry": f"http://{LOOPBACK}:{NOBODY}"}
    assert _get(port, "/v2/", headers) == (200, "registry: /v2/")


def test_proxy_forwards_only_what_the_white_list_has(
    start: Start, tmp_path: Path, far: Far, registry: tuple[str, list[http.client.HTTPMessage]]
) -> None:
    address, seen = registry
    config = _daemon(tmp_path, PEER, far.address)
    process, port = _proxy(start, config)
    assert _get(port, f"{address}/v2/")[0] == 401
    with socket.create_connection((LOOPBACK, port), timeout=LIMIT_SECONDS) as tunnel:
        tunnel.sendall(f"CONNECT {address.removeprefix('http://')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert tunnel.recv(100).startswith(b"HTTP/1.1 401")
    assert seen == []
    process.stop()

    config["proxy"]["whiteList"] = [{"host": re.escape(LOOPBACK)}]
    _, port = _proxy(start, config)
    assert _get(port, f"{address}/v2/") == (200, "registry: /v2/")


@pytest.fixture(scope="module")
def database(mysql_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, int]]:
    """A server of databases and its port."""
    folder = tmp_path_factory.mktemp("mysql")
    (port,) = _free_ports(1)
    made = Database(mysql_root, folder, port)
    server = made.start({"MYSQL_ROOT_PASSWORD": ROOT_PASSWORD})
    made.answer("SELECT 1")
    yield made, port
    stop(server, signal.SIGKILL)


class Manager:
    """A manager that serves, and can be started again on what it wrote."""

    def __init__(self, start: Start, config: Document) -> None:
        self._start = start
        self._config = config
        self.port, self._rest = _free_ports(2)
        config["server"]["grpc"]["port"] = {"start": self.port, "end": self.port}
        config["server"]["rest"]["addr"] = f"{LOOPBACK}:{self._rest}"
        config["metrics"]["enable"] = False
        self.start()

    def start(self) -> None:
        self.process = self._start("server", self._config)
        wait_until(lambda: self.process.says(" serves"), "it serves", evidence=self.process.said)
        user = json.dumps({"name": "root", "password": "dragonfly"})
        self._token = json.loads(_get(self._rest, "/api/v1/users/signin", method="POST", body=user)[1])["token"]

    def _call(self, method: str, fields: Document) -> bytes:
        request = Struct()
        request.update(fields)
        with grpc.insecure_channel(f"{LOOPBACK}:{self.port}") as channel:
            call = cast("Any", channel.unary_unary(method))
            return cast("bytes", call(request.SerializeToString(), timeout=LIMIT_SECONDS))

    def update(self, member: Document) -> None:
        self._call(UPDATE, member)

    def list_schedulers(self, hostname: str) -> list[str]:
        found = ListValue.FromString(self._call(LIST_SCHEDULERS, {"hostname": hostname, "ip": LOOPBACK}))
        return [cast("str", address) for address in found]

    @contextmanager
    def keep_alive(self, member: Document) -> Generator[Callable[[], None]]:
        """An open stream; what it gives sends a message."""
        messages: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        message = Struct()
        message.update(member)
        with grpc.insecure_channel(f"{LOOPBACK}:{self.port}") as channel:
            call = cast("Any", channel.stream_unary(KEEP_ALIVE))
            # An answer that nobody holds ends the call.
            answer = call.future(iter(messages.get, None))
            yield lambda: messages.put(message.SerializeToString())
            answer.cancel()
        messages.put(None)

    def schedulers(self) -> list[tuple[str, int, str]]:
        """The address, port and state of each, as the console would tell."""
        found = json.loads(_get(self._rest, "/api/v1/schedulers", {"Authorization": f"Bearer {self._token}"})[1])
        return [(row["ip"], row["port"], row["state"]) for row in found]

    def expect(self, *schedulers: tuple[str, int, str]) -> None:
        wait_until(
            lambda: self.schedulers() == list(schedulers),
            f"schedulers are {schedulers}",
            evidence=lambda: f"{self.schedulers()}, {self.process.said()}",
        )


@pytest.fixture
def manager(start: Start, tmp_path: Path, database: tuple[Database, int], redis: str) -> Manager:
    """One with a database of its own; its cache is kept for 3 s in memory and 5 s in Redis."""
    server, port = database
    server.answer("DROP DATABASE IF EXISTS manager; CREATE DATABASE manager")
    config = _manager(tmp_path)
    config["database"]["mysql"].update(user="root", password=ROOT_PASSWORD, port=port, dbname="manager")
    config["database"]["redis"]["addrs"] = [redis]
    config["cache"] = {"redis": {"ttl": "5s"}, "local": {"size": 10, "ttl": "3s"}}
    return Manager(start, config)


SCHEDULER: Document = {"kind": "scheduler", "hostname": "scheduler-0", "ip": "10.0.0.1", "port": 8002, "cluster": 1}
MOVED: Document = {**SCHEDULER, "ip": "10.0.0.2", "port": 8003}


def test_manager_takes_a_scheduler_for_active_while_it_has_a_stream_with_a_message(manager: Manager) -> None:
    manager.update(SCHEDULER)
    with manager.keep_alive(SCHEDULER) as send:
        time.sleep(0.5)
        assert manager.schedulers() == [("10.0.0.1", 8002, "inactive")]
        assert manager.list_schedulers("asks-early") == []
        send()
        manager.expect(("10.0.0.1", 8002, "active"))
        assert manager.list_schedulers("asks-late") == ["10.0.0.1:8002"]
        manager.update(MOVED)
        time.sleep(1)
        assert manager.schedulers() == [("10.0.0.2", 8003, "active")]
    manager.expect(("10.0.0.2", 8003, "inactive"))
    manager.update(SCHEDULER)
    assert manager.schedulers() == [("10.0.0.1", 8002, "inactive")]


@pytest.mark.parametrize(("number", "state"), [(signal.SIGTERM, "inactive"), (signal.SIGKILL, "active")])
def test_manager_that_is_told_to_end_leaves_nobody_active(manager: Manager, number: signal.Signals, state: str) -> None:
    manager.update(SCHEDULER)
    with manager.keep_alive(SCHEDULER) as send:
        send()
        manager.expect(("10.0.0.1", 8002, "active"))
        began = time.monotonic()
        manager.process.stop(number)
        assert time.monotonic() - began < while_busy(3)
    manager.start()
    assert manager.schedulers() == [("10.0.0.1", 8002, state)]


def test_manager_gives_a_caller_what_it_gave_before_unless_that_was_nothing(manager: Manager) -> None:
    manager.update(SCHEDULER)
    assert manager.list_schedulers("first") == []
    with manager.keep_alive(SCHEDULER) as send:
        send()
        manager.expect(("10.0.0.1", 8002, "active"))
        asked = time.monotonic()
        assert manager.list_schedulers("first") == ["10.0.0.1:8002"]
    manager.expect(("10.0.0.1", 8002, "inactive"))
    assert manager.list_schedulers("second") == []
    # The copy in memory is old, and made anew from the one in Redis, at whose end it is still used.
    time.sleep(max(0.0, asked + 3.5 - time.monotonic()))
    assert manager.list_schedulers("first") == ["10.0.0.1:8002"]
    time.sleep(max(0.0, asked + 5.3 - time.monotonic()))
    assert manager.list_schedulers("first") == ["10.0.0.1:8002"]
    wait_until(lambda: manager.list_schedulers("first") == [], "it forgets", evidence=manager.process.said)
