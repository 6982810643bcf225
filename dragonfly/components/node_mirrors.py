"""The registry mirrors of an existing cluster: the peer's pod writes them where its node's containerd looks for them.

A GKE node pool takes the mirrors as its configuration. On any other node a second container of the peer's pod writes
one hosts.toml for each registry, which containerd reads at every pull, and removes exactly these files when the pod
goes. It starts nothing anew and enters nobody's namespaces: one directory of the node is all that it can write to.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core import v1 as core

from dragonfly.parts.container_resources import MIRROR_WRITER_RESOURCES
from dragonfly.parts.registry_mirrors import REGISTRY_HEADER, RegistryMirror, peer_proxy
from dragonfly.pods.security import container_security_context

_HOSTS = "/node/hosts"
_CONFIG = "/node/containerd"
_HOSTS_VOLUME = "registry-hosts"
_CONFIG_VOLUME = "containerd-config"

# Arguments: the instance, the directory's name on the node, then registry and file content in turn.
# - A file is ours when its first line says so and the rest has the checksum that the first line tells: what somebody
#   has changed since is not what we wrote.
# - `ln` and not `mv` puts it there: it fails where a file has come meanwhile.
# - A signal asks to leave and ends the pause; it never interrupts the writing of a file.
_SCRIPT = r"""
mark="# written by dragonfly $1, sha256"
path="$2"
unfinished=".hosts.toml-$(printf '%s' "$1" | tr / _)"
shift 2

ours() {
  [ -f "$1" ] && [ ! -L "$1" ] && [ ! -L "${1%/*}" ] || return 1
  first=$(head -n 1 "$1")
  case "$first" in "$mark "*) ;; *) return 1 ;; esac
  sum="${first#"$mark "}"
  [ "$(tail -n +2 "$1" | sha256sum | cut -d ' ' -f 1)" = "${sum%% *}" ]
}

remove_ours() {
  rm -f "$HOSTS"/*/"$unfinished"
  for file in "$HOSTS"/*/hosts.toml; do
    ours "$file" || continue
    first=$(head -n 1 "$file")
    rm -f "$file"
    case "$first" in *" and its directory") rmdir "${file%/*}" 2>/dev/null ;; esac
  done
}

named() {
  # In the table whose name ends in `registry`, whatever the version of the config.
  table='/^ *\[.*\.registry\]/,/^ *\[/'
  value='s/^ *config_path *= *["'\'']\([^"'\'']*\)["'\''].*/\1/p'
  for file in "$CONFIG"/config.toml "$CONFIG"/*.d/*.toml; do
    [ -f "$file" ] || continue
    paths=$(tr '\t' ' ' <"$file" | sed -n "$table $value")
    # Several directories may be named, with colons between them.
    case ":$paths:" in *":$path:"*) return 0 ;; esac
  done
  return 1
}

write() {
  directory="$HOSTS/$1"
  suffix=
  mkdir "$directory" 2>/dev/null && suffix=" and its directory"
  if [ -L "$directory" ] || [ -e "$directory/hosts.toml" ]; then
    echo "$path/$1/hosts.toml is not ours: left as it is, pulls from $1 do not go through the peer"
    return
  fi
  sum=$(printf '%s' "$2" | sha256sum | cut -d ' ' -f 1)
  new="$directory/$unfinished"
  result="$path/$1/hosts.toml could not be written"
  printf '%s %s%s\n%s' "$mark" "$sum" "$suffix" "$2" >"$new" && ln "$new" "$directory/hosts.toml" &&
    result="pulls from $1 go through the peer"
  rm -f "$new"
  echo "$result"
}

leave=
trap 'leave=1; kill "$!" 2>/dev/null' TERM INT
before=
while [ -z "$leave" ]; do
  if named; then now=named; else now=absent; fi
  if [ "$now" != "$before" ]; then
    before=$now
    remove_ours
    if [ "$now" = named ]; then
      set -- "$@" ""
      while [ -n "$1" ]; do
        write "$1" "$2"
        set -- "$@" "$1" "$2"
        shift 2
      done
      shift
    else
      echo "containerd on this node does not name $path as its config_path: it would ignore mirrors, none are written"
    fi
  fi
  sleep 5 &
  [ -n "$leave" ] || wait "$!"
done
remove_ours
exit 0
"""


@dataclass(frozen=True)
class NodeMirrors:
    """Mirrors of the nodes of an existing cluster.

    Args:
        mirrors: the registries.
        proxy_port: of the peer's proxy on the node's loopback address.
        config_path: directory of the node that its containerd names as `config_path`.
    """

    mirrors: Sequence[RegistryMirror]
    proxy_port: int
    config_path: str

    def container(self, image: str, instance: pulumi.Input[str]) -> core.ContainerArgs:
        """The container beside the peer.

        Args:
            image: the peer's, which has a shell and is on the node already.
            instance: what tells this instance from every other in the cluster.
        """
        files: list[pulumi.Input[str]] = []
        for mirror in self.mirrors:
            files += [mirror.registry, hosts_file(mirror, self.proxy_port)]
        security = container_security_context(0)
        # containerd's directories belong to root. Without capabilities, on a read-only image, that means no more than
        # owning them.
        security.run_as_non_root = False
        return core.ContainerArgs(
            name="registry-mirrors",
            image=image,
            command=["/bin/sh", "-c", _SCRIPT, "registry-mirrors", instance, self.config_path, *files],
            env=[core.EnvVarArgs(name="HOSTS", value=_HOSTS), core.EnvVarArgs(name="CONFIG", value=_CONFIG)],
            resources=MIRROR_WRITER_RESOURCES.requirements(),
            security_context=security,
            volume_mounts=[
                core.VolumeMountArgs(name=_HOSTS_VOLUME, mount_path=_HOSTS),
                core.VolumeMountArgs(name=_CONFIG_VOLUME, mount_path=_CONFIG, read_only=True),
            ],
        )

    def volumes(self) -> list[core.VolumeArgs]:
        """The node's directories that the container sees.

        The mirrors', to write, and the one above it, to read: only containerd's own config says whether it looks for
        mirrors at all. The script reads config.toml and what is beside it in *.d there; whoever takes over the
        container could read the rest, too, such as a registry's password in that config. Settings sees to it that both
        are containerd's and no other directory of the node.
        """
        directories = {_HOSTS_VOLUME: self.config_path, _CONFIG_VOLUME: posixpath.dirname(self.config_path)}
        return [
            core.VolumeArgs(name=name, host_path=core.HostPathVolumeSourceArgs(path=path, type="DirectoryOrCreate"))
            for name, path in directories.items()
        ]


def hosts_file(mirror: RegistryMirror, proxy_port: int) -> str:
    """What a registry's hosts.toml says (containerd documentation, "Registry Configuration").

    Args:
        mirror: the registry.
        proxy_port: of the peer's proxy on the node's loopback address.
    """
    *between, last = mirror.fallbacks
    peer = _text(peer_proxy(proxy_port))
    capabilities = '  capabilities = ["pull", "resolve"]'
    lines = [
        # Asked when no host below answers.
        f"server = {_text(last)}",
        f"[host.{peer}]",
        capabilities,
        f"[host.{peer}.header]",
        f"  {REGISTRY_HEADER} = {_text(mirror.upstream)}",
    ]
    for url in between:
        lines += [f"[host.{_text(url)}]", capabilities]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    # A string of JSON is one of TOML.
    return json.dumps(value)
