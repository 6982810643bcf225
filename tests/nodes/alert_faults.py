"""What is done to a real installation so that somebody is told: a fault for each alert."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from dragonfly.monitoring.metrics import job_names
from dragonfly.parts import ports
from dragonfly.parts.labels import Component
from tests.nodes.container_signals import send_signal
from tests.nodes.node_images import NODES
from tests.nodes.own_stack import NAMES
from tests.nodes.small_disks import DISK_MEBIBYTES, LEFT_MEBIBYTES, filled
from tests.nodes.watched_stack import WatchedStack
from tests.waiting import wait_until

Made = Callable[[WatchedStack], AbstractContextManager[None]]
"""Makes a fault, and mends it."""

_FILLED = f"of {DISK_MEBIBYTES} MiB was filled, but for {LEFT_MEBIBYTES} MiB"
_SIGN_INS = 30
_IMAGES_OF_A_NODE = 3
_IMAGE_BYTES = 8 << 20


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        alert: the name of the alert that tells of it.
        text: what is done, for people.
        made: does it.
        about: labels of what the alert tells of, and their values.
        sooner: what stands in the alert's expression, and what is asked in its place, for a test of a minute.
        besides: names of other alerts that tell of it too.
        passes: whether the alert is silent as soon as it is mended.
    """

    alert: str
    text: str
    made: Made
    about: Mapping[str, str]
    sooner: Mapping[str, str] = field(default_factory=dict[str, str])
    besides: frozenset[str] = frozenset()
    passes: bool = True


@contextmanager
def _hanging(stack: WatchedStack, pod: str, container: str) -> Generator[None]:
    """Freeze a process: it keeps its connections, and answers nobody."""
    node, identity = stack.node(pod), stack.container(pod, container)
    send_signal(stack.cluster, node, identity, signal.SIGSTOP)
    try:
        yield
    finally:
        # Unless kubelet has made another one in its place.
        if stack.container(pod, container) == identity:
            send_signal(stack.cluster, node, identity, signal.SIGCONT)


def _manager_hangs(stack: WatchedStack) -> AbstractContextManager[None]:
    (pod,) = stack.stack.pods("manager")
    return _hanging(stack, pod["metadata"]["name"], "manager")


def _peer_hangs(stack: WatchedStack) -> AbstractContextManager[None]:
    return _hanging(stack, stack.peer(NODES[1]), "dfget")


def _mysql_hangs(stack: WatchedStack) -> AbstractContextManager[None]:
    return _hanging(stack, f"{NAMES.mysql}-0", "mysql")


@contextmanager
def _redis_crashes(stack: WatchedStack) -> Generator[None]:
    """Kill it twice: the second time, kubelet waits before it starts it again."""
    pod, killed = f"{NAMES.redis}-0", ""
    for _ in range(2):

        def runs(before: str = killed) -> bool:
            return stack.container(pod, "redis") not in ("", before)

        wait_until(runs, "Redis runs again")
        killed = stack.container(pod, "redis")
        send_signal(stack.cluster, stack.node(pod), killed, signal.SIGKILL)
    yield


def _disk_is_filled(workload: str) -> Made:
    def fill(stack: WatchedStack) -> AbstractContextManager[None]:
        pod = f"{workload}-0"
        return filled(stack.cluster, stack.stack, pod, stack.node(pod))

    return fill


@contextmanager
def _somebody_guesses(stack: WatchedStack) -> Generator[None]:
    """Sign in with a wrong password, from within the pod: a network policy keeps others out."""
    body = json.dumps({"name": "root", "password": "wrong-Passw0rd"})
    request = (
        f"POST /api/v1/users/signin HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )
    script = 'for _ in $(seq $1); do exec 3<>/dev/tcp/127.0.0.1/$2; printf %s "$0" >&3; head -n 1 <&3; done'
    manager = f"deployment/{NAMES.manager}"
    counts = (str(_SIGN_INS), str(ports.MANAGER_REST))
    said = stack.stack.kubectl("exec", manager, "--", "bash", "-c", script, request, *counts)
    assert said.count(" 401 ") == _SIGN_INS, said
    yield


@contextmanager
def _seed_peer_is_away(stack: WatchedStack) -> Generator[None]:
    """Take the seed peer away for good, and let each node pull images that no other has."""
    seed_peer = f"statefulset/{NAMES.seed_peer}"
    stack.stack.kubectl("scale", "--replicas=0", seed_peer)
    stack.stack.kubectl("wait", "--for=delete", "--timeout=60s", f"pod/{NAMES.seed_peer}-0")
    for number in range(_IMAGES_OF_A_NODE):
        for node in NODES:
            stack.run(f"alone-{node}", stack.push(f"alone-{node}-{number}", _IMAGE_BYTES), node)
    yield


_JOBS = job_names(NAMES)

FAULTS = (
    Fault(
        "DragonflyDiskNearlyFull",
        f"Redis' disk {_FILLED}",
        _disk_is_filled(NAMES.redis),
        {"persistentvolumeclaim": NAMES.redis_claim},
    ),
    Fault(
        "DragonflyCacheDiskNearlyFull",
        f"the seed peer's disk {_FILLED}",
        _disk_is_filled(NAMES.seed_peer),
        {"pod": f"{NAMES.seed_peer}-0"},
    ),
    Fault("DragonflyDatabaseAway", "MySQL was frozen", _mysql_hangs, {"job": _JOBS[Component.MYSQL]}),
    Fault("DragonflyDatabaseAway", "Redis was killed twice", _redis_crashes, {"job": _JOBS[Component.REDIS]}),
    Fault("DragonflyComponentDown", "the manager was frozen", _manager_hangs, {"job": _JOBS[Component.MANAGER]}),
    Fault("DragonflyPeersMissing", "a peer was frozen", _peer_hangs, {"daemonset": NAMES.peer}),
    Fault(
        "DragonflySignInsFail",
        f"{_SIGN_INS} sign-ins with a wrong password",
        _somebody_guesses,
        {"job": _JOBS[Component.MANAGER]},
        # What the manager counted before it was read says nothing: it must have been read for as long as is looked
        # back.
        sooner={"offset 10m": "offset 60s"},
    ),
    Fault(
        "DragonflyNothingShared",
        "the seed peer was taken away, and two nodes pulled images of their own",
        _seed_peer_is_away,
        {"job": _JOBS[Component.SCHEDULER]},
        sooner={"> 1000000000": "> 10000000"},
        # Its pod is gone.
        besides=frozenset({"DragonflyComponentDown"}),
        passes=False,
    ),
)
"""In the order in which they are made: after the last there is no seed peer."""
