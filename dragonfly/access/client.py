"""A client of the stack's cluster, made from a kubeconfig that is never written to a file.

The official client hands keys to TLS as temporary files. Here a key that a kubeconfig holds, or that its plug-in
returns, goes through a pipe instead; the certificate of the authority, which is public, does become such a file for as
long as the command runs.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import ssl
from collections.abc import Mapping
from typing import Any, Literal, cast

import yaml
from kubernetes import client
from kubernetes.config import incluster_config, kube_config
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.exec_provider import ExecProvider
from urllib3.util.ssl_ import create_urllib3_context

_CERTIFICATE, _KEY = "client-certificate-data", "client-key-data"
# As kubectl and Pulumi's provider do: a proxy of the environment cannot reach this machine's own addresses.
_NEVER_PROXIED = "localhost,127.0.0.0/8,::1"


class KubeconfigError(RuntimeError):
    """The kubeconfig cannot be used; the message says why and holds nothing of it but names."""


def connect(kubeconfig: str | None, context: str | None) -> client.ApiClient:
    """Open a client. A plug-in that the kubeconfig names is asked for its credential, which may take a while.

    Args:
        kubeconfig: its contents, or the paths of files; the ambient one when None, or when there is no such file. In a
            pod without one: the pod's own account, as the plug-in does (Kubernetes documentation, "Accessing the API
            from a Pod").
        context: of the kubeconfig; its current one when None.

    Raises:
        KubeconfigError: there is no such context, or the plug-in gave no credential.
    """
    configuration = client.Configuration()
    pair = None
    try:
        document = _merged(kubeconfig)
        if document is not None:
            loader = cast("Any", _Loader)(document, active_context=context, config_base_path=None)
            loader.load_and_set(configuration)
            pair = loader.pair
        elif context is None and incluster_config.SERVICE_HOST_ENV_NAME in os.environ:
            cast("Any", incluster_config).load_incluster_config(configuration)
        else:
            raise ConfigException(f"{_ambient_paths()} does not exist")
        # A second try would take as long again.
        configuration.retries = cast("Any", False)
        configuration.no_proxy = ",".join(filter(None, [configuration.no_proxy, _NEVER_PROXIED]))
        opened = client.ApiClient(configuration)
        if pair is not None:
            pool: Any = cast("Any", opened).rest_client.pool_manager
            pool.connection_pool_kw["ssl_context"] = _tls(*pair)
    except (ConfigException, yaml.YAMLError, OSError, binascii.Error, ssl.SSLError) as error:
        # A parser's error quotes the line that it stumbled over.
        told = type(error).__name__ if isinstance(error, yaml.YAMLError) else str(error)
        raise KubeconfigError(f"the kubeconfig cannot be used: {told}") from None
    return opened


def _merged(kubeconfig: str | None) -> Any:
    document = yaml.safe_load(kubeconfig) if kubeconfig else None
    if isinstance(document, dict):
        return cast("Any", kube_config.KubeConfigMerger(io.StringIO(kubeconfig))).config
    # The provider takes paths too, and keeps those of the environment variable in the state.
    if isinstance(document, str):
        recorded: Any = kube_config.KubeConfigMerger(document).config
        if recorded is not None:
            return recorded
    elif document is not None:
        raise ConfigException("it is neither a mapping nor a path")
    return cast("Any", kube_config.KubeConfigMerger(_ambient_paths()).config)


def _ambient_paths() -> str:
    return os.environ.get("KUBECONFIG") or "~/.kube/config"


class _Loader(kube_config.KubeConfigLoader):
    """The client's own reader, which keeps certificate and key of a user in memory.

    Attributes:
        pair: the user's certificate and key, PEM; None where the kubeconfig names files or another credential.
    """

    pair: tuple[bytes, bytes] | None = None
    _user: Any
    _cluster: Any

    def _load_from_exec_plugin(self) -> Literal[True] | None:
        if "exec" not in self._user:
            return None
        plugin = self._user["exec"]
        folder = cast("Any", self)._get_base_path(self._cluster.path)
        # The base class logs what goes wrong here and goes on as nobody.
        try:
            credential: Mapping[str, str] = cast("Any", ExecProvider)(plugin, folder, self._cluster).run()
        except FileNotFoundError:
            hint = plugin.safe_get("installHint")
            raise ConfigException(f"{plugin['command']} is not on PATH" + (f": {hint}" if hint else "")) from None
        if "token" in credential:
            self.token = f"Bearer {credential['token']}"
        elif "clientCertificateData" in credential and "clientKeyData" in credential:
            self.pair = credential["clientCertificateData"].encode(), credential["clientKeyData"].encode()
        else:
            raise ConfigException(f"{plugin['command']} returned neither a token nor a certificate with its key")
        return True

    def _load_cluster_info(self) -> None:
        user: dict[str, Any] = self._user.value if self._user else {}
        if _CERTIFICATE in user and _KEY in user:
            self.pair = base64.b64decode(user.pop(_CERTIFICATE)), base64.b64decode(user.pop(_KEY))
        cast("Any", super())._load_cluster_info()


def _tls(certificate: bytes, key: bytes) -> ssl.SSLContext:
    # The authority and what of the server is verified, the client sets by itself.
    context = create_urllib3_context()
    with _Pipe(certificate) as certificate_path, _Pipe(key) as key_path:
        context.load_cert_chain(certificate_path, key_path)
    return context


class _Pipe:
    """A path from which some bytes can be read once, and which is on no disk."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __enter__(self) -> str:
        self._reader, writer = os.pipe()
        # Certificates and keys have some thousand bytes: a pipe holds them before anybody reads.
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(self._content)
        return f"/dev/fd/{self._reader}"

    def __exit__(self, *_: object) -> None:
        os.close(self._reader)
