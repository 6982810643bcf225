"""The manager: REST API, console and the registry of schedulers and seed peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core

from dragonfly.components.root_password import ROOT_PASSWORD_KEY, RootPassword, RootPasswordArgs
from dragonfly.config_files.manager import ManagerSecrets
from dragonfly.instance.object_name import object_name
from dragonfly.instance.objects import Instance
from dragonfly.parts import ports
from dragonfly.parts.images import Image
from dragonfly.parts.labels import Component
from dragonfly.parts.work_directories import CONFIG
from dragonfly.pods.program import Program, program_pod
from dragonfly.updates.line_change import FIRST_LINE, RELEASE_LINE

_CONFIG_FILE = "manager.yaml"

# A program that is told to end closes its ports at once, but the nodes learn only after it that the pod is no longer
# behind the Service: until then connections are refused, one or two at each roll when asked fifty times a second.
_LINGER_SECONDS = 5


@dataclass(frozen=True)
class ManagerArgs:
    """What the manager needs to know.

    Args:
        instance: the instance that it belongs to.
        mysql_password: of its MySQL user, secret.
        redis_password: secret.
        token_key: signs the console's tokens, secret.
        root_password: of the console's user root, secret.
        after: see `Program.after`.
    """

    instance: Instance
    mysql_password: pulumi.Input[str]
    redis_password: pulumi.Input[str]
    token_key: pulumi.Input[str]
    root_password: pulumi.Input[str]
    after: Sequence[pulumi.Resource]


class Manager(pulumi.ComponentResource):
    """One manager behind one Service, whose console nobody opens with a public password."""

    pulumi_type = "dragonfly:manager:Manager"

    def __init__(self, name: str, args: ManagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.pulumi_type, name, None, opts)
        instance, names = args.instance, args.instance.names
        instance.service(
            f"{name}-service",
            name=names.manager_service,
            component=Component.MANAGER,
            ports={"http": ports.MANAGER_REST, "grpc": ports.MANAGER_GRPC},
            parent=self,
        )
        program = Program(
            component=Component.MANAGER,
            name="manager",
            image=Image.MANAGER,
            command=("/opt/dragonfly/bin/server", "--config", f"{CONFIG}/{_CONFIG_FILE}"),
            config_secret=names.manager_config,
            files={
                _CONFIG_FILE: instance.line.manager_config(
                    names, ManagerSecrets(args.mysql_password, args.redis_password, args.token_key)
                )
            },
            waits_for=(f"{names.mysql_service}:{ports.MYSQL}", f"{names.redis_service}:{ports.REDIS}"),
            ports={"http": ports.MANAGER_REST, "grpc": ports.MANAGER_GRPC, "metrics": ports.METRICS},
            work_size_limit="1Gi",
            after=args.after,
            linger_seconds=_LINGER_SECONDS,
        )
        pod = program_pod(name, instance, program, parent=self)
        apps.Deployment(
            name,
            metadata=instance.program_metadata(names.manager, Component.MANAGER),
            spec=apps.DeploymentSpecArgs(
                replicas=1,
                selector=instance.selector(Component.MANAGER),
                # The new pod answers before the old one goes: the REST API stays up while a new image rolls out.
                strategy=apps.DeploymentStrategyArgs(
                    type="RollingUpdate",
                    rolling_update=apps.RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0),
                ),
                template=pod.template,
            ),
            opts=pulumi.ResourceOptions.merge(instance.workload_options(self), instance.line_change.of_manager()),
        )
        secret = core.Secret(
            f"{name}-secret",
            metadata=instance.metadata(names.manager_secret, Component.MANAGER),
            string_data={ROOT_PASSWORD_KEY: args.root_password},
            # The Deployment waits for the same and so has its place in the engine before the Job, which waits for it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[pod.config]),
        )
        RootPassword(
            "root-password",
            RootPasswordArgs(
                instance=instance,
                secret=object_name(secret),
                password=args.root_password,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        line = instance.line.name
        # As with the annotation, those of the first line tell none.
        self.register_outputs({} if line == FIRST_LINE else {RELEASE_LINE: line})
