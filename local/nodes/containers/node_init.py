"""The first process of a node, in namespaces of its own (mounts, processes, network, host name).

It gives the node its own /run, /var/lib, /var/log and /etc/containerd, and then only buries what is left to it. When it
ends, the kernel ends every process of the node and takes its mounts and interfaces away, whatever was killed before.

Run as a file of its own, with nothing but Python: `node_init.py --name NAME --folder DIR --ready FILE [--keep DIR]...`.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

_LIBC = ctypes.CDLL(None, use_errno=True)

# Of `mount(2)`, <linux/mount.h>.
_READ_ONLY, _NO_SETUID, _NO_DEVICES, _REMOUNT, _BIND = 0x1, 0x2, 0x4, 0x20, 0x1000
_RECURSIVE, _SHARED = 0x4000, 0x100000

_PRIVATE_FOLDERS = {"lib": "/var/lib", "log": "/var/log", "containerd": "/etc/containerd"}
"""Folder of the node in ours, and where the node has it; the machine has all of these (`requirements.py`)."""

_RESOLV_CONF = "resolv.conf"

_WANTED_OF_THE_KERNEL = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""Settings that kubelet insists on (`--protect-kernel-defaults` in the kubelet's reference), with its values."""


def main(arguments: Sequence[str]) -> int:
    """Make the node what it is, then wait until it shall end."""
    parser = argparse.ArgumentParser(prog="node_init.py", description="The first process of a local node.")
    parser.add_argument("--name", required=True, help="the node's host name")
    parser.add_argument("--folder", type=Path, required=True, help="holds the node's own lib, log and containerd")
    parser.add_argument("--ready", type=Path, required=True, help="file to create when the node is made")
    parser.add_argument("--keep", type=Path, action="append", default=[], help="folder that the node sees as it is")
    options = parser.parse_args(arguments)

    socket.sethostname(options.name)
    # As on any machine, so that volumes mounted for a pod are seen in it. The machine sees none of them: until here
    # all was private.
    _mount("none", "/", flags=_SHARED | _RECURSIVE)
    resolv_conf = Path("/etc/resolv.conf").resolve()
    _cover("/run", options.keep)
    for name, path in _PRIVATE_FOLDERS.items():
        _cover(path, options.keep, options.folder / name)
    if not resolv_conf.exists() and resolv_conf.is_relative_to("/run"):
        resolv_conf.parent.mkdir(parents=True, exist_ok=True)
        resolv_conf.touch()
    if resolv_conf.exists():
        _mount(str(options.folder / _RESOLV_CONF), str(resolv_conf), flags=_BIND)
    # These belong to the machine and not to the node: kubelet would set some of them, and ends where it cannot. So it
    # reads the values that it wants.
    for settings in ("/proc/sys/kernel", "/proc/sys/vm"):
        _mount(settings, settings, flags=_BIND)
        _mount("none", settings, flags=_REMOUNT | _BIND | _READ_ONLY)
    for setting, value in _WANTED_OF_THE_KERNEL.items():
        file = Path("/run", setting.replace("/", "."))
        file.write_text(value)
        _mount(str(file), f"/proc/sys/{setting}", flags=_BIND)
    # Of the node's network alone.
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    signal.signal(signal.SIGTERM, _leave)
    options.ready.touch()
    while True:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        _bury()
        signal.sigtimedwait({signal.SIGCHLD}, 60)


def _cover(path: str, keep: Sequence[Path], source: Path | None = None) -> None:
    """Put a folder of ours, or an empty one in memory, over one of the machine's."""
    covered = [folder for folder in keep if folder.is_relative_to(path)]
    handles = [os.open(folder, os.O_PATH) for folder in covered]
    if source is None:
        _mount("tmpfs", path, "tmpfs", _NO_SETUID | _NO_DEVICES)
    else:
        _mount(str(source), path, flags=_BIND)
    for folder, handle in zip(covered, handles, strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{handle}", str(folder), flags=_BIND)
        os.close(handle)


def _mount(source: str, target: str, kind: str = "", flags: int = 0) -> None:
    if _LIBC.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mounting {source} on {target}: {os.strerror(number)}")


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    sys.exit(0)


def _bury() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
