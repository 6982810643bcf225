"""Serves a stand-in plug-in to the engine: `python -m local.standins.plugins.server gcp [flags] [engine address]`.

The engine starts it, reads the port from the first line of standard output, and calls the `ResourceProvider` service
there. See `sdk/go/common/resource/plugin` of pulumi for the other side.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import metadata
from typing import Any, Final, Protocol, cast, runtime_checkable

import grpc as _grpc  # pyright: ignore[reportMissingTypeStubs]
from pulumi.runtime.proto import plugin_pb2 as _plugin_pb2
from pulumi.runtime.proto import provider_pb2 as _wire
from pulumi.runtime.proto import provider_pb2_grpc as _services

from local.standins.plugins.engine_log import EngineLog, GrpcEngineLog
from local.standins.plugins.property_values import write_properties
from local.standins.plugins.provider_errors import InitializationError, ProviderError

grpc: Any = _grpc
wire: Any = _wire
plugin_pb2: Any = _plugin_pb2
_ServicerBase: Any = cast(Any, _services).ResourceProviderServicer

_THREADS: Final = 64
"""Operations answered at once: an engine's default is four for each processor, and waits block their thread."""
_ENGINE_LOOK: Final = 0.5
"""Seconds between looks whether the engine is still there: one that was killed tells nobody."""


class Provider(Protocol):
    """What a plug-in does; requests and answers are those of `provider.proto`."""

    def check_config(self, request: Any) -> Any:
        """Validate the configuration of a provider resource."""
        ...

    def diff_config(self, request: Any) -> Any:
        """Compare two configurations of a provider resource."""
        ...

    def configure(self, request: Any) -> Any:
        """Take the configuration."""
        ...

    def check(self, request: Any) -> Any:
        """Validate and complete the inputs of a resource."""
        ...

    def diff(self, request: Any) -> Any:
        """Compare a resource's state with new inputs."""
        ...

    def create(self, request: Any) -> Any:
        """Make a resource, or rehearse that in a preview."""
        ...

    def read(self, request: Any) -> Any:
        """Look at a resource as it is."""
        ...

    def update(self, request: Any) -> Any:
        """Change a resource in place, or rehearse that in a preview."""
        ...

    def delete(self, request: Any) -> None:
        """Remove a resource."""
        ...

    def cancel(self) -> None:
        """End what goes on soon."""
        ...


@runtime_checkable
class FunctionProvider(Protocol):
    """A plug-in that also answers questions."""

    def invoke(self, request: Any) -> Any:
        """Answer a question of the program's."""
        ...


