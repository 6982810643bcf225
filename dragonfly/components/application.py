"""The Application custom resource, by which the GKE console shows the installation as one thing."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import apiextensions
from pulumi_kubernetes.apiextensions import v1 as crd
from pulumi_kubernetes.meta import v1 as meta

from dragonfly.components import mysql, redis
from dragonfly.components.root_password import ROOT_PASSWORD_KEY
from dragonfly.instance.objects import Instance
from dragonfly.parts import ports
from dragonfly.parts.labels import instance_selector
from dragonfly.parts.names import APPLICATION_CRD

GROUP = "app.k8s.io"
VERSION = "v1beta1"
KIND = "Application"

# Whoever applies the definition again under this name owns it already: after a destroy, which leaves the definition in
# the cluster, the next installation takes it up. A definition that somebody else installed is not ours to change, and
# the API server reports a conflict instead.
_FIELD_MANAGER = "dragonfly-pulumi"


@dataclass(frozen=True)
class ApplicationArgs:
    """What the Application needs to know.

    Args:
        instance: the instance that it describes.
        version: Dragonfly's version, as the console shows it.
        install_crd: define the kind Application in the cluster.
        port_forward_command: how to reach the console from a workstation.
        console_url: where the console answers then.
    """

    instance: Instance
    version: str
    install_crd: bool
    port_forward_command: pulumi.Input[str]
    console_url: str


class Application(pulumi.ComponentResource):
    """The definition of the kind, unless the cluster has it, and one custom resource."""

    def __init__(self, name: str, args: ApplicationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dragonfly:application:Application", name, None, opts)
        definition = _definition(self) if args.install_crd else None
        apiextensions.CustomResource(
            name,
            api_version=f"{GROUP}/{VERSION}",
            kind=KIND,
            metadata=args.instance.metadata(args.instance.names.app),
            spec=_spec(args),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[definition] if definition else None),
        )
        self.register_outputs({})


def _definition(parent: pulumi.Resource) -> crd.CustomResourceDefinitionPatch:
    return crd.CustomResourceDefinitionPatch(
        "application-crd",
        metadata=meta.ObjectMetaPatchArgs(
            name=APPLICATION_CRD,
            annotations={
                # Kinds under *.k8s.io are refused without it.
                "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/application/pull/2",
                "pulumi.com/patchFieldManager": _FIELD_MANAGER,
            },
        ),
        spec=crd.CustomResourceDefinitionSpecPatchArgs(
            group=GROUP,
            scope="Namespaced",
            names=crd.CustomResourceDefinitionNamesPatchArgs(
                kind=KIND,
                list_kind=f"{KIND}List",
                plural="applications",
                singular="application",
            ),
            versions=[
                crd.CustomResourceDefinitionVersionPatchArgs(
                    name=VERSION,
                    served=True,
                    storage=True,
                    subresources=crd.CustomResourceSubresourcesPatchArgs(status={}),
                    schema=crd.CustomResourceValidationPatchArgs(
                        open_apiv3_schema=crd.JSONSchemaPropsPatchArgs(
                            type="object",
                            # The kind belongs to the whole cluster: other applications may say more in it than ours.
                            properties={
                                part: crd.JSONSchemaPropsArgs(type="object", x_kubernetes_preserve_unknown_fields=True)
                                for part in ("spec", "status")
                            },
                        )
                    ),
                )
            ],
        ),
        # Change what is declared with care: the provider replaces a definition as a whole, others' fields included.
        # Deleting a definition deletes every object of its kind, other applications' too.
        opts=pulumi.ResourceOptions(parent=parent, retain_on_delete=True),
    )


def _spec(args: ApplicationArgs) -> dict[str, object]:
    names = args.instance.names
    return {
        "descriptor": {
            "type": "Dragonfly",
            "version": args.version,
            "description": "P2P distribution of container images and files.",
            "maintainers": [{"name": "Dragonfly", "url": "https://d7y.io"}],
            "keywords": ["dragonfly", "p2p", "registry", "image"],
            "links": [{"description": "Documentation", "url": "https://d7y.io/docs/"}],
            "notes": pulumi.Output.concat(
                "Open the console: run `",
                args.port_forward_command,
                f"` and visit {args.console_url}. The console listens on port {ports.MANAGER_REST} of Service "
                f"{names.manager_service}.",
            ),
        },
        "info": [
            {"name": "Console, after port forwarding", "type": "Value", "value": args.console_url},
            {"name": "Port forwarding", "type": "Value", "value": args.port_forward_command},
            _secret_reference("Console root password", names.manager_secret, ROOT_PASSWORD_KEY),
            _secret_reference("MySQL root password", names.mysql_secret, mysql.ROOT_PASSWORD_KEY),
            _secret_reference("MySQL dragonfly password", names.mysql_secret, mysql.USER_PASSWORD_KEY),
            _secret_reference("Redis password", names.redis_secret, redis.PASSWORD_KEY),
        ],
        "selector": {"matchLabels": instance_selector(names.app)},
        # API groups, not versions: the chart's `v1` and `apps/v1` match nothing.
        "componentKinds": [
            {"group": "", "kind": "Service"},
            {"group": "", "kind": "Secret"},
            {"group": "", "kind": "PersistentVolumeClaim"},
            {"group": "apps", "kind": "Deployment"},
            {"group": "apps", "kind": "StatefulSet"},
            {"group": "apps", "kind": "DaemonSet"},
            {"group": "networking.k8s.io", "kind": "NetworkPolicy"},
        ],
    }


def _secret_reference(title: str, secret: str, key: str) -> dict[str, object]:
    return {
        "name": title,
        "type": "Reference",
        "valueFrom": {"type": "SecretKeyRef", "secretKeyRef": {"name": secret, "key": key}},
    }
