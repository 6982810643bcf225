"""What a machine must have before its local nodes can run containers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

_PACKAGES = Path(__file__).with_name("debian-packages.txt")

_PROGRAMS: Final = (
    "containerd",
    "ctr",
    "ip",
    "iptables",
    "mmdebstrap",
    "nsenter",
    "runc",
    "unshare",
)
CNI_PLUGINS: Final = Path("/usr/lib/cni")
"""Where Debian has the programs that make pods' networks."""

_PLUGINS: Final = ("host-local", "loopback", "ptp")
SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the nodes' programs are looked for; a user's own `PATH` often lacks the administrator's folders."""


def why_not() -> str | None:
    """Why this machine cannot have such nodes, and what to type; None if it can."""
    if os.geteuid() != 0:
        return "nodes that run containers need root: `sudo make up NODES=containers`, or `make up NODES=kwok` without"
    missing = [name for name in _PROGRAMS if shutil.which(name, path=SEARCH_PATH) is None]
    missing += [str(CNI_PLUGINS / name) for name in _PLUGINS if not (CNI_PLUGINS / name).exists()]
    if not missing:
        return None
    return f"nodes that run containers need {', '.join(missing)}: `{install_command()}`"


def install_command() -> str:
    """The command that installs what is needed."""
    return f"apt-get install --no-install-recommends {' '.join(_PACKAGES.read_text().split())}"
