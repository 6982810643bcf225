"""How each of the four Dragonfly programs runs in a pod: they differ in config, ports and what they wait for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.core import v1 as core

from dragonfly.config_files.document import Document, render_yaml
from dragonfly.instance.object_name import object_name
from dragonfly.instance.objects import Instance
from dragonfly.parts.images import Image
from dragonfly.parts.labels import Component
from dragonfly.parts.names import DATA_VOLUME
from dragonfly.parts.work_directories import CONFIG, work_mounts, work_volume
from dragonfly.pods import probes
from dragonfly.pods.claim import data_volume
from dragonfly.pods.config_mount import config_mount, config_volume
from dragonfly.pods.security import DRAGONFLY_UID, container_security_context, secured
from dragonfly.scripts.wait_for import start_when_reachable


@dataclass(frozen=True)
class Program:
    """One Dragonfly program.

    Args:
        component: which component it is.
        name: name of its container, as in the chart.
        image: which image it runs.
        command: the binary with its arguments.
        config_secret: name of the Secret that holds its config files.
        files: these, by name.
        waits_for: `host:port` of everything without which it exits.
        ports: the TCP ports that it listens on, by name; `grpc` is asked for its health.
        udp_ports: the same of UDP.
        work_size_limit: of what it writes besides its log, a Kubernetes quantity.
        after: resources that must exist before its workload is handed to the engine.
        linger_seconds: how long it goes on serving once its pod is to go.
        data_claim: what keeps its DATA when the pod goes; None where it goes with the pod.
    """

    component: Component
    name: str
    image: Image
    command: tuple[str, ...]
    config_secret: str
    files: Mapping[str, Document]
    waits_for: tuple[str, ...]
    ports: Mapping[str, int]
    work_size_limit: str
    after: Sequence[pulumi.Resource]
    udp_ports: Mapping[str, int] = field(default_factory=dict[str, int])
    linger_seconds: int = 0
    data_claim: core.PersistentVolumeClaim | None = None


@dataclass(frozen=True)
class ProgramPod:
    """What a program's workload is made of.

    Attributes:
        template: of its pods.
        config: the Secret that holds its config files.
    """

    template: core.PodTemplateSpecArgs
    config: core.Secret


def program_pod(
    resource_name: str,
    instance: Instance,
    program: Program,
    *,
    host_network: bool = False,
    line_change: pulumi.ResourceOptions | None = None,
    parent: pulumi.Resource,
) -> ProgramPod:
    """Declare a program's config Secret and give the template of the pod that reads it.

    Args:
        resource_name: Pulumi's name of the component's workload.
        instance: the instance that the program belongs to.
        program: which program, and with what config.
        host_network: on the node's own network, where two programs cannot have the same port.
        line_change: options of what moves to another release line with its workload: a pod of the line before that is
            made meanwhile needs its files.
        parent: the program's component resource.
    """
    texts = {name: render_yaml(document) for name, document in program.files.items()}
    secret = core.Secret(
        f"{resource_name}-config",
        metadata=instance.program_metadata(program.config_secret, program.component),
        string_data=texts,
        opts=pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=parent, depends_on=program.after), line_change),
    )
    check = probes.Grpc(program.ports["grpc"])
    template = core.PodTemplateSpecArgs(
        metadata=instance.pod_metadata(program.component, *texts.values()),
        spec=secured(
            core.PodSpecArgs(
                host_network=host_network or None,
                # On the node's network a pod would otherwise get the node's DNS, which knows no Services.
                dns_policy="ClusterFirstWithHostNet" if host_network else None,
                # "Every node" includes those that are kept for special work.
                tolerations=[core.TolerationArgs(operator="Exists")] if host_network else None,
                containers=[
                    core.ContainerArgs(
                        name=program.name,
                        image=instance.images.reference(program.image),
                        command=start_when_reachable(program.waits_for, program.command),
                        ports=[
                            core.ContainerPortArgs(
                                name=name,
                                container_port=number,
                                protocol=protocol,
                                # The Kubernetes scheduler then puts no two instances on the same ports.
                                host_port=number if host_network else None,
                            )
                            # TCP is what a port is unless it says more.
                            for protocol, ports in ((None, program.ports), ("UDP", program.udp_ports))
                            for name, number in ports.items()
                        ],
                        resources=instance.line.resources[program.image].requirements(),
                        security_context=container_security_context(),
                        lifecycle=_linger(program.linger_seconds) if program.linger_seconds else None,
                        startup_probe=probes.startup(check),
                        readiness_probe=probes.readiness(check),
                        liveness_probe=probes.liveness(check),
                        volume_mounts=[
                            config_mount(CONFIG),
                            *(work_mounts(DATA_VOLUME) if program.data_claim else work_mounts()),
                        ],
                    )
                ],
                volumes=[
                    config_volume(object_name(secret), *program.files),
                    work_volume(program.work_size_limit),
                    *([data_volume(program.data_claim)] if program.data_claim else []),
                ],
            ),
            DRAGONFLY_UID,
            instance.pull_secrets,
        ),
    )
    return ProgramPod(template, secret)


def _linger(seconds: int) -> core.LifecycleArgs:
    # Every image has the command; kubelet's own `sleep` would ask for a cluster of Kubernetes 1.30 or later.
    return core.LifecycleArgs(
        pre_stop=core.LifecycleHandlerArgs(exec_=core.ExecActionArgs(command=["sleep", str(seconds)]))
    )
