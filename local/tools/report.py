"""What a user is told while tools are found and built."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator, Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from local.tools.building.tool import Tool
from local.tools.download.releases import WHY_BUILT, Order

_REMINDER_SECONDS = 60
"""How often a build without a terminal says that it goes on."""


class Report:
    """Tell what is found, cached and built, and why: live on a terminal, in plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        """Report on a console, to which nothing is written yet."""
        self._console = console
        self._cached: list[str] = []
        self._fetched: list[str] = []
        self._live = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
        )

    def __enter__(self) -> None:
        if self._console.is_terminal:
            self._live.start()

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def on_machine(self, tool: Tool, binaries: Mapping[str, Path]) -> None:
        """Say which of the machine's own are used."""
        self._line(f"{tool.name}: using the machine's {', '.join(str(path) for path in binaries.values())}")

    def cached(self, tool: Tool) -> None:
        """Keep for the summary that a tool was built before."""
        self._cached.append(tool.title)

    def fetched(self, order: Order) -> None:
        """Keep for the summary that a tool was fetched before."""
        self._fetched.append(order.title)

    def summary(self) -> None:
        """Say in a line each all that was fetched and all that was built before."""
        if self._fetched:
            self._line(f"tools fetched before: {', '.join(self._fetched)}")
        if self._cached:
            self._line(f"tools built before: {', '.join(self._cached)}")

    def why_built(self, tool: Tool) -> None:
        """Say why a tool is built that was not asked for anywhere."""
        why = WHY_BUILT.get(tool.name, "nothing is fetched for this kind of machine")
        self._line(f"{tool.title} is built: {why}")

    def waiting(self, tool: Tool) -> None:
        """Say that somebody else builds it."""
        self._line(f"{tool.name}: waiting for another process that builds it")

    @contextlib.contextmanager
    def building(self, tool: Tool) -> Generator[None]:
        """Say that a build goes on for as long as the context lasts, and how long it took."""
        title = tool.title
        started = time.monotonic()
        stop_reminding = threading.Event()
        task: TaskID | None = None
        if self._console.is_terminal:
            task = self._live.add_task(f"building {title} (once; about {tool.minutes} min on two cores)", total=None)
        else:
            self._line(f"{title}: building, once; about {tool.minutes} min on two cores")
            threading.Thread(target=self._remind, args=(title, started, stop_reminding), daemon=True).start()
        try:
            yield
            self._line(f"{title}: built in {_duration(time.monotonic() - started)}")
        finally:
            stop_reminding.set()
            if task is not None:
                self._live.remove_task(task)

    def _remind(self, title: str, started: float, stop: threading.Event) -> None:
        while not stop.wait(_REMINDER_SECONDS):
            self._line(f"{title}: still building after {_duration(time.monotonic() - started)}")

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
