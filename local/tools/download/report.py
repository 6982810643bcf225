"""What is told while tools are fetched: live on a terminal, in plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Sequence

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from local.tools.download.transfer import Failure, Transfer, megabytes

_REMINDER_SECONDS = 60
"""How often a download without a terminal says that it goes on."""


class DownloadReport:
    """Tells what is fetched and what is not."""

    def __init__(self, console: Console) -> None:
        """Tell it somewhere.

        Args:
            console: where.
        """
        self._console = console

    def waiting(self) -> None:
        """Tell that another process is at it."""
        self._line("waiting for another process that fetches tools")

    def built_instead(self, titles: Sequence[str], failure: Failure, remark: str) -> None:
        """Tell why tools are not fetched.

        Args:
            titles: of the tools.
            failure: why.
            remark: when a lasting answer is asked for again.
        """
        verb = "is" if len(titles) == 1 else "are"
        again = remark if failure.lasting else "asked again the next time"
        self._line(f"{', '.join(titles)} {verb} built instead of fetched: {failure.reason} ({again})")

    @contextlib.contextmanager
    def fetching(self, titles: Sequence[str], wait_seconds: float) -> Generator[DownloadProgress]:
        """Tell of a question and its answers.

        Args:
            titles: of the tools that are asked for.
            wait_seconds: how long for an answer.
        """
        self._line(f"asking for {', '.join(titles)}, {wait_seconds:g} s at most for an answer ...")
        progress = DownloadProgress(self._console)
        with progress.live if self._console.is_terminal else contextlib.nullcontext():
            yield progress

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)


class DownloadProgress:
    """How far each tool is."""

    def __init__(self, console: Console) -> None:
        """Begin now.

        Args:
            console: where to tell it.
        """
        self.live = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=console,
            transient=True,
        )
        self._console = console
        self._tasks: dict[str, TaskID] = {}
        self._started = time.monotonic()
        self._reminded: dict[str, float] = {}

    def show(self, title: str, parts: Sequence[Transfer]) -> None:
        """Tell how much of a tool is there.

        Args:
            title: of the tool.
            parts: its files.
        """
        received = sum(part.received for part in parts)
        sizes = [part.size for part in parts if part.size is not None]
        total = sum(sizes) if len(sizes) == len(parts) else None
        if self._console.is_terminal:
            if title not in self._tasks:
                self._tasks[title] = self.live.add_task(f"fetching {title}", total=None)
            self.live.update(self._tasks[title], completed=received, total=total)
            return
        now = time.monotonic()
        if received and now - self._reminded.setdefault(title, self._started) > _REMINDER_SECONDS:
            self._reminded[title] = now
            whole = f" of {megabytes(total)}" if total is not None else ""
            self._line(f"{title}: still fetching, {megabytes(received)}{whole} after {now - self._started:.0f} s")

    def done(self, title: str, parts: Sequence[Transfer]) -> None:
        """Tell that a tool is in the cache.

        Args:
            title: of the tool.
            parts: its files.
        """
        seconds = time.monotonic() - self._started
        received = sum(part.received for part in parts)
        self.failed(title)
        self._line(
            f"{title}: fetched {megabytes(received)} in {seconds:.0f} s "
            f"({megabytes(int(received / max(seconds, 0.001)))}/s), checksum verified"
        )

    def failed(self, title: str) -> None:
        """Show nothing more of a tool.

        Args:
            title: of the tool.
        """
        task = self._tasks.pop(title, None)
        if task is not None:
            self.live.remove_task(task)

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
