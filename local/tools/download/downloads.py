"""Tools from their projects' releases: fetched once, checked against the published checksum, and kept in the cache.

All files are asked for at once. Without a network that costs one wait, and what was refused is not asked for again
before a day is over.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console

from local.machine.file_lock import file_lock
from local.tools.download.releases import Order, PublishedFile
from local.tools.download.report import DownloadReport
from local.tools.download.transfer import Failure, Transfer, host_of
from local.tools.refusals import Refusal

WAIT_SECONDS = 20.0
"""For the first byte of anything: without a network it would hang for minutes."""

_UNFINISHED = ".fetching-"
_REFRESH_SECONDS = 0.2
_MOST_CHECKSUM_CHARACTERS = 1 << 20
_REFUSED_BEFORE = Failure("refused within the last day")
_NOT_NEEDED = Failure("not needed any more", lasting=False)


class Downloads:
    """What was fetched into a cache, and what can be."""

    def __init__(self, cache: Path, console: Console, wait_seconds: float = WAIT_SECONDS) -> None:
        """Look at a cache.

        Args:
            cache: its folder.
            console: where progress goes.
            wait_seconds: how long nothing may come.
        """
        self._cache = cache
        self._report = DownloadReport(console)
        self._wait_seconds = wait_seconds

    def fetched(self, order: Order) -> dict[str, Path] | None:
        """Return the programs of a tool, by their names, where they were fetched before.

        Args:
            order: what the tool is made of.
        """
        folder = self._folder(order)
        # The folder appears only when complete.
        return {name: folder / name for name in order.programs()} if folder.is_dir() else None

    def fetch(self, orders: Sequence[Order], *, ask_again: bool = False) -> dict[str, Failure]:
        """Fetch tools that are not there yet.

        Args:
            orders: what they are made of.
            ask_again: also what was refused within the last day.

        Returns:
            Why each is not there, by its name, of those that could not be had.
        """
        refused = {} if ask_again else self._refused(orders)
        if len(refused) == len(orders):
            return refused
        locks = self._cache / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with file_lock(locks / "downloads", on_wait=self._report.waiting):
            # Another process may have fetched some meanwhile, or been refused.
            refused = {} if ask_again else self._refused(orders)
            missing = [order for order in orders if order.tool not in refused and self.fetched(order) is None]
            return {**refused, **(self._fetch(missing) if missing else {})}

    def _refused(self, orders: Iterable[Order]) -> dict[str, Failure]:
        return {
            order.tool: _REFUSED_BEFORE
            for order in orders
            if self._refusal_of_tool(order).is_remembered()
            or any(self._refusal_of_site(host_of(url)).is_remembered() for url in order.urls())
        }

    def _remember(self, order: Order, failure: Failure) -> None:
        if failure.host:
            # There is no network, or none to there: whatever else lies there need not be waited for.
            self._refusal_of_site(failure.host).remember()
        elif failure.lasting:
            self._refusal_of_tool(order).remember()

    def tell_built(self, orders: Iterable[Order], failures: Mapping[str, Failure]) -> None:
        """Tell which tools are built because they could not be fetched, and why.

        Args:
            orders: what was asked for.
            failures: why it is not there, by the tool's name.
        """
        by_failure: dict[Failure, list[str]] = {}
        for order in orders:
            if order.tool in failures:
                by_failure.setdefault(failures[order.tool], []).append(order.title)
        for failure, titles in by_failure.items():
            self._report.built_instead(titles, failure, self._refusals.remark)

    def _fetch(self, orders: Sequence[Order]) -> dict[str, Failure]:
        # We hold the lock: what lies here was left by a process that was killed.
        for leftover in self._cache.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._cache))
        changed = threading.Event()
        # An archive that two tools come from is fetched once.
        transfers = {
            url: Transfer(url, temporary / f"file-{number}", self._wait_seconds, changed)
            for number, url in enumerate(dict.fromkeys(url for order in orders for url in order.urls()))
        }
        failures: dict[str, Failure] = {}
        try:
            with self._report.fetching([order.title for order in orders], self._wait_seconds) as progress:
                deadline = time.monotonic() + self._wait_seconds
                for transfer in transfers.values():
                    transfer.start()
                left = list(orders)
                while left:
                    changed.wait(_REFRESH_SECONDS)
                    changed.clear()
                    if time.monotonic() > deadline:
                        _give_up_the_silent(transfers.values())
                    for order in tuple(left):
                        parts = [transfers[file.url] for file in order.files]
                        progress.show(order.title, parts)
                        try:
                            if not self._is_kept(order, transfers, temporary):
                                continue
                            progress.done(order.title, parts)
                        except _NotFetchedError as error:
                            failures[order.tool] = error.failure
                            self._remember(order, error.failure)
                            progress.failed(order.title)
                        left.remove(order)
                        _end_what_nobody_needs(transfers, left)
        finally:
            _end_what_nobody_needs(transfers, [])
            shutil.rmtree(temporary, ignore_errors=True)
        return failures

    def _is_kept(self, order: Order, transfers: Mapping[str, Transfer], temporary: Path) -> bool:
        """Put a tool into the cache once all its files came.

        Returns:
            Whether it is there; otherwise there is something to wait for.

        Raises:
            _NotFetchedError: it cannot be had.
        """
        parts = [transfers[url] for url in order.urls()]
        for part in parts:
            if part.failure is not None:
                raise _NotFetchedError(part.failure)
        if not all(part.is_done for part in parts):
            return False
        folder = temporary / order.tool
        try:
            folder.mkdir()
            for file in order.files:
                _check(file, transfers[file.url], transfers[file.checksum_url])
                _unpack(file, transfers[file.url].file, folder)
            folder.rename(self._folder(order))
        except OSError as error:
            raise _NotFetchedError(Failure(f"it cannot be kept: {error}", lasting=False)) from error
        return True

    def _folder(self, order: Order) -> Path:
        """Return the folder of a tool. The address names the release, which never changes; the name tells it from a
        folder of what was built."""
        content = json.dumps([[file.url, dict(file.members)] for file in order.files])
        return self._cache / f"{order.tool}-fetched-{hashlib.sha256(content.encode()).hexdigest()[:16]}"

    @property
    def _refusals(self) -> Refusal:
        """All of them, for the end of a message."""
        return Refusal(self._cache / "refused" / "*.json", None)

    def _refusal_of_site(self, host: str) -> Refusal:
        return Refusal(self._cache / "refused" / f"{host}.json", host)

    def _refusal_of_tool(self, order: Order) -> Refusal:
        return Refusal(self._cache / "refused" / f"{order.tool}.json", [file.url for file in order.files])


class _NotFetchedError(Exception):
    """A tool cannot be had."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


