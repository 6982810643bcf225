"""A node's kubelet is started once its containerd serves it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import grpc

from local.nodes.containers.containerd import serves_kubelet


class _Containerd(grpc.GenericRpcHandler):
    """Answers as containerd does before and after it has found its pods again."""

    initialized = False

    def service(self, handler_call_details: Any) -> Any:
        assert handler_call_details.method == "/runtime.v1.RuntimeService/Version"
        return cast("Any", grpc).unary_unary_rpc_method_handler(self._version)

    def _version(self, request: bytes, context: Any) -> bytes:
        if not self.initialized:
            context.abort(grpc.StatusCode.UNKNOWN, "server is not initialized yet")
        return b""


def test_a_socket_alone_is_no_containerd_that_serves(tmp_path: Path) -> None:
    socket = tmp_path / "containerd.sock"
    assert not serves_kubelet(socket)
    played = _Containerd()
    server: Any = grpc.server(ThreadPoolExecutor(1), handlers=[played])
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    try:
        assert socket.is_socket()
        assert not serves_kubelet(socket)
        played.initialized = True
        assert serves_kubelet(socket)
    finally:
        server.stop(None)
