"""A kubeconfig file: written with everything embedded, and read by the official client."""

from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path
from typing import Any, cast

from kubernetes import config
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration

from local.machine.certificates import Certificate, write_private

CONTEXT = "dragonfly-local"
"""Name of the context, the cluster and the user in every kubeconfig written here."""


def write(path: Path, url: str, authority: Path, client: Certificate) -> None:
    """Write a kubeconfig, mode 0600, that needs no other file. An unchanged one is not touched.

    Args:
        path: the file to write. Its content is JSON, which is YAML too.
        url: the API server's, `https://127.0.0.1:PORT`.
        authority: PEM file of the authority that signed the server's certificate.
        client: the user's certificate and key.
    """
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": {"server": url, "certificate-authority-data": _embedded(authority)}}],
        "users": [
            {
                "name": CONTEXT,
                "user": {
                    "client-certificate-data": _embedded(client.certificate),
                    "client-key-data": _embedded(client.key),
                },
            }
        ],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
        "current-context": CONTEXT,
    }
    content = (json.dumps(document, indent=2) + "\n").encode()
    if not path.exists() or path.read_bytes() != content:
        write_private(path, content)


def connect(path: Path) -> ApiClient:
    """Open a client for the cluster of a kubeconfig written here.

    A proxy set in the environment is not used: the server is on loopback.
    """
    configuration = Configuration()
    # The client's `config` package has no type annotations.
    cast(Any, config).load_kube_config(config_file=str(path), client_configuration=configuration, persist_config=False)
    cast(Any, configuration).proxy = None
    return ApiClient(configuration=configuration)


def client_context(authority: Path, client: Certificate) -> ssl.SSLContext:
    """Return the TLS settings to speak with a server: its certificate is verified, ours is presented.

    Args:
        authority: PEM file of the authority that signed the server's certificate.
        client: our certificate and key.
    """
    context = ssl.create_default_context(cafile=str(authority))
    context.load_cert_chain(client.certificate, client.key)
    return context


def _embedded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
