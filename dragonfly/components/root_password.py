"""The console's root user gets a password of the stack's own, by a Job, as soon as the manager answers.

A manager that starts for the first time makes the user `root` with a password that is in Dragonfly's documentation:
without this, whoever reaches the port owns the console.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.batch import v1 as batch
from pulumi_kubernetes.core import v1 as core

from dragonfly.instance.objects import Instance
from dragonfly.parts import ports
from dragonfly.parts.container_resources import ROOT_PASSWORD_RESOURCES
from dragonfly.parts.images import Image
from dragonfly.parts.labels import Component
from dragonfly.pods.config_mount import config_mount, config_volume
from dragonfly.pods.security import DRAGONFLY_UID, container_security_context, secured
from dragonfly.scripts.shell_command import shell_command
from dragonfly.scripts.wait_for import start_when_reachable
from dragonfly.updates.leftover_job import replaces_leftover

ROOT_PASSWORD_KEY = "root-password"  # noqa: S105 - the name of a key
PUBLIC_PASSWORD = "dragonfly"  # noqa: S105 - Dragonfly's documentation tells everybody
_DIRECTORY = "/etc/dragonfly"

_PATIENCE_SECONDS = 1
# Of both passwords, by a manager that has read its database each time: once might fall between two answers of its.
_REFUSALS_THAT_CONVINCE = 3


def set_root_password(
    host: str,
    port: int,
    password_file: str,
    refusals: int = _REFUSALS_THAT_CONVINCE,
    patience_seconds: float = _PATIENCE_SECONDS,
) -> list[str]:
    """Return the command that gives root its password, and ends once root has one that is not public.

    Args:
        host: of the manager's REST API.
        port: of the same.
        password_file: holds the new password.
        refusals: how often in a row both passwords must be refused for the Job to give up.
        patience_seconds: between two such tries, and how long an answer may take.
    """
    arguments = [host, str(port), password_file, PUBLIC_PASSWORD, str(refusals), str(patience_seconds)]
    return start_when_reachable([f"{host}:{port}"], shell_command("set_root_password", *arguments))


@dataclass(frozen=True)
class RootPasswordArgs:
    """What the Job needs to know.

    Args:
        instance: the instance that the manager belongs to.
        secret: name of the Secret that holds the new password.
        password: the same password, secret.
    """

    instance: Instance
    secret: pulumi.Input[str]
    password: pulumi.Input[str]


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
                    metadata=instance.pod_metadata(Component.ROOT_PASSWORD, args.password),
                    spec=secured(
                        core.PodSpecArgs(
                            restart_policy="OnFailure",
                            containers=[
                                core.ContainerArgs(
                                    name="root-password",
                                    # The manager's, which is on the node already.
                                    image=instance.images.reference(Image.MANAGER),
                                    command=set_root_password(
                                        names.manager_service,
                                        ports.MANAGER_REST,
                                        f"{_DIRECTORY}/{ROOT_PASSWORD_KEY}",
                                        # A Job that gave up while the cache refuses would leave the public password.
                                        _REFUSALS_THAT_CONVINCE
                                        + instance.line.password_cache_seconds // _PATIENCE_SECONDS,
                                    ),
                                    resources=ROOT_PASSWORD_RESOURCES.requirements(),
                                    security_context=container_security_context(),
                                    volume_mounts=[config_mount(_DIRECTORY)],
                                )
                            ],
                            volumes=[config_volume(args.secret, ROOT_PASSWORD_KEY)],
                        ),
                        DRAGONFLY_UID,
                        instance.pull_secrets,
                    ),
                ),
            ),
            opts=pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions.merge(
                    instance.workload_options(self),
                    replaces_leftover(instance.access, instance.namespace, names.root_password_job),
                ),
                # A changed Job runs anew, and one that had a TTL is no more: it can be deleted again, not updated.
                pulumi.ResourceOptions(replace_on_changes=["spec"], delete_before_replace=True),
            ),
        )
        self.register_outputs({})
