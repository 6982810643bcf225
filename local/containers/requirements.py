"""What a machine must have before its local nodes can run containers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from local.containers.cgroups import why_not_writable

_PACKAGES = Path(__file__).with_name("debian-packages.txt")

PROGRAMS: Final = (
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

PLUGINS: Final = ("host-local", "loopback", "ptp")
_NAMESPACES: Final = ("unshare", "--mount", "--net", "--pid", "--fork", "true")
_TRIAL_SECONDS = 10
SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the nodes' programs are looked for; a user's own `PATH` often lacks the administrator's folders."""


def why_not() -> str | None:
    """Why this machine cannot have such nodes, and what to type; None if it can."""
    if os.geteuid() != 0:
        return "nodes that run containers need root: `sudo make up NODES=containers`, or `make up NODES=kwok` without"
    missing = [name for name in PROGRAMS if shutil.which(name, path=SEARCH_PATH) is None]
    missing += [str(CNI_PLUGINS / name) for name in PLUGINS if not (CNI_PLUGINS / name).exists()]
    if missing:
        return f"nodes that run containers need {', '.join(missing)}: `{install_command()}`"
    return _what_root_may_not()


def _what_root_may_not() -> str | None:
    """Root of a container has the name, but often not the rights."""
    command = " ".join(_NAMESPACES)
    advice = "`make up NODES=kwok`, or a machine (or a privileged container) where root may do that"
    try:
        done = subprocess.run(
            _NAMESPACES,
            env={"PATH": SEARCH_PATH, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TRIAL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"nodes that run containers need `{command}`, which does not end here: {advice}"
    if done.returncode != 0:
        return f"nodes that run containers need `{command}`, which fails here ({done.stderr.strip()}): {advice}"
    refusal = why_not_writable()
    return f"nodes that run containers need control groups, but {refusal}: {advice}" if refusal else None


def install_command() -> str:
    """The command that installs what is needed."""
    return f"apt-get install --no-install-recommends {' '.join(_PACKAGES.read_text().split())}"
