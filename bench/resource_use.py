"""What an installation's containers take of memory and CPU while a pod beside them keeps them busy.

The load: sixteen connections to MySQL that insert and read, eight to Redis with values of a kilobyte, four that ask the
manager's REST API and sign in, and ten scrapes a second of both exporters.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kubernetes.client.api.core_v1_api import CoreV1Api
from kubernetes.client.api.networking_v1_api import NetworkingV1Api
from rich.table import Table

from dragonfly.components import mysql, redis
from dragonfly.parts import databases, ports
from dragonfly.parts.images import Image
from dragonfly.parts.labels import ALL_INSTANCES
from dragonfly.parts.names import Names
from dragonfly.quantity import parse_quantity
from local.api.kubeconfig import connect
from local.api.letting_in import letting_in
from local.images.catalog import default_references

LOAD_SECONDS: Final = 40
_SAMPLE_SECONDS: Final = 2
_START_SECONDS: Final = 30
_MIB: Final = 1 << 20
_POD = "load"

_MYSQL_LOAD = """\
# The node lets a new pod through its network policies a moment after it has started.
until mysql --host="$0" --user="$1" "$2" --execute='CREATE TABLE IF NOT EXISTS load_rows (
  id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(64), value TEXT, KEY (name))'; do sleep 0.2; done
