"""The node's containerd: its configuration, its pod network, and the images that it is given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import grpc

from local.images.catalog import PAUSE
from local.nodes.containers.addresses import pod_subnet
from local.nodes.containers.namespaces import run
from local.nodes.containers.requirements import CNI_PLUGINS

SOCKET: Final = "/run/containerd/containerd.sock"
"""On the node."""

CONFIG: Final = "/etc/containerd/config.toml"
"""On the node: where a pod looks that wants to know which mirrors containerd reads."""

_MIRRORS = "/etc/containerd/certs.d"
_NETWORKS = "/etc/containerd/networks"
_NAMESPACE = "k8s.io"
_IMPORT_SECONDS = 300
_ANSWER_SECONDS = 1.0


def write_config(folder: Path, index: int) -> None:
    """Write what containerd reads, into the folder that the node has as /etc/containerd.

    Args:
        folder: the folder, seen from the machine.
        index: the node's number.
    """
    networks = folder / Path(_NETWORKS).name
    for path in (folder, networks, folder / Path(_MIRRORS).name):
        path.mkdir(parents=True, exist_ok=True)
    (folder / Path(CONFIG).name).write_text(_config())
    (networks / "10-pods.conflist").write_text(json.dumps(_pod_network(index), indent=2))


def _config() -> str:
    return f"""\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
# It makes /opt/containerd on the machine.
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
  address = "{SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Without CAP_SYS_RESOURCE no process may be made less likely to be killed than its parent.
  restrict_oom_score_adj = true
  # A profile would be loaded into the machine's kernel and stay there.
  disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{CNI_PLUGINS}"
  conf_dir = "{_NETWORKS}"

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "{_MIRRORS}"
"""


def _pod_network(index: int) -> dict[str, Any]:
    # Every pod is reached by a route and none over a bridge, so that what goes to a Service and back passes the rules
    # of kube-proxy both times, on the same node too.
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": pod_subnet(index)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        # Forgotten with the node's pods when it is stopped.
        "dataDir": "/run/pod-addresses",
    }
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp", "ipam": addresses}]}


def serves_kubelet(socket: Path) -> bool:
    """Return whether it answers what kubelet asks first: kubelet ends where it does not.

    Its socket is there before, and where pods of before are found again, for some tenths of a second.

    Args:
        socket: its socket, seen from the machine.
    """
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        version = cast("Any", channel).unary_unary("/runtime.v1.RuntimeService/Version")
        try:
            version(b"", timeout=_ANSWER_SECONDS)
        except grpc.RpcError:
            return False
    return True


def import_images(enter: Sequence[str], archives: Sequence[Path], record: Path) -> None:
    """Give containerd the images of some archives, unless it has them.

    Args:
        enter: begins a command that runs on the node.
        archives: OCI or Docker archives, each of one or more images.
        record: where is kept what was imported before.

    Raises:
        ProcessError: an archive cannot be imported.
    """
    before: dict[str, list[int]] = json.loads(record.read_text()) if record.exists() else {}
    for archive in archives:
        status = archive.stat()
        version = [status.st_size, status.st_mtime_ns]
        if before.get(str(archive)) == version:
            continue
        command = [*enter, *images_command("import", str(archive))]
        run(command, f"importing {archive}", timeout_seconds=_IMPORT_SECONDS)
        before[str(archive)] = version
        record.write_text(json.dumps(before))


def image_names(enter: Sequence[str]) -> list[str]:
    """Return how containerd calls the images that it has.

    Args:
        enter: begins a command that runs on the node.

    Raises:
        ProcessError: it does not answer.
    """
    return run([*enter, *images_command("list", "--quiet")], "listing images").split()


def images_command(*arguments: str) -> list[str]:
    """Return the command that does something with containerd's images, on the node."""
    return ctr_command("images", *arguments)


def ctr_command(*arguments: str) -> list[str]:
    """Return the command that does something with what containerd keeps for kubelet, on the node."""
    return ["ctr", "--address", SOCKET, "--namespace", _NAMESPACE, *arguments]
