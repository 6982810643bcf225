"""What all objects of one Dragonfly instance share: namespace, names, labels and how long they are awaited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from dragonfly.access.cluster_access import ClusterAccess
from dragonfly.config_files.document import HASH_ANNOTATION, document_hash
from dragonfly.lines.release_line import ReleaseLine
from dragonfly.parts.images import Images
from dragonfly.parts.labels import Component, component_labels, instance_labels, selector
from dragonfly.parts.names import Names
from dragonfly.updates.line_change import LineChange, line_annotations
from dragonfly.updates.rollout import awaits_rollout

_SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
# What the program declares is the program's: a value that somebody changed with kubectl is theirs by the rules of
# server-side apply, and the next update would end in a conflict instead of healing the drift.
PATCH_FORCE = {"pulumi.com/patchForce": "true"}
"""Annotations of every object."""


@dataclass(frozen=True)
class Instance:
    """One Dragonfly instance in one namespace.

    Args:
        names: the names of its objects.
        namespace: the namespace's name, known once the namespace exists.
        ready_timeout_seconds: how long a workload may take to become Ready.
        access: to the cluster.
        line: the release line that it runs.
        images: its images.
        pull_secrets: names of Secrets of the namespace by which nodes sign in to registries.
        config_hash_key: key of the hash by which pods roll, secret.
        line_change: how it moves from one release line to another.
    """

    names: Names
    namespace: pulumi.Input[str]
    ready_timeout_seconds: int
    access: ClusterAccess
    line: ReleaseLine
    images: Images
    pull_secrets: Sequence[str]
    config_hash_key: pulumi.Input[str]
    line_change: LineChange

    def metadata(self, name: str, component: Component | None = None, *, awaited: bool = True) -> meta.ObjectMetaArgs:
        """Metadata of an object of a component, or of the whole instance.

        Args:
            name: the object's name.
            component: the component that it belongs to, if one.
            awaited: whether `pulumi up` waits, once it is made or changed, until the plug-in calls it ready.
        """
        labels = component_labels(self.names.app, component) if component else instance_labels(self.names.app)
        annotations = PATCH_FORCE if awaited else {**PATCH_FORCE, **_SKIP_AWAIT}
        return meta.ObjectMetaArgs(name=name, namespace=self.namespace, labels=labels, annotations=annotations)

    def program_metadata(self, name: str, component: Component) -> meta.ObjectMetaArgs:
        """Metadata of the workload or the config of one of Dragonfly's own programs, which tells its release line."""
        metadata = self.metadata(name, component)
        metadata.annotations = {**PATCH_FORCE, **line_annotations(self.line.name)}
        return metadata

    def cluster_metadata(self, name: pulumi.Input[str], component: Component) -> meta.ObjectMetaArgs:
        """Metadata of a component's object that no namespace has."""
        return meta.ObjectMetaArgs(
            name=name, labels=component_labels(self.names.app, component), annotations=PATCH_FORCE
        )

    def pod_metadata(self, component: Component, *documents: pulumi.Input[str]) -> meta.ObjectMetaArgs:
        """Metadata of a component's pod template.

        Args:
            component: whose pods they are.
            documents: what they read when they start; a changed one rolls them.
        """
        config_hash = document_hash(self.config_hash_key, *documents)
        return meta.ObjectMetaArgs(
            labels=component_labels(self.names.app, component), annotations={HASH_ANNOTATION: config_hash}
        )

    def selector(self, component: Component) -> meta.LabelSelectorArgs:
        """Return the selector of a component's workload."""
        return meta.LabelSelectorArgs(match_labels=selector(self.names.app, component))

    def service(
        self,
        resource_name: str,
        *,
        name: str,
        component: Component,
        ports: dict[str, int],
        headless: bool = False,
        publish_not_ready_addresses: bool = False,
        parent: pulumi.Resource,
    ) -> core.Service:
        """Return a Service inside the cluster for a component's pods.

        Args:
            resource_name: Pulumi's name of the resource.
            name: the Service's name.
            component: whose pods it leads to.
            ports: port numbers by name; the pods listen on the same numbers.
            headless: without an address of its own; gives the pods of a StatefulSet their DNS names.
            publish_not_ready_addresses: lead to pods that are not Ready too.
            parent: the component resource that the Service belongs to.
        """
        return core.Service(
            resource_name,
            # One with a selector is awaited until it has endpoints, and the engine runs four operations per CPU at
            # once: the pods that would become those endpoints could be left waiting behind their own Services.
            metadata=self.metadata(name, component, awaited=False),
            spec=core.ServiceSpecArgs(
                # Nothing here speaks TLS: an address outside the cluster would send passwords over the network.
                type="ClusterIP",
                cluster_ip="None" if headless else None,
                selector=selector(self.names.app, component),
                ports=[
                    core.ServicePortArgs(name=port, port=number, target_port=number) for port, number in ports.items()
                ],
                publish_not_ready_addresses=publish_not_ready_addresses or None,
            ),
            opts=pulumi.ResourceOptions(parent=parent),
        )

    def stateful_set(
        self,
        resource_name: str,
        *,
        name: str,
        component: Component,
        service_name: str,
        template: core.PodTemplateSpecArgs,
        parent: pulumi.Resource,
        line_change: pulumi.ResourceOptions | None = None,
    ) -> apps.StatefulSet:
        """One pod that keeps its name, awaited until it is Ready.

        Args:
            resource_name: Pulumi's name of the resource.
            name: the StatefulSet's name.
            component: whose pod it is.
            service_name: of the headless Service that gives the pod its DNS name.
            template: of the pod.
            parent: the component resource that it belongs to.
            line_change: options of one of Dragonfly's own programs, which has a release line.
        """
        stateful_set = apps.StatefulSet(
            resource_name,
            metadata=self.program_metadata(name, component) if line_change else self.metadata(name, component),
            spec=apps.StatefulSetSpecArgs(
                replicas=1,
                service_name=service_name,
                selector=self.selector(component),
                # In order, a pod that cannot start (its image's tag is wrong) is waited for before it is replaced: for
                # ever, also after the tag was put right (Kubernetes: StatefulSets, "Forced rollback").
                pod_management_policy="Parallel",
                template=template,
            ),
            opts=pulumi.ResourceOptions.merge(self.workload_options(parent), line_change),
        )
        awaits_rollout(stateful_set, names=self.names, access=self.access, seconds=self.ready_timeout_seconds)
        return stateful_set

    def workload_options(self, parent: pulumi.Resource) -> pulumi.ResourceOptions:
        """Options of a workload, which is awaited until its pods are Ready."""
        timeout = f"{self.ready_timeout_seconds}s"
        return pulumi.ResourceOptions(
            parent=parent,
            custom_timeouts=pulumi.CustomTimeouts(create=timeout, update=timeout, delete=timeout),
        )
