"""Access to a cluster that the program did not make."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from dragonfly.settings import Settings

# A single API request; the provider's own default of 32 seconds lets a preview against an unreachable cluster hang.
REQUEST_TIMEOUT_SECONDS = 20
_AMBIENT_CLUSTER = "ambient-kubeconfig"


def existing_cluster(settings: Settings) -> kubernetes.Provider:
    """The provider for the cluster of `kubeconfig` and `kubeContext`, or of the ambient kubeconfig."""
    kubeconfig = settings.kubeconfig
    return kubernetes.Provider(
        "kubernetes",
        kubeconfig=pulumi.Output.secret(kubeconfig.get_secret_value()) if kubeconfig else None,
        context=settings.kube_context,
        # Without it a renewed certificate or a moved endpoint in the kubeconfig would replace the provider, and with
        # it every object, data included.
        cluster_identifier=settings.kube_context or _AMBIENT_CLUSTER,
        # A changed Secret is updated in place; otherwise it is deleted and made anew, and a pod that starts in
        # between fails.
        enable_secret_mutable=True,
        enable_config_map_mutable=True,
        kube_client_settings=kubernetes.KubeClientSettingsArgs(timeout=REQUEST_TIMEOUT_SECONDS),
    )
