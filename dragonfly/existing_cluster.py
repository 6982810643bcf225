"""Access to a cluster that the program did not make."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from dragonfly.kubernetes_provider import kubernetes_provider
from dragonfly.settings import Settings

_AMBIENT_CLUSTER = "ambient-kubeconfig"


def existing_cluster(settings: Settings) -> kubernetes.Provider:
    """The provider for the cluster of `kubeconfig` and `kubeContext`, or of the ambient kubeconfig."""
    kubeconfig = settings.kubeconfig
    return kubernetes_provider(
        kubeconfig=pulumi.Output.secret(kubeconfig.get_secret_value()) if kubeconfig else None,
        context=settings.kube_context,
        cluster_identifier=settings.kube_context or _AMBIENT_CLUSTER,
    )
