"""The console's root user gets a password of the stack's own, by a Job, as soon as the manager answers.

A manager that starts for the first time makes the user `root` with a password that is in Dragonfly's documentation:
without this, whoever reaches the port owns the console.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.batch import v1 as batch
from pulumi_kubernetes.core import v1 as core

from dragonfly.config_files.document import document_hash
from dragonfly.instance.objects import Instance
from dragonfly.parts import ports
from dragonfly.parts.container_resources import ROOT_PASSWORD_RESOURCES
from dragonfly.parts.labels import Component
from dragonfly.pods.config_mount import config_mount, config_volume
from dragonfly.pods.security import DRAGONFLY_UID, container_security_context, secured
from dragonfly.scripts.wait_for import start_when_reachable

ROOT_PASSWORD_KEY = "root-password"  # noqa: S105 - the name of a key
PUBLIC_PASSWORD = "dragonfly"  # noqa: S105 - Dragonfly's documentation tells everybody
_DIRECTORY = "/etc/dragonfly"

_PATIENCE_SECONDS = 1
# Of both passwords, by a manager that has read its database each time: once might fall between two answers of its.
_REFUSALS_THAT_CONVINCE = 3

# Arguments: host and port of the manager's REST API, and the file that holds the new password.
# - Requests go through the shell's own printf and standard input: an argument of a program shows in `ps`.
# - Debian's images have bash but no HTTP client, upstream's Alpine images busybox's nc but no bash.
# - nc's input stays open until the answer is there: at its end nc closes its half of the connection, which the manager
#   takes for a client that has gone.
# - A sign-in is answered 401 when the password is wrong, and when the manager's database is away too. A reset is
#   answered 401 only when the database was read and the old password is wrong, without the database 500: it is what
#   tells that the public password is gone. 422 is for a new password that the manager does not take.
_SCRIPT = r"""
trap 'exit 143' TERM INT
host="$1"
port="$2"
new=$(cat "$3")

answer() {
  if command -v bash >/dev/null 2>&1; then
    timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"; cat >&3; head -n 1 <&3' "$host" "$port" 2>/dev/null
  else
    { cat; sleep PATIENCE; } | timeout 5 nc "$host" "$port" 2>/dev/null | head -n 1
  fi
}

request() {
  printf 'POST /api/v1/users/%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n' "$1" "$host"
  printf 'Content-Length: %s\r\nConnection: close\r\n\r\n%s' "${#2}" "$2"
}

post() {
  request "$1" "$2" | answer | { read -r _ status _; echo "$status"; }
}

sign_in() {
  post signin "{\"name\":\"root\",\"password\":\"$new\"}"
}

refused=0
while true; do
  case "$(sign_in)" in
  200)
    echo "root signs in with this stack's password"
    exit 0
    ;;
  401)
    status=$(post 1/reset_password "{\"old_password\":\"PUBLIC\",\"new_password\":\"$new\"}")
    case "$status" in
    401)
      refused=$((refused + 1))
      if [ "$refused" -ge TIMES ]; then
        echo "root has a password that somebody has chosen in the console; it stays"
        exit 0
      fi
      sleep PATIENCE
      continue
      ;;
    422)
      echo "the manager refuses the new password: HTTP status $status"
      exit 1
      ;;
    esac
    ;;
  esac
  refused=0
  sleep 0.2
done
"""


def set_root_password(
    host: str,
    port: int,
    password_file: str,
    refusals: int = _REFUSALS_THAT_CONVINCE,
    patience_seconds: float = _PATIENCE_SECONDS,
) -> list[str]:
    """The command that gives root its password, and ends once root has one that is not public.

    Args:
        host: of the manager's REST API.
        port: of the same.
        password_file: holds the new password.
        refusals: how often in a row both passwords must be refused for the Job to give up.
        patience_seconds: between two such tries, and how long an answer may take.
    """
    text = _SCRIPT
    for word, value in {"PUBLIC": PUBLIC_PASSWORD, "TIMES": refusals, "PATIENCE": patience_seconds}.items():
        text = text.replace(word, str(value))
    script = ["/bin/sh", "-c", text, "set-root-password", host, str(port), password_file]
    return start_when_reachable([f"{host}:{port}"], script)


@dataclass(frozen=True)
class RootPasswordArgs:
    """What the Job needs to know.

    Args:
        instance: the instance that the manager belongs to.
        image: the manager's, which is on the node already.
        secret: name of the Secret that holds the new password.
        password: the same password, secret.
        config_hash_key: key of the hash by which the Job is run again when the password changes, secret.
    """

    instance: Instance
    image: str
    secret: pulumi.Input[str]
    password: pulumi.Input[str]
    config_hash_key: pulumi.Input[str]


class RootPassword(pulumi.ComponentResource):
    """The Job that sets the console's root password."""

    def __init__(self, name: str, args: RootPasswordArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dragonfly:root_password:RootPassword", name, None, opts)
        instance, names = args.instance, args.instance.names
        batch.Job(
            name,
            metadata=instance.metadata(names.root_password_job, Component.ROOT_PASSWORD),
            spec=batch.JobSpecArgs(
                # It stays when it is done: with `ttlSecondsAfterFinished` every refresh would find it gone, for ever.
                template=core.PodTemplateSpecArgs(
                    # Not the manager's label: its Service would lead to this pod.
                    metadata=instance.pod_metadata(
                        Component.ROOT_PASSWORD, document_hash(args.config_hash_key, args.password)
                    ),
                    spec=secured(
                        core.PodSpecArgs(
                            restart_policy="OnFailure",
                            containers=[
                                core.ContainerArgs(
                                    name="root-password",
                                    image=args.image,
                                    command=set_root_password(
                                        names.manager_service, ports.MANAGER_REST, f"{_DIRECTORY}/{ROOT_PASSWORD_KEY}"
                                    ),
                                    resources=ROOT_PASSWORD_RESOURCES.requirements(),
                                    security_context=container_security_context(),
                                    volume_mounts=[config_mount(_DIRECTORY)],
                                )
                            ],
                            volumes=[config_volume(args.secret, ROOT_PASSWORD_KEY)],
                        ),
                        DRAGONFLY_UID,
                    ),
                ),
            ),
            opts=pulumi.ResourceOptions.merge(
                instance.workload_options(self),
                # A changed Job runs anew, and one that had a TTL is no more: it can be deleted again, not updated.
                pulumi.ResourceOptions(replace_on_changes=["spec"], delete_before_replace=True),
            ),
        )
        self.register_outputs({})
