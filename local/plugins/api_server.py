"""Requests to a Kubernetes API server, for objects of any kind, over the connections of the official client."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import urlencode

from local.plugins.object_fields import object_at, objects_at, text_at
from local.plugins.object_kinds import BUILT_IN, Kind
from local.plugins.property_values import Properties

APPLY: Final = "application/apply-patch+yaml"
"""Content type of a server-side apply; JSON is YAML."""
MERGE: Final = "application/merge-patch+json"
"""Content type of a JSON merge patch (RFC 7386)."""
JSON_PATCH: Final = "application/json-patch+json"
"""Content type of a JSON patch (RFC 6902)."""
_JSON: Final = "application/json"
DEFAULT_TIMEOUT: Final = 32.0
"""Seconds a request may take unless the provider says otherwise: client-go's default for discovery."""
_CONNECTIONS: Final = 64
"""Connections kept open: as many as the plug-in answers requests of the engine at once."""


class UnreachableError(Exception):
    """The API server did not answer; the message names it and says why."""


class ApiError(Exception):
    """The API server refused a request; the message is its own.

    Attributes:
        status: the HTTP status.
        reason: the machine's word for it (`AlreadyExists`, `Conflict`, ...).
        details: the server's `details`: kind and name of the object that the refusal is about, and causes.
    """

    def __init__(self, status: int, body: Properties) -> None:
        super().__init__(text_at(body, "message") or f"HTTP status {status}")
        self.status = status
        self.reason = text_at(body, "reason")
        self.details = object_at(body, "details")


class NoSuchKindError(Exception):
    """The API server serves no such kind; it may once a CustomResourceDefinition is created."""


class _Pace:
    """Lets a burst of requests through and then so many a second, as client-go's rate limiter does."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second, self._burst = per_second, float(burst)
        self._left, self._last = float(burst), time.monotonic()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next request may go."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self._burst, self._left + (now - self._last) * self._per_second)
            self._last = now
            self._left -= 1
            delay = -self._left / self._per_second if self._left < 0 else 0.0
        if delay:
            time.sleep(delay)


class ApiServer:
    """One cluster's API server. Safe to use from many threads."""

    def __init__(
        self,
        kubeconfig: Properties,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        per_second: float = 50.0,
        burst: int = 120,
    ) -> None:
        """Prepare connections with the credentials of the kubeconfig's current context; connects to nothing yet.

        Args:
            kubeconfig: the whole kubeconfig.
            timeout: seconds that a request may take.
            per_second: requests a second, once the burst is spent. Defaults: pulumi-kubernetes' `Configure`.
            burst: requests at once.

        Raises:
            ValueError: the credentials cannot be used.
        """
        # Imported here, as it takes longer than everything else: the plug-in is up before it is needed.
        from kubernetes import client as _client
        from kubernetes import config as _config

        client, config = cast(Any, _client), cast(Any, _config)
        settings: Any = client.Configuration()
        settings.connection_pool_maxsize = _CONNECTIONS
        try:
            config.load_kube_config_from_dict(
                json.loads(json.dumps(kubeconfig)), client_configuration=settings, persist_config=False
            )
        except Exception as error:  # noqa: BLE001 - the client raises whatever it stumbles over
            # Only the kind of error is told: its text may repeat credentials.
            raise ValueError(f"the kubeconfig's credentials cannot be used ({type(error).__name__})") from None
        self.address = cast(str, settings.host).rstrip("/")
        """The API server's URL."""
        self._settings = settings
        self._pool: Any = client.ApiClient(settings).rest_client.pool_manager
        self._timeout = timeout
        self._pace = _Pace(per_second, burst)
        self._discovered: dict[tuple[str, str], Kind] = {}

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = _JSON,
    ) -> Properties:
        """Send a request and return the object in the answer.

        Args:
            method: the HTTP method.
            path: the URL path on the server.
            query: parameters of the URL.
            body: what to send, as JSON.
            content_type: the body's type, which tells the kinds of patch apart.

        Raises:
            ApiError: the server refused it.
            UnreachableError: the server did not answer in time.
        """
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError, ProtocolError

        self._pace.wait()
        url = self.address + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": _JSON, "User-Agent": "pulumi-kubernetes"}
        for setting in cast("dict[str, dict[str, str]]", self._settings.auth_settings()).values():
            headers[setting["key"]] = setting["value"]
        if body is not None:
            headers["Content-Type"] = content_type
        payload = json.dumps(body).encode() if body is not None else None
        limit = Timeout(connect=self._timeout, read=self._timeout)
        for is_last in (False, True):
            try:
                answer: Any = self._pool.request(
                    method, url, body=payload, headers=headers, timeout=limit, retries=False, redirect=False
                )
                break
            except ProtocolError as error:
                # A kept connection that the server has closed meanwhile; asking again is safe only when reading.
                if is_last or method != "GET":
                    raise UnreachableError(self._silence(error)) from None
            except HTTPError as error:
                raise UnreachableError(self._silence(error)) from None
        else:
            raise AssertionError("unreachable: the loop ends with an answer or an error")
        status = cast(int, answer.status)
        parsed = _parse(cast(bytes, answer.data), status)
        if status >= HTTPStatus.BAD_REQUEST:
            raise ApiError(status, parsed)
        return parsed

    def _silence(self, error: Exception) -> str:
        reason = str(error) or type(error).__name__
        return f"the API server at {self.address} does not answer: {reason}"

    def kind(self, api_version: str, kind: str) -> Kind:
        """Return how a kind is addressed; asks the server about those that Kubernetes does not define itself.

        Raises:
            NoSuchKindError: the server does not serve it, for now.
            ApiError, UnreachableError: as for `request`.
        """
        known = BUILT_IN.get((api_version, kind)) or self._discovered.get((api_version, kind))
        if known is not None:
            return known
        root = "/apis/" if "/" in api_version else "/api/"
        try:
            served = self.request("GET", root + api_version)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise NoSuchKindError(f'no matches for kind "{kind}" in version "{api_version}"') from None
            raise
        for entry in objects_at(served, "resources"):
            name = text_at(entry, "name")
            # "name/status" and the like are parts of an object, not kinds.
            if "/" not in name:
                found = Kind(api_version, name, entry.get("namespaced") is True)
                self._discovered[(api_version, text_at(entry, "kind"))] = found
        found = self._discovered.get((api_version, kind))
        if found is None:
            raise NoSuchKindError(f'no matches for kind "{kind}" in version "{api_version}"')
        return found

    def path_of(self, item: Properties, name: str) -> str:
        """Return the URL path of the object of that name, or of its collection where the name is empty.

        Raises:
            NoSuchKindError, ApiError, UnreachableError: as for `kind`.
        """
        kind = self.kind(text_at(item, "apiVersion"), text_at(item, "kind"))
        return kind.path(text_at(item, "metadata", "namespace"), name)

    def version(self) -> str:
        """Return the server's version, such as `v1.36.3`.

        Raises:
            ApiError, UnreachableError: as for `request`.
        """
        return text_at(self.request("GET", "/version"), "gitVersion")


def _parse(data: bytes, status: int) -> Properties:
    try:
        parsed: object = json.loads(data)
    except ValueError:
        return {"message": f"HTTP status {status}: {data[:200].decode(errors='replace').strip()}"}
    return cast(Properties, parsed) if isinstance(parsed, dict) else {}
