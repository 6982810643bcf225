"""Probes of every container, one policy for all.

- startup: every second, for half an hour. A container that waits for its database has not failed, and a restart would
  only add kubelet's back-off.
- readiness: decides who gets traffic; never restarts.
- liveness: restarts a process only after a minute of silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pulumi_kubernetes.core import v1 as core

STARTUP_PERIOD_SECONDS = 1
STARTUP_LIMIT_SECONDS = 1800


class Check(Protocol):
    """How a container is asked whether it works."""

    def probe(self, *, period_seconds: int, failure_threshold: int, timeout_seconds: int) -> core.ProbeArgs:
        """Return the check as a Kubernetes probe; times in seconds."""
        ...


@dataclass(frozen=True)
class Grpc:
    """The gRPC health service that every Dragonfly program has; kubelet asks it without a process in the container."""

    port: int

    def probe(self, *, period_seconds: int, failure_threshold: int, timeout_seconds: int) -> core.ProbeArgs:
        return core.ProbeArgs(
            grpc=core.GRPCActionArgs(port=self.port),
            period_seconds=period_seconds,
            failure_threshold=failure_threshold,
            timeout_seconds=timeout_seconds,
        )


@dataclass(frozen=True)
class Tcp:
    """A TCP connection, for MySQL: it opens its port when it serves, and no password is needed."""

    port: int

    def probe(self, *, period_seconds: int, failure_threshold: int, timeout_seconds: int) -> core.ProbeArgs:
        return core.ProbeArgs(
            tcp_socket=core.TCPSocketActionArgs(port=self.port),
            period_seconds=period_seconds,
            failure_threshold=failure_threshold,
            timeout_seconds=timeout_seconds,
        )


@dataclass(frozen=True)
class Http:
    """A GET request that must be answered with a status below 400."""

    path: str
    port: int

    def probe(self, *, period_seconds: int, failure_threshold: int, timeout_seconds: int) -> core.ProbeArgs:
        return core.ProbeArgs(
            http_get=core.HTTPGetActionArgs(path=self.path, port=self.port),
            period_seconds=period_seconds,
            failure_threshold=failure_threshold,
            timeout_seconds=timeout_seconds,
        )


@dataclass(frozen=True)
class Command:
    """A program in the container that must exit with 0. Secrets reach it through the environment, never here."""

    command: tuple[str, ...]

    def probe(self, *, period_seconds: int, failure_threshold: int, timeout_seconds: int) -> core.ProbeArgs:
        return core.ProbeArgs(
            exec_=core.ExecActionArgs(command=list(self.command)),
            period_seconds=period_seconds,
            failure_threshold=failure_threshold,
            timeout_seconds=timeout_seconds,
        )


def startup(check: Check) -> core.ProbeArgs:
    """Hold the other probes back until the container answers for the first time."""
    return check.probe(
        period_seconds=STARTUP_PERIOD_SECONDS,
        failure_threshold=STARTUP_LIMIT_SECONDS // STARTUP_PERIOD_SECONDS,
        timeout_seconds=1,
    )


def readiness(check: Check) -> core.ProbeArgs:
    """Take a container that does not answer for fifteen seconds out of its Services."""
    return check.probe(period_seconds=5, failure_threshold=3, timeout_seconds=3)


def liveness(check: Check) -> core.ProbeArgs:
    """Restarts a container that does not answer for a minute."""
    return check.probe(period_seconds=10, failure_threshold=6, timeout_seconds=5)
