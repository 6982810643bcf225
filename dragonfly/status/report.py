"""The report on a stack, as lines for people and as a document for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dragonfly.parts.console import CONSOLE_URL, CONSOLE_USER, password_command, port_forward_command
from dragonfly.settings.model import Settings
from dragonfly.status.mirrors import NodeMirror, told
from dragonfly.status.pod_reasons import Reason
from dragonfly.status.remedies import MISSING, remedy
from dragonfly.status.sharing import Sharing, last_hour_in_words, shared_in_words
from dragonfly.status.versions import version
from dragonfly.status.workloads import Condition

# What a program says last may be a page long.
_LONGEST_QUOTE = 240


@dataclass(frozen=True)
class Report:
    """How a stack is.

    Attributes:
        stack: its name.
        settings: its config.
        namespace_exists: whether its namespace is in the cluster.
        conditions: of every workload and claim, and of missing Services and network policies.
        images: image references of the containers that run, by container name.
        advisories: what is dangerous in these versions and this config.
        mirrors: how each node pulls, where the peers write the mirrors.
        sharing: what was counted since the programs started; None where no scheduler runs.
        last_hour: what a Prometheus has seen; None where none is named.
    """

    stack: str
    settings: Settings
    namespace_exists: bool
    conditions: list[Condition]
    images: dict[str, list[str]]
    advisories: list[str]
    mirrors: list[NodeMirror] = field(default_factory=list[NodeMirror])
    sharing: Sharing | None = None
    last_hour: Sharing | None = None

    @property
    def ready(self) -> bool:
        """Whether everything is as it should be."""
        return all(each.ready for each in self.conditions)

    @property
    def console(self) -> dict[str, str]:
        """How to reach the console: commands and URL."""
        return {
            "portForwardCommand": port_forward_command(
                self.settings.namespace, self.settings.names, self.settings.kube_context
            ),
            "url": CONSOLE_URL,
            "user": CONSOLE_USER,
            "passwordCommand": password_command(self.stack),
        }

    def document(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return {
            "stack": self.stack,
            "namespace": self.settings.namespace,
            "instance": self.settings.app_instance_name,
            "ready": self.ready,
            "objects": [
                {
                    "kind": each.kind,
                    "name": each.name,
                    "ready": each.ready,
                    "state": each.state,
                    "reasons": [self._reason(reason) for reason in each.reasons],
                }
                for each in self.conditions
            ],
            "images": self.images,
            "advisories": self.advisories,
            "mirrors": [
                {"node": each.node, "throughPeer": each.fault is None, "reason": each.fault} for each in self.mirrors
            ],
            "sharing": self.sharing
            and {
                "secondsSinceStart": self.sharing.seconds,
                **_bytes(self.sharing),
                "secondsSinceStartOfSeedPeer": self.sharing.seed_peer_seconds,
            },
            "sharingInTheLastHour": self.last_hour and _bytes(self.last_hour),
            "console": self.console,
        }

    def lines(self, width: int) -> Iterator[str]:
        """Yield the report for people.

        Args:
            width: of the terminal, in characters.
        """
        settings = self.settings
        yield f"Stack {self.stack}, namespace {settings.namespace}"
        missing = [each for each in self.conditions if each.state == "missing"]
        there = [each for each in self.conditions if each.state != "missing"]
        column = max((len(each.name) for each in there), default=0)
        for each in there:
            yield f"  {each.name:{column}}  {each.state}"
            for reason in each.reasons:
                yield from self._told(reason, width)
        if not self.namespace_exists:
            yield f"The namespace {settings.namespace} does not exist: nothing is installed. {MISSING}."
        elif missing:
            yield from _wrapped(f"Missing: {', '.join(map(_full_name, missing))}. {MISSING}.", width)
        if self.images:
            yield from _wrapped(f"Versions: {_versions(self.images)}", width)
        for words in told(self.mirrors):
            yield from _wrapped(f"Mirrors: {words}", width)
        if self.sharing and (words := shared_in_words(self.sharing)):
            yield from _wrapped(f"Sharing: {words}", width)
        if self.last_hour:
            words = "; ".join(self.last_hour.faults) or last_hour_in_words(self.last_hour)
            yield from _wrapped(f"Sharing: {words}", width)
        for advisory in self.advisories:
            yield from _wrapped(f"Security: {advisory}", width)
        if any(each.name == settings.names.manager and each.ready for each in there):
            console = self.console
            yield f"Console: {console['portForwardCommand']}"
            yield f"         then {console['url']}, user {console['user']}, password:"
            yield f"         {console['passwordCommand']}"

    def _reason(self, reason: Reason) -> dict[str, Any]:
        return {
            "pods": reason.pods,
            "pod": reason.pod or None,
            "reason": reason.what,
            "restarts": reason.restarts,
            "lastLogLine": reason.log,
            "remedy": remedy(reason, self.settings),
        }

    def _told(self, reason: Reason, width: int) -> Iterator[str]:
        several = f"{reason.pods} pods: " if reason.pods > 1 else ""
        restarts = f"; started again {_times(reason.restarts)}" if reason.restarts else ""
        yield from _wrapped(f"{several}{_short(reason.what)}{restarts}", width, "    ")
        if reason.log:
            yield from _wrapped(f"log: {_short(reason.log)}", width, "      ")
        if (action := remedy(reason, self.settings)) is not None:
            yield from _wrapped(f"-> {action}", width, "      ")


def _bytes(found: Sharing) -> dict[str, Any]:
    return {
        "bytesFromPeers": found.from_peers,
        "bytesFromSeedPeer": found.from_seed_peer,
        "bytesFromRegistries": found.from_registries,
        "bytesOfSeedPeerFromRegistries": found.seed_peer_from_registries,
        "faults": list(found.faults),
    }


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        max(width, 40),
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        # A reference or a command is copied by people.
        break_long_words=False,
        break_on_hyphens=False,
    )


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _full_name(condition: Condition) -> str:
    return f"{condition.kind} {condition.name}" if condition.kind else condition.name


def _versions(images: dict[str, list[str]]) -> str:
    """Of every version the containers that have it."""
    containers: dict[str, list[str]] = {}
    for name, references in images.items():
        for reference in references:
            containers.setdefault(version(reference), []).append(name)
    return ", ".join(f"{tag} ({', '.join(names)})" for tag, names in containers.items())
