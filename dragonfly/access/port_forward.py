"""Connections to a pod's own ports, through the API server: network policies do not stand in the way of that.

What the API server forwards enters at the pod's loopback address (Kubernetes documentation, "Use Port Forwarding to
Access Applications in a Cluster").
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import quote

from kubernetes.client import ApiClient
from kubernetes.stream import ws_client
from websocket import WebSocket, WebSocketException

_PROTOCOL = "v4.channel.k8s.io"
_OK = 200


class PodUnreachableError(RuntimeError):
    """No way leads to the pod; the message says why."""


class PageUnreadableError(RuntimeError):
    """The page cannot be had; the message says why."""


class _Forward(ws_client.PortForward):
    """The client's own, whose other end closes when the way is lost: whoever reads there would wait for ever."""

    def _proxy(self) -> None:
        this = cast("Any", super())
        try:
            this._proxy()
        except (OSError, ValueError, WebSocketException):
            for port in cast("Any", self).local_ports.values():
                port.python.close()


@contextmanager
def forwarded(client: ApiClient, namespace: str, pod: str, port: int, seconds: float) -> Generator[socket.socket]:
    """Open a connection to a port of a pod.

    Args:
        client: of the API server.
        namespace: the pod's.
        pod: its name.
        port: where it listens.
        seconds: how long opening it may take.

    Raises:
        PodUnreachableError: no way leads there. That nobody listens shows only in a connection that ends at once.
    """
    configuration: Any = cast("Any", client).configuration
    where = f"{configuration.host}/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/portforward?ports={port}"
    auth = configuration.auth_settings().get("BearerToken")
    header = [f"authorization: {auth['value']}"] if auth and auth["value"] else []
    way: Any = WebSocket(sslopt={"context": _tls(client)})
    try:
        way.connect(
            cast("Any", ws_client).get_websocket_url(where),
            header=[*header, f"sec-websocket-protocol: {_PROTOCOL}"],
            timeout=seconds,
        )
    except (OSError, WebSocketException) as error:
        raise PodUnreachableError(f"{pod} cannot be asked: {error}") from None
    forward: Any = cast("Any", _Forward)(way, [port])
    try:
        yield forward.socket(port)
    finally:
        forward.close()


def page_of_pod(client: ApiClient, namespace: str, pod: str, port: int, path: str, seconds: float) -> str:
    """Return what a pod serves.

    Args:
        client: of the API server.
        namespace: the pod's.
        pod: its name.
        port: where it listens.
        path: of the page.
        seconds: how long each step may take.

    Raises:
        PageUnreadableError: no way leads there, or what answers is no page.
    """
    try:
        with forwarded(client, namespace, pod, port, seconds) as way:
            connection = http.client.HTTPConnection("localhost", port, timeout=seconds)
            connection.sock = way
            way.settimeout(seconds)
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
    except PodUnreachableError as error:
        raise PageUnreadableError(str(error)) from None
    except (OSError, WebSocketException, http.client.HTTPException) as error:
        raise PageUnreadableError(f"{pod} cannot be asked: {error}") from None
    if answer.status != _OK:
        raise PageUnreadableError(f"{pod} answers {path} with {answer.status}")
    return text


def _tls(client: ApiClient) -> ssl.SSLContext:
    """Return what the client itself speaks TLS with; a key that it has in memory alone is in there."""
    keywords: dict[str, Any] = cast("Any", client).rest_client.pool_manager.connection_pool_kw
    configuration: Any = cast("Any", client).configuration
    context: ssl.SSLContext = keywords.get("ssl_context") or ssl.create_default_context()
    if configuration.ssl_ca_cert:
        context.load_verify_locations(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
