"""A kubeconfig for a GKE cluster that holds no credential: whoever uses it signs in to Google."""

from __future__ import annotations

import pulumi
import yaml

_AUTH_PLUGIN = "gke-gcloud-auth-plugin"


def gke_kubeconfig(
    name: str, endpoint: pulumi.Input[str], certificate_authority: pulumi.Input[str] | None
) -> pulumi.Output[str]:
    """Return the kubeconfig as YAML text, secret.

    Args:
        name: of cluster, user and context, as `gcloud container clusters get-credentials` would call them.
        endpoint: address or name of the control plane, without scheme.
        certificate_authority: the control plane's certificate authority, base64 of PEM; None where everybody's signs.
    """

    def render(parts: list[str | None]) -> str:
        address, authority = parts
        trusted = {} if authority is None else {"certificate-authority-data": authority}
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": name,
                "clusters": [{"name": name, "cluster": {"server": f"https://{address}", **trusted}}],
                "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
                "users": [
                    {
                        "name": name,
                        "user": {
                            "exec": {
                                "apiVersion": "client.authentication.k8s.io/v1beta1",
                                "command": _AUTH_PLUGIN,
                                "installHint": "gcloud components install gke-gcloud-auth-plugin",
                                "provideClusterInfo": True,
                                "interactiveMode": "Never",
                            }
                        },
                    }
                ],
            },
            sort_keys=False,
        )

    return pulumi.Output.secret(pulumi.Output.all(endpoint, certificate_authority).apply(render))
