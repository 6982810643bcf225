"""The scheduler: decides which peer downloads from which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from dragonfly.instance.objects import Instance
from dragonfly.parts import ports
from dragonfly.parts.images import Image
from dragonfly.parts.labels import Component
from dragonfly.parts.work_directories import CONFIG
from dragonfly.pods.program import Program, program_pod

_CONFIG_FILE = "scheduler.yaml"


@dataclass(frozen=True)
class SchedulerArgs:
    """What the scheduler needs to know.

    Args:
        instance: the instance that it belongs to.
        redis_password: secret.
        after: see `Program.after`.
    """

    instance: Instance
    redis_password: pulumi.Input[str]
    after: Sequence[pulumi.Resource]


class Scheduler(pulumi.ComponentResource):
    """One scheduler with a stable name, behind one Service."""

    def __init__(self, name: str, args: SchedulerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dragonfly:scheduler:Scheduler", name, None, opts)
        instance, names = args.instance, args.instance.names
        instance.service(
            f"{name}-service",
            name=names.scheduler_service,
            component=Component.SCHEDULER,
            ports={"grpc": ports.SCHEDULER_GRPC},
            parent=self,
        )
        instance.service(
            f"{name}-headless",
            name=names.scheduler_headless,
            component=Component.SCHEDULER,
            ports={"grpc": ports.SCHEDULER_GRPC},
            headless=True,
            # Who looks for a name that stands for nobody yet is told so for a while more: CoreDNS keeps the answer for
            # five seconds. The client asks each address itself whether it is healthy.
            publish_not_ready_addresses=instance.line.finds_schedulers_by_name,
            parent=self,
        )
        program = Program(
            component=Component.SCHEDULER,
            name="scheduler",
            image=Image.SCHEDULER,
            command=("/opt/dragonfly/bin/scheduler", "--config", f"{CONFIG}/{_CONFIG_FILE}"),
            config_secret=names.scheduler_config,
            files={_CONFIG_FILE: instance.line.scheduler_config(names, redis_password=args.redis_password)},
            waits_for=(f"{names.redis_service}:{ports.REDIS}", f"{names.manager_service}:{ports.MANAGER_GRPC}"),
            ports={"grpc": ports.SCHEDULER_GRPC, "metrics": ports.METRICS},
            work_size_limit="1Gi",
            after=args.after,
        )
        line_change = instance.line_change.after("Deployment", names.manager, name, 1)
        instance.stateful_set(
            name,
            name=names.scheduler,
            component=Component.SCHEDULER,
            service_name=names.scheduler_headless,
            template=program_pod(name, instance, program, line_change=line_change, parent=self).template,
            parent=self,
            line_change=line_change,
        )
        self.register_outputs({})
