"""The provider that makes Kubernetes objects, set alike for a GKE cluster and for an existing one."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

# A single API request; an admission webhook, which GKE gives 10 seconds by default, may be part of it. With the
# provider's own default of 32 seconds a refresh says of a silent control plane only after a minute that it is.
REQUEST_TIMEOUT_SECONDS = 12


def kubernetes_provider(
    *,
    kubeconfig: pulumi.Input[str] | None,
    context: str | None = None,
    cluster_identifier: str,
    opts: pulumi.ResourceOptions | None = None,
) -> kubernetes.Provider:
    """Return the provider for one cluster.

    Args:
        kubeconfig: contents of a kubeconfig, secret; the ambient one when None.
        context: of the kubeconfig; its current one when None.
        cluster_identifier: what stays the same for as long as it is the same cluster.
        opts: what the provider depends on.
    """
    return kubernetes.Provider(
        "kubernetes",
        kubeconfig=kubeconfig,
        context=context,
        # Without it a renewed certificate or a moved endpoint in the kubeconfig would replace the provider, and with
        # it every object, data included.
        cluster_identifier=cluster_identifier,
        # A changed Secret is updated in place; otherwise it is deleted and made anew, and a pod that starts in
        # between fails.
        enable_secret_mutable=True,
        enable_config_map_mutable=True,
        kube_client_settings=kubernetes.KubeClientSettingsArgs(timeout=REQUEST_TIMEOUT_SECONDS),
        opts=opts,
    )
