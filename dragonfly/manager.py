"""The manager: REST API, console and the registry of schedulers and seed peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apps import v1 as apps

from dragonfly import ports
from dragonfly.images import Image
from dragonfly.instance import Instance
from dragonfly.labels import Component
from dragonfly.manager_config import manager_config
from dragonfly.program import Program, program_pod


@dataclass(frozen=True)
class ManagerArgs:
    """What the manager needs to know.

    Args:
        instance: the instance that it belongs to.
        image: full image reference.
        mysql_password: of its MySQL user, secret.
        redis_password: secret.
        token_key: signs the console's tokens, secret.
        config_hash_key: key of the hash by which pods roll, secret.
        after: see `Program.after`.
    """

    instance: Instance
    image: str
    mysql_password: pulumi.Input[str]
    redis_password: pulumi.Input[str]
    token_key: pulumi.Input[str]
    config_hash_key: pulumi.Input[str]
    after: Sequence[pulumi.Resource]


class Manager(pulumi.ComponentResource):
    """One manager behind one Service."""

    def __init__(self, name: str, args: ManagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dragonfly:manager:Manager", name, None, opts)
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
            image_key=Image.MANAGER,
            image=args.image,
            command=("/opt/dragonfly/bin/server",),
            config_secret=names.manager_config,
            config_file="manager.yaml",
            config=manager_config(
                names,
                mysql_password=args.mysql_password,
                redis_password=args.redis_password,
                token_key=args.token_key,
            ),
            config_hash_key=args.config_hash_key,
            waits_for=(f"{names.mysql_service}:{ports.MYSQL}", f"{names.redis_service}:{ports.REDIS}"),
            ports={"http": ports.MANAGER_REST, "grpc": ports.MANAGER_GRPC, "metrics": ports.METRICS},
            after=args.after,
        )
        apps.Deployment(
            name,
            metadata=instance.metadata(names.manager, Component.MANAGER),
            spec=apps.DeploymentSpecArgs(
                replicas=1,
                selector=instance.selector(Component.MANAGER),
                # The new pod answers before the old one goes: the REST API stays up while a new image rolls out.
                strategy=apps.DeploymentStrategyArgs(
                    type="RollingUpdate",
                    rolling_update=apps.RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0),
                ),
                template=program_pod(name, instance, program, parent=self),
            ),
            opts=instance.workload_options(self),
        )
        self.register_outputs({})