class Servicer(_ServicerBase):
    """The `ResourceProvider` service over a provider; failures become the statuses that the engine understands."""

    def __init__(self, make: Callable[[EngineLog], Provider], package: str, engine_address: str) -> None:
        """Serve the provider that `make` returns, once it is called for: its modules take a while to load.

        Args:
            make: makes the provider, given where its messages go.
            package: the package's name, as in type tokens and in the executable's name.
            engine_address: where the engine takes messages; empty where it says so later.
        """
        self._make = make
        self._package = package
        self._log = GrpcEngineLog(engine_address)
        self._lock = threading.Lock()
        self._made: Provider | None = None
        operations: dict[str, Callable[[Any], Any]] = {
            "Handshake": self._handshake,
            "Attach": self._attach,
            "GetPluginInfo": self._plugin_info,
            # Programs bring their own types, and nothing is converted from elsewhere.
            "GetSchema": lambda _: wire.GetSchemaResponse(schema=f'{{"name": "{package}"}}'),
            "GetMapping": lambda _: wire.GetMappingResponse(),
            "GetMappings": lambda _: wire.GetMappingsResponse(),
            "CheckConfig": lambda request: self._provider().check_config(request),
            "DiffConfig": lambda request: self._provider().diff_config(request),
            "Configure": lambda request: self._provider().configure(request),
            "Check": lambda request: self._provider().check(request),
            "Diff": lambda request: self._provider().diff(request),
            "Create": lambda request: self._provider().create(request),
            "Read": lambda request: self._provider().read(request),
            "Update": lambda request: self._provider().update(request),
            "Invoke": self._invoke,
            "Delete": lambda request: self._provider().delete(request) or _empty(),
            "Cancel": lambda _: self._provider().cancel() or _empty(),
        }
        for name, operation in operations.items():
            setattr(self, name, partial(self._answer, operation))

    def _provider(self) -> Provider:
        with self._lock:
            if self._made is None:
                self._made = self._make(self._log)
            return self._made

    @staticmethod
    def _answer(operation: Callable[[Any], Any], request: Any, context: Any) -> Any:
        try:
            return operation(request)
        except InitializationError as failure:
            detail = wire.ErrorResourceInitFailed(
                id=failure.resource_id, properties=write_properties(failure.outputs), reasons=failure.reasons
            )
            if failure.inputs is not None:
                detail.inputs.CopyFrom(write_properties(failure.inputs))
            context.set_trailing_metadata((("grpc-status-details-bin", _status(str(failure), detail)),))
            return context.abort(grpc.StatusCode.UNKNOWN, str(failure))
        except ProviderError as failure:
            return context.abort(grpc.StatusCode.UNKNOWN, str(failure))

    def _invoke(self, request: Any) -> Any:
        provider = self._provider()
        if not isinstance(provider, FunctionProvider):
            raise ProviderError(f"the stand-in for pulumi-{self._package} has no functions")
        return provider.invoke(request)

    def _handshake(self, request: Any) -> Any:
        self._log = GrpcEngineLog(request.engine_address)
        return wire.ProviderHandshakeResponse(accept_secrets=True)

    def _attach(self, request: Any) -> Any:
        self._log = GrpcEngineLog(request.address)
        return _empty()

    def _plugin_info(self, _request: Any) -> Any:
        # The stand-in stands in for the release that the installed SDK goes with.
        return plugin_pb2.PluginInfo(version=metadata.version(f"pulumi_{self._package}"))


def _empty() -> Any:
    from google.protobuf import empty_pb2  # pyright: ignore[reportMissingTypeStubs]

    return cast(Any, empty_pb2).Empty()


def _status(message: str, detail: Any) -> bytes:
    from pulumi.runtime.proto import status_pb2

    status: Any = cast(Any, status_pb2).Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message)
    status.details.add().Pack(detail)
    return cast(bytes, status.SerializeToString())


def _random(log: EngineLog) -> Provider:
    from local.standins.plugins.random_provider import RandomProvider

    return RandomProvider(log)


def _gcp(log: EngineLog) -> Provider:
    from local.standins.plugins.google.provider import GcpProvider

    return GcpProvider(log)


_PACKAGES: Final[dict[str, Callable[[EngineLog], Provider]]] = {
    "gcp": _gcp,
    "random": _random,
}


def _leave(_signal: int, _frame: object) -> None:
    os._exit(0)


def main(arguments: list[str]) -> int:
    """Serve until the engine stops the process or is gone itself.

    Args:
        arguments: the package, the engine's flags (ignored) and the engine's address, if it gives one.

    Returns:
        The exit status.
    """
    package = arguments[0] if arguments else ""
    if package not in _PACKAGES:
        print(f"expected one of {', '.join(_PACKAGES)} as the first argument, found {package!r}", file=sys.stderr)
        return 2
    address = arguments[-1] if len(arguments) > 1 and not arguments[-1].startswith("-") else ""
    # The engine ends a plug-in with an interrupt and waits 5 s for it to go. One at the terminal does not come here: a
    # plug-in has a process group of its own, and the engine says by RPC when operations are to end.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, _leave)
    engine = os.getppid()
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=[*unlimited, ("grpc.so_reuseport", 0)])
    servicer = Servicer(_PACKAGES[package], package, address)
    cast(Any, _services).add_ResourceProviderServicer_to_server(servicer, server)
    port = cast(int, server.add_insecure_port("127.0.0.1:0"))
    if not port:
        print("cannot listen on 127.0.0.1", file=sys.stderr)
        return 1
    server.start()
    print(port, flush=True)
    while os.getppid() == engine:
        if not server.wait_for_termination(_ENGINE_LOOK):
            return 0
    # Waits in other threads would keep the process, and nobody is left to hear of them.
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
