"""What a machine must have before its local nodes can run containers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from local.nodes.containers.cgroups import why_not_usable

PROGRAMS: Final = (
    "containerd",
    "ctr",
    "ip",
    "ipset",
    "iptables",
    "mmdebstrap",
    "nsenter",
    "runc",
    "unshare",
)
CNI_PLUGINS: Final = Path("/usr/lib/cni")
"""Where Debian has the programs that make pods' networks."""

PLUGINS: Final = ("host-local", "loopback", "ptp")
COVERED: Final = Path("/etc/containerd")
"""Where each node has a folder of its own, which can only be mounted over one of the machine's. Ubuntu's package has
none, unlike Debian's."""

_AS_ROOT: Final = "sudo --preserve-env=HOME,PATH make up NODES=containers"
"""With the user's own cache of tools, and Go where the user has it."""

_NAMESPACES: Final = ("unshare", "--mount", "--net", "--pid", "--fork", "true")
_TRIAL_SECONDS = 10
SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the nodes' programs are looked for; a user's own `PATH` often lacks the administrator's folders."""


def why_not() -> str | None:
    """Why this machine cannot have such nodes, and what to type; None if it can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=SEARCH_PATH) is None]
    missing += [str(CNI_PLUGINS / name) for name in PLUGINS if not (CNI_PLUGINS / name).exists()]
    missing += [str(COVERED)] if not COVERED.is_dir() else []
    if missing:
        return f"nodes that run containers need {', '.join(missing)}: `{install_command()}`"
    if os.geteuid() != 0:
        return f"nodes that run containers need root: `{_AS_ROOT}`, or `make up NODES=kwok` without"
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
    refusal = why_not_usable()
    return f"nodes that run containers need control groups, but {refusal}: {advice}" if refusal else None


def install_command() -> str:
    """Return the command that installs what is needed, for the user who typed ours, perhaps after `sudo`."""
    is_root = os.geteuid() == 0 and "SUDO_UID" not in os.environ
    return "make node-packages" if is_root else "sudo make node-packages"
