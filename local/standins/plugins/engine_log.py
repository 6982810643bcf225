"""Tells the engine what a plug-in is doing: lasting messages, and the status line of a resource."""

from __future__ import annotations

import threading
from typing import Any, Protocol, cast

WARNING = 2
"""`LogSeverity.WARNING` of the engine's `engine.proto`."""
INFO = 1
"""`LogSeverity.INFO` of the engine's `engine.proto`."""


class EngineLog(Protocol):
    """Takes messages for the person who watches the engine."""

    def message(self, severity: int, urn: str, text: str) -> None:
        """Show a message that stays; an empty URN means the whole run."""
        ...

    def status(self, urn: str, text: str) -> None:
        """Show a status line beside the resource, until the next one; an empty text clears it."""
        ...


class GrpcEngineLog:
    """Sends messages to the engine at an address such as `127.0.0.1:1234`; to nobody where the address is empty."""

    def __init__(self, address: str) -> None:
        """Remember the address; the connection is made with the first message, as most runs send none."""
        self._address = address
        self._lock = threading.Lock()
        self._stub: Any = None
        self._shown: dict[str, str] = {}

    def message(self, severity: int, urn: str, text: str) -> None:
        """Show a message that stays; an empty URN means the whole run."""
        self._send(severity, urn, text, ephemeral=False)

    def status(self, urn: str, text: str) -> None:
        """Show a status line beside the resource; one that is already shown is not sent again."""
        with self._lock:
            if self._shown.get(urn, "") == text:
                return
            self._shown[urn] = text
        self._send(INFO, urn, text, ephemeral=True)

    def _send(self, severity: int, urn: str, text: str, *, ephemeral: bool) -> None:
        if not self._address:
            return
        import grpc  # pyright: ignore[reportMissingTypeStubs]
        from pulumi.runtime.proto import engine_pb2

        messages: Any = engine_pb2
        request = messages.LogRequest(severity=severity, message=text, urn=urn, ephemeral=ephemeral)
        call = self._engine().Log.future if ephemeral else self._engine().Log
        try:
            call(request, timeout=5)
        except cast(Any, grpc).RpcError:
            # The engine may be going away; a message that is not seen must not fail the operation.
            return

    def _engine(self) -> Any:
        with self._lock:
            if self._stub is None:
                import grpc
                from pulumi.runtime.proto import engine_pb2_grpc

                library: Any = grpc
                stub: Any = engine_pb2_grpc.EngineStub
                self._stub = stub(library.insecure_channel(self._address))
            return self._stub
