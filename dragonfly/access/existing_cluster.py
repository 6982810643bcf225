"""Access to a cluster that the program did not make."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from dragonfly.access.cluster_access import ClusterAccess
from dragonfly.access.provider import kubernetes_provider
from dragonfly.settings.model import Settings


def existing_cluster(settings: Settings) -> kubernetes.Provider:
    """Return the provider for the cluster of `kubeconfig` and `kubeContext`, or of the ambient kubeconfig."""
    access = existing_cluster_access(settings)
    return kubernetes_provider(
        kubeconfig=access.kubeconfig,
        context=access.context,
        # One stack, one cluster. The context's name would not do: it can be set, renamed or left out for the same
        # cluster, and each time every object would be replaced, data included.
        cluster_identifier=f"{pulumi.get_project()}/{pulumi.get_stack()}",
    )


def existing_cluster_access(settings: Settings) -> ClusterAccess:
    """Return how that cluster is reached."""
    kubeconfig = settings.kubeconfig
    secret = pulumi.Output.secret(kubeconfig.get_secret_value()) if kubeconfig else None
    return ClusterAccess(secret, settings.kube_context)
