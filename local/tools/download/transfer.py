"""One file on its way from the network: only whole, only over a way that nobody can change, and only for so long."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    IncompleteRead,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

_CHUNK = 1 << 18
_MOST_REDIRECTS = 5
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Failure:
    """Why a file is not there.

    Args:
        reason: for people.
        lasting: whether the same question would have the same answer.
        host: the site from which nothing can be had; empty where it is about this file.
    """

    reason: str
    lasting: bool = True
    host: str = ""


class Transfer:
    """One file, fetched by a thread of its own, which nobody needs to wait for."""

    def __init__(self, url: str, file: Path, wait_seconds: float, changed: threading.Event) -> None:
        """Prepare it.

        Args:
            url: of the file.
            file: where it is written.
            wait_seconds: for the first byte, and later for each next one.
            changed: set whenever it has begun or ended.
        """
        self.url = url
        self.file = file
        self.size: int | None = None
        self.received = 0
        self.failure: Failure | None = None
        self.is_done = False
        self.has_begun = False
        """Whether anything came."""
        self._digest = hashlib.sha256()
        self._wait_seconds = wait_seconds
        self._changed = changed
        self._address = url
        """Where the site leads."""
        self._response: urllib3.BaseHTTPResponse | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of what came."""
        return self._digest.hexdigest()

    def start(self) -> None:
        """Begin. Finding a name's address cannot be cut short, therefore a thread that does not outlive the process."""
        threading.Thread(target=self._run, name=f"fetching {self.url}", daemon=True).start()

    def cancel(self, failure: Failure) -> None:
        """End it, whatever it waits for.

        Args:
            failure: what is said of it, unless it has ended before.
        """
        if self.is_done or self.failure is not None:
            return
        self.failure = failure
        response = self._response
        if response is not None:
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                response.shutdown()

    def _run(self) -> None:
        try:
            self._fetch()
            self.is_done = self.failure is None
        except (HTTPError, OSError, ValueError) as error:
            if self.failure is None:
                self.failure = self._failure(error)
        except _RefusedError as refused:
            self.failure = self.failure or Failure(str(refused))
        finally:
            self._changed.set()

    def _fetch(self) -> None:
        response = self._ask()
        self._response = response
        try:
            self.has_begun = True
            self._changed.set()
            self.size = int(response.headers.get("Content-Length", 0)) or None
            with self.file.open("wb") as file:
                # Whatever is there: who waits for whole pieces cannot tell how much came.
                while chunk := response.read1(_CHUNK, decode_content=False):
                    if self.failure is not None:
                        return
                    self._digest.update(chunk)
                    file.write(chunk)
                    self.received += len(chunk)
        finally:
            response.close()

    def _ask(self) -> urllib3.BaseHTTPResponse:
        for _ in range(_MOST_REDIRECTS):
            url = self._address
            try:
                response = self._request(url)
            except ProtocolError:
                # A connection was cut before anything came. Once that says nothing: what takes half an hour to build
                # instead is worth a second question.
                time.sleep(_PAUSE_SECONDS)
                response = self._request(url)
            location = response.get_redirect_location()
            if not location:
                if response.status != 200:
                    response.close()
                    raise _RefusedError(f"{url} answers {response.status} {response.reason}")
                return response
            response.close()
            target = urljoin(url, location)
            _check_redirect(url, target)
            self._address = target
        raise _RefusedError(f"{self.url} leads from one address to the next, more than {_MOST_REDIRECTS} times")

    def _request(self, url: str) -> urllib3.BaseHTTPResponse:
        return _pool(url).request(
            "GET",
            url,
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=urllib3.Timeout(connect=self._wait_seconds, read=self._wait_seconds),
        )

    def _failure(self, error: Exception) -> Failure:
        if self.has_begun:
            if isinstance(error, ReadTimeoutError):
                how = f"stopped coming: nothing for {self._wait_seconds:g} s"
            elif isinstance(error, (ProtocolError, IncompleteRead)):
                how = "broke off"
            else:
                how = f"could not be kept: {error}"
            return Failure(f"{self.url} {how}, {self.told_size()}", lasting=False)
        return self._unreached(_why_unreached(error, self._wait_seconds))

    def give_up(self) -> None:
        """End it because nothing came: finding addresses, one after the other, can take longer than any wait."""
        self.cancel(self._unreached(_silent(self._wait_seconds)))

    def _unreached(self, why: str) -> Failure:
        return Failure(f"{urlsplit(self._address).hostname} {why}", host=host_of(self.url))

    def told_size(self) -> str:
        """Return how much of how much came, for people."""
        whole = f" of {megabytes(self.size)}" if self.size is not None else ""
        return f"{megabytes(self.received)}{whole}"


class _RefusedError(Exception):
    """The answer is no."""


def host_of(url: str) -> str:
    """Return the name of the site that is asked.

    Args:
        url: of a file there.
    """
    return urlsplit(url).hostname or ""


def megabytes(count: int) -> str:
    """Return a number of bytes for people.

    Args:
        count: the number.
    """
    return f"{count / 1e6:.1f} MB"


def _check_redirect(source: str, target: str) -> None:
    """Raise an error where somebody on the way could answer instead: what is asked openly may be answered by anyone."""
    before, after = urlsplit(source), urlsplit(target)
    if after.scheme == "https" or (after.scheme, after.netloc) == (before.scheme, before.netloc):
        return
    raise _RefusedError(f"{source} leads to {target}, which is not https")


def _pool(url: str) -> urllib3.PoolManager:
    """Return what connects, by the proxy that the environment names; certificates are checked with SSL_CERT_FILE."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.netloc):
        return urllib3.PoolManager(num_pools=1)
    user = urlsplit(proxy)
    headers = None
    if user.username is not None:
        headers = urllib3.make_headers(proxy_basic_auth=f"{user.username}:{user.password or ''}")
    return urllib3.ProxyManager(proxy, num_pools=1, proxy_headers=headers)


def _why_unreached(error: Exception, seconds: float) -> str:
    if isinstance(error, ProxyError):
        return f"cannot be reached through the proxy: {error.original_error}"
    if isinstance(error, NameResolutionError):
        return "is not known: its name has no address here"
    if isinstance(error, (ConnectTimeoutError, ReadTimeoutError)) and not isinstance(error, NewConnectionError):
        return _silent(seconds)
    if isinstance(error, SSLError):
        return f"has a certificate that is not trusted here: {error}"
    cause = error.__cause__
    return f"cannot be reached: {cause.strerror if isinstance(cause, OSError) and cause.strerror else error}"


def _silent(seconds: float) -> str:
    return f"did not answer within {seconds:g} s"