client() {
  while :; do
    echo "INSERT INTO load_rows (name, value) VALUES (UUID(), REPEAT('x', 1000)), (UUID(), REPEAT('y', 1000));"
    echo "SELECT COUNT(*), MAX(value) FROM load_rows WHERE name > UUID();"
  done | mysql --host="$0" --user="$1" "$2" >/dev/null
}
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do client "$@" & done
wait
"""
_REDIS_LOAD = """\
value=$(printf '%01000d' 0)
client() {
  while :; do
    echo "SET load:$RANDOM $value"
    echo "GET load:$RANDOM"
  done | redis-cli -h "$0" >/dev/null
}
for _ in 1 2 3 4 5 6 7 8; do client "$0" & done
wait
"""
_HTTP_LOAD = """\
# The request goes through printf's format: a command substitution would cut its last line's end off.
ask() {
  timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"; printf "$2" >&3; cat <&3' "$1" "$2" "$3" >/dev/null 2>&1
}
end='Host: x\\r\\nConnection: close\\r\\n'
list="GET /api/v1/schedulers HTTP/1.1\\r\\n$end\\r\\n"
metrics="GET /metrics HTTP/1.1\\r\\n$end\\r\\n"
body='{"name":"root","password":"not-the-password"}'
sign_in="POST /api/v1/users/signin HTTP/1.1\\r\\nContent-Length: ${#body}\\r\\n$end\\r\\n$body"
for _ in 1 2; do while :; do ask "$0" "$3" "$list"; done & done
for _ in 1 2; do while :; do ask "$0" "$3" "$sign_in"; done & done
while :; do ask "$1" "$4" "$metrics"; ask "$2" "$5" "$metrics"; sleep 0.1; done &
wait
"""


class LoadError(RuntimeError):
    """What should keep the installation busy does not run; the message is what it says."""


@dataclass
class ContainerUse:
    """Of one container of one component.

    Attributes:
        memory_bytes: the largest working set that was seen.
        cpu_cores: the most over a few seconds.
        memory_limit_bytes, cpu_limit_cores: what the program allows it.
    """

    memory_bytes: int = 0
    cpu_cores: float = 0.0
    memory_limit_bytes: int = 0
    cpu_limit_cores: float = 0.0


def measure(kubeconfig: Path, namespace: str, app: str) -> dict[str, ContainerUse]:
    """Load an installation for LOAD_SECONDS and return the most that each container took, by `component/container`.

    Args:
        kubeconfig: of a cluster whose nodes run containers.
        namespace: of the installation.
        app: its `appInstanceName`.

    Raises:
        LoadError: the load did not start, or ended before its time.
    """
    names = Names(app)
    with connect(kubeconfig) as client:
        core: Any = CoreV1Api(client)
        uses = _containers(core, namespace)
        policies: Any = NetworkingV1Api(client)
        with ExitStack() as made:
            policies.create_namespaced_network_policy(namespace, letting_in(_POD, app, namespace))
            made.callback(policies.delete_namespaced_network_policy, _POD, namespace)
            core.create_namespaced_pod(namespace, _load_pod(names))
            made.callback(core.delete_namespaced_pod, _POD, namespace, grace_period_seconds=0)
            _wait_for_load(core, namespace)
            _sample(core, namespace, uses)
            _wait_for_load(core, namespace)
    merged: dict[str, ContainerUse] = {}
    for (_, container), (component, use) in sorted(uses.items()):
        key = f"{component}/{container}"
        known = merged.setdefault(key, use)
        known.memory_bytes = max(known.memory_bytes, use.memory_bytes)
        known.cpu_cores = max(known.cpu_cores, use.cpu_cores)
    return merged


def use_table(uses: dict[str, ContainerUse]) -> Table:
    """Return the figures, each beside its limit."""
    table = Table("container", "memory, MiB", "of", "CPU, cores", "of", title=f"the most in {LOAD_SECONDS} s of load")
    for name, use in uses.items():
        table.add_row(
            name,
            f"{use.memory_bytes / _MIB:.0f}",
            f"{use.memory_limit_bytes / _MIB:.0f}",
            f"{use.cpu_cores:.2f}",
            f"{use.cpu_limit_cores:.1f}",
        )
    return table


_Uses = dict[tuple[str, str], tuple[str, ContainerUse]]


def _containers(core: Any, namespace: str) -> _Uses:
    found: _Uses = {}
    for pod in core.list_namespaced_pod(namespace, label_selector=ALL_INSTANCES).items:
        if pod.status.phase != "Running":
            continue
        component = pod.metadata.labels["app.kubernetes.io/component"]
        for container in pod.spec.containers:
            limits = container.resources.limits
            use = ContainerUse(
                memory_limit_bytes=int(parse_quantity(limits["memory"])),
                cpu_limit_cores=float(parse_quantity(limits["cpu"])),
            )
            found[pod.metadata.name, container.name] = component, use
    return found


def _wait_for_load(core: Any, namespace: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        pod = core.read_namespaced_pod(_POD, namespace)
        statuses: list[Any] = pod.status.container_statuses or []
        ended = [status.name for status in statuses if status.state.terminated]
        if ended:
            log = core.read_namespaced_pod_log(_POD, namespace, container=ended[0], tail_lines=5)
            raise LoadError(f"the load on {ended[0]} ended: {log}")
        if statuses and all(status.state.running for status in statuses):
            return
        if time.monotonic() > deadline:
            raise LoadError(f"the pod of the load did not start within {_START_SECONDS} s")
        time.sleep(0.5)


def _sample(core: Any, namespace: str, uses: _Uses) -> None:
    nodes = [node.metadata.name for node in core.list_node().items]
    deadline = time.monotonic() + LOAD_SECONDS
    while time.monotonic() < deadline:
        for node in nodes:
            answer = core.connect_get_node_proxy_with_path(node, "stats/summary", _preload_content=False)
            for pod in json.loads(answer.data)["pods"]:
                if pod["podRef"]["namespace"] == namespace:
                    _add(pod, uses)
        time.sleep(_SAMPLE_SECONDS)


def _add(pod: dict[str, Any], uses: _Uses) -> None:
    for container in pod.get("containers", []):
        key = pod["podRef"]["name"], container["name"]
        if key not in uses:
            continue
        _, use = uses[key]
        use.memory_bytes = max(use.memory_bytes, container.get("memory", {}).get("workingSetBytes", 0))
        cpu = container.get("cpu", {})
        if "usageNanoCores" in cpu:
            use.cpu_cores = max(use.cpu_cores, cpu["usageNanoCores"] / 1e9)


def _load_pod(names: Names) -> dict[str, Any]:
    references = default_references()

    def container(name: str, image: Image, script: str, arguments: list[str], **variables: tuple[str, str]) -> Any:
        return {
            "name": name,
            "image": references.reference(image),
            "command": ["bash", "-c", script, *arguments],
            "env": [
                {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
                for variable, (secret, key) in variables.items()
            ],
        }

    return {
        "metadata": {"name": _POD},
        "spec": {
            "restartPolicy": "Never",
            "enableServiceLinks": False,
            "containers": [
                container(
                    "mysql",
                    Image.MYSQL,
                    _MYSQL_LOAD,
                    [names.mysql_service, databases.USER, databases.DATABASE],
                    MYSQL_PWD=(names.mysql_secret, mysql.USER_PASSWORD_KEY),
                ),
                container(
                    "redis",
                    Image.REDIS,
                    _REDIS_LOAD,
                    [names.redis_service],
                    REDISCLI_AUTH=(names.redis_secret, redis.PASSWORD_KEY),
                ),
                container(
                    "http",
                    Image.REDIS,
                    _HTTP_LOAD,
                    [
                        names.manager_service,
                        names.mysqld_exporter_service,
                        names.redis_exporter_service,
                        *map(str, (ports.MANAGER_REST, ports.MYSQLD_EXPORTER, ports.REDIS_EXPORTER)),
                    ],
                ),
            ],
        },
    }
