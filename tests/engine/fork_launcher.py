"""Called as Python is: has a fork server run the program (`fork_server.py`), passes signals on, and ends as that does.

It ends, and the program with it, when whoever called it is gone: the program itself, a child of the server, cannot see.

A copy of it stands beside the server's socket, made executable.
"""

import json
import os
import signal
import socket
import sys

arguments, caller = sys.argv[1:], os.getppid()
if arguments[0] != "-m" and arguments[0].startswith("-"):
    os.execv(sys.executable, [sys.executable, *arguments])
with socket.socket(socket.AF_UNIX) as server:
    server.connect(f"{__file__}.socket")
    # Without pathlib, which takes as long to load as all of this.
    folder = os.getcwd()  # noqa: PTH109
    request = {"arguments": arguments, "environment": dict(os.environ), "folder": folder}
    text = json.dumps(request).encode() + b"\n"
    sent = socket.send_fds(server, [text], [0, 1, 2])
    server.sendall(text[sent:])
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda number, _: server.send(bytes([number])))
    server.settimeout(0.5)
    code = None
    while code is None:
        try:
            code = int(server.recv(16) or -signal.SIGKILL)
        except TimeoutError:
            if os.getppid() != caller:
                code = 1
if code < 0:
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
