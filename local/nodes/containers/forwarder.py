"""Brings the control plane's ports onto the machine's loopback address.

The ports are opened on the machine; then the process enters the control plane's network, where it opens its connections
to the same ports. So nothing of the two networks is joined.

Run as a file of its own: `forwarder.py --network FILE PORT...`.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence

_LOOPBACK = "127.0.0.1"
_NETWORK_NAMESPACE = 0x40000000
"""Of `setns(2)`, <linux/sched.h>; Python's own call came with 3.12."""

_CHUNK_BYTES = 1 << 16
_BACKLOG = 512


def main(arguments: Sequence[str]) -> int:
    """Forward until the process is ended."""
    parser = argparse.ArgumentParser(prog="forwarder.py", description="Forwards ports into a network namespace.")
    parser.add_argument("--network", required=True, help="file that stands for the network namespace")
    parser.add_argument("ports", type=int, nargs="+")
    options = parser.parse_args(arguments)
    listeners = {port: _listen(port) for port in options.ports}
    _enter(options.network)
    asyncio.run(_serve(listeners))
    return 0


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((_LOOPBACK, port))
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def _enter(network: str) -> None:
    handle = os.open(network, os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, _NETWORK_NAMESPACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"entering {network}: {os.strerror(number)}")
    os.close(handle)


async def _serve(listeners: dict[int, socket.socket]) -> None:
    servers = [await asyncio.start_server(_forward_to(port), sock=listener) for port, listener in listeners.items()]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _forward_to(port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(_LOOPBACK, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        for end in (writer, far_writer):
            end.close()

    return forward


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what one side says, its end included: the other may go on speaking."""
    try:
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
    except OSError:
        # One side broke off; the other learns it.
        writer.transport.abort()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