def _give_up_the_silent(transfers: Iterable[Transfer]) -> None:
    for transfer in transfers:
        if not transfer.has_begun:
            transfer.give_up()


def _end_what_nobody_needs(transfers: Mapping[str, Transfer], left: Iterable[Order]) -> None:
    needed = {url for order in left for url in order.urls()}
    for url in transfers.keys() - needed:
        transfers[url].cancel(_NOT_NEEDED)


def _check(file: PublishedFile, transfer: Transfer, checksum: Transfer) -> None:
    # Of a page that somebody puts in the place of everything, not more than this is read.
    with checksum.file.open(errors="replace") as text:
        listed = _listed(file, text.read(_MOST_CHECKSUM_CHARACTERS))
    if listed is None:
        raise _NotFetchedError(Failure(f"{file.checksum_url} has no checksum of {file.name}"))
    if listed != transfer.digest:
        raise _NotFetchedError(
            Failure(
                f"{file.url} is not what its project published: its SHA-256 is {transfer.digest}, "
                f"and {file.checksum_url} says {listed}"
            )
        )


def _listed(file: PublishedFile, text: str) -> str | None:
    """Return the checksum of a file from what its project published."""
    if file.listing == "alone":
        found = re.fullmatch(r"\s*([0-9a-fA-F]{64})\s*", text)
    else:
        found = re.search(rf"^([0-9a-fA-F]{{64}})[ \t]+\*?(?:\./)?{re.escape(file.name)}\r?$", text, re.MULTILINE)
    return found[1].lower() if found else None


def _unpack(file: PublishedFile, source: Path, folder: Path) -> None:
    if not file.members:
        # A file that is a program belongs to one tool alone.
        source.rename(folder / file.name)
        (folder / file.name).chmod(0o755)
        return
    try:
        with _archive(source) as member:
            for name, path in file.members.items():
                content = member(path)
                if content is None:
                    raise _NotFetchedError(Failure(f"{path} of {file.url} is no file"))
                with content, (folder / name).open("wb") as output:
                    shutil.copyfileobj(content, output)
                (folder / name).chmod(0o755)
    except KeyError as error:
        raise _NotFetchedError(Failure(f"{file.url} lacks one of {', '.join(file.members.values())}")) from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise _NotFetchedError(Failure(f"{file.url} cannot be unpacked")) from error


@contextmanager
def _archive(source: Path) -> Generator[Callable[[str], IO[bytes] | None]]:
    """Open an archive, and return what opens a member of it."""
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            yield archive.open
    else:
        with tarfile.open(source) as archive:
            yield archive.extractfile
