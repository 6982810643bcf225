"""The stand-ins as processes and as gRPC services: how they start, fail and end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import grpc as _grpc  # pyright: ignore[reportMissingTypeStubs]
import pytest
from pulumi.runtime.proto import provider_pb2 as _wire
from pulumi.runtime.proto import provider_pb2_grpc as _services
from pulumi.runtime.proto import status_pb2 as _status

from local.engine.plugin_choice import GOOGLE_CLOUD, Plugin, lay_out
from local.standins.plugins.engine_log import EngineLog
from local.standins.plugins.property_values import Properties, Secret, read_properties
from local.standins.plugins.provider_errors import InitializationError, ProviderError
from local.standins.plugins.server import Servicer

grpc: Any = _grpc
wire: Any = _wire
services: Any = _services


def _executable(home: Path, package: str) -> Path:
    """Return what the engine starts."""
    plugin = Plugin.of_package(package, GOOGLE_CLOUD.executable)
    lay_out(home, [plugin])
    return home / plugin.path


@contextmanager
def _plugin(home: Path, package: str) -> Generator[tuple[subprocess.Popen[str], Any]]:
    environment = {**os.environ, "PULUMI_STANDIN_PYTHON": sys.executable}
    command = [str(_executable(home, package)), "--logtostderr", "127.0.0.1:1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield process, services.ResourceProviderStub(channel)
        finally:
            process.kill()


@pytest.mark.parametrize("package", ["gcp", "random"])
def test_a_plug_in_answers_and_goes_when_interrupted(tmp_path: Path, package: str) -> None:
    with _plugin(tmp_path, package) as (process, stub):
        answer = stub.Handshake(wire.ProviderHandshakeRequest(engine_address=""), timeout=10)
        assert answer.accept_secrets
        assert stub.GetPluginInfo(_empty(), timeout=10).version == metadata.version(f"pulumi_{package}")
        assert package in stub.GetSchema(wire.GetSchemaRequest(), timeout=10).schema
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert time.monotonic() - begin < 1


def test_a_plug_in_goes_with_its_engine(tmp_path: Path) -> None:
    # A shell between us and the plug-in is the engine that is killed.
    plugin = _executable(tmp_path, "random")
    environment = {**os.environ, "PULUMI_STANDIN_PYTHON": sys.executable}
    script = f'"{plugin}" & echo $!; wait'
    with subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE, text=True, env=environment) as shell:
        assert shell.stdout is not None
        pid = int(shell.stdout.readline())
        assert int(shell.stdout.readline()) > 0
        shell.kill()
    deadline = time.monotonic() + 5
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_missing_python_is_named(tmp_path: Path) -> None:
    environment = {**os.environ, "PULUMI_STANDIN_PYTHON": str(tmp_path / "python")}
    ended = subprocess.run(
        [str(_executable(tmp_path, "random"))], capture_output=True, text=True, env=environment, check=False
    )
    assert ended.returncode == 1
    assert str(tmp_path / "python") in ended.stderr


class _Failing:
    """A provider whose creation fails after the object was made, and whose deletion fails at once."""

    def create(self, request: Any) -> Any:
        outputs: Properties = {"big": "x" * 100_000, "password": Secret("hidden")}
        raise InitializationError("not ready", "ns/n", outputs, ["not ready", "no node"])

    def delete(self, request: Any) -> None:
        raise ProviderError("not allowed")


def _make(log: EngineLog) -> Any:
    del log
    return _Failing()


def test_failures_reach_the_engine() -> None:
    server = grpc.server(ThreadPoolExecutor(2))
    services.add_ResourceProviderServicer_to_server(Servicer(_make, "gcp", ""), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # The engine's own library takes metadata of this size; Python's has a lower limit.
    options = [("grpc.max_metadata_size", 1 << 20), ("grpc.absolute_max_metadata_size", 1 << 20)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        stub = services.ResourceProviderStub(channel)
        with pytest.raises(grpc.RpcError) as unready:
            stub.Create(wire.CreateRequest(), timeout=10)
        with pytest.raises(grpc.RpcError) as refused:
            stub.Delete(wire.DeleteRequest(), timeout=10)
    server.stop(None)
    trailing = dict(unready.value.trailing_metadata())
    status: Any = cast(Any, _status).Status.FromString(trailing["grpc-status-details-bin"])
    detail = wire.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert (detail.id, list(detail.reasons)) == ("ns/n", ["not ready", "no node"])
    assert read_properties(detail.properties)["password"] == Secret("hidden")
    assert refused.value.details() == "not allowed"


def _empty() -> Any:
    from google.protobuf import empty_pb2  # pyright: ignore[reportMissingTypeStubs]

    return cast(Any, empty_pb2).Empty()
