"""What the building of a tool needs to know of it, whatever language it is written in."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.tools.download.releases import Order


class ToolchainError(RuntimeError):
    """A tool is neither on the machine nor can it be built; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Tool(ABC):
    """Something that is built.

    Attributes:
        name: its name in messages and in the cache.
        binaries: file name in the cache, and what the build calls it.
        minutes: how long a first build takes on two cores, told to the user.
    """

    name: str
    binaries: Mapping[str, str]
    minutes: int

    @property
    @abstractmethod
    def version(self) -> str:
        """Its version with a `v` before it.

        Raises:
            ToolchainError: what says it has no word of it.
        """

    @property
    def title(self) -> str:
        """Name and version, for people."""
        return f"{self.name} {self.version}"

    @property
    @abstractmethod
    def builder(self) -> str:
        """The command that builds it, as a person calls it."""

    def libraries(self) -> list[Order]:
        """Return what need not be compiled for it where it can be fetched."""
        return []

    @abstractmethod
    def depends_on(self) -> Iterable[bytes]:
        """Return all that its content depends on.

        Raises:
            ToolchainError: what builds it is missing or too old; the message says what to install.
        """

    @abstractmethod
    def command(self, folder: Path) -> list[str]:
        """Return the command that builds it.

        Args:
            folder: where the binaries go.

        Raises:
            ToolchainError: as `depends_on`.
        """

    @abstractmethod
    def environment(self, folder: Path) -> dict[str, str]:
        """Return the environment of that command.

        Args:
            folder: as for `command`.
        """

    @property
    @abstractmethod
    def working_folder(self) -> Path:
        """Where that command runs."""

    @abstractmethod
    def finish(self, folder: Path) -> None:
        """Bring what was built under the names that it has in the cache.

        Args:
            folder: as for `command`.
        """


def version_numbers(version: str) -> tuple[int, int, int] | None:
    """Return the three numbers of the first version in a text, for comparison; None without one."""
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None
