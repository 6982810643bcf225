"""`python -m dragonfly.status --stack NAME [--json]`.

It exits with 0 where everything is Ready, with 1 where something is not, and with 2 where the cluster cannot be asked.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from dragonfly.access.client import KubeconfigError, connect
from dragonfly.access.objects import Cluster, ClusterObjects, NoClusterError
from dragonfly.monitoring.scope import Scope
from dragonfly.parts.labels import Component
from dragonfly.parts.traffic import METRICS_PORTS
from dragonfly.settings.model import Settings
from dragonfly.settings.report import SettingsError
from dragonfly.status.doors import open_doors
from dragonfly.status.mirrors import node_mirrors
from dragonfly.status.prometheus import PrometheusUnreadableError, ask
from dragonfly.status.report import Report
from dragonfly.status.sharing import Sharing, shared_in_the_last_hour, sharing
from dragonfly.status.stack import Stack, StackUnreadableError, read_stack
from dragonfly.status.versions import advisories, running_images
from dragonfly.status.workloads import conditions

_ALL_READY, _NOT_READY, _UNKNOWN = 0, 1, 2

# After ten it must have said that there is none.
_SECONDS_TO_A_FIRST_ANSWER = 7.0
# Where the CLI was slow, the cluster still gets a chance.
_LEAST_SECONDS = 3.0
_PROMETHEUS_SECONDS = 5.0

_T = TypeVar("_T")


def main(arguments: list[str]) -> int:
    """Run the command line; return the process' exit code."""
    # What Python took to load all this counts too: it is the processor's time, nearly all of it.
    started = time.monotonic() - time.process_time()
    parser = argparse.ArgumentParser(prog="python -m dragonfly.status", description=__doc__)
    parser.add_argument("--stack", required=True, help="name of the stack")
    parser.add_argument(
        "--prometheus", metavar="URL", help="also tell what was shared in the last hour, by this Prometheus"
    )
    parser.add_argument("--json", action="store_true", help="print a document for programs")
    options = parser.parse_args(arguments)
    try:
        stack = read_stack(options.stack, "pulumi", Path(__file__).resolve().parents[2])
        left = _SECONDS_TO_A_FIRST_ANSWER - (time.monotonic() - started)
        report = _report(stack, max(left, _LEAST_SECONDS), options.prometheus)
    except (KubeconfigError, NoClusterError, SettingsError, StackUnreadableError) as error:
        sys.stderr.write(f"{error}\n")
        return _UNKNOWN
    if options.json:
        sys.stdout.write(json.dumps(report.document(), indent=2) + "\n")
    else:
        width = shutil.get_terminal_size((120, 24)).columns
        sys.stdout.write("".join(f"{line}\n" for line in report.lines(width)))
    return _ALL_READY if report.ready else _NOT_READY


def _report(stack: Stack, seconds: float, prometheus: str | None) -> Report:
    settings = stack.settings
    if settings.provision_cluster and not stack.has_provider:
        raise NoClusterError(f"stack {stack.name} has no cluster yet; `pulumi up` makes it")

    deadline = time.monotonic() + seconds

    def first_answer() -> tuple[Cluster, bool]:
        cluster = Cluster(connect(stack.kubeconfig, stack.context), settings.namespace, stack.secrets)
        # A little earlier, so that the client says what happened.
        return cluster, cluster.has_namespace(max(deadline - time.monotonic() - 0.5, 0.5))

    cluster, namespace_exists = _within(seconds, first_answer)
    objects = cluster.read(settings.app_instance_name) if namespace_exists else ClusterObjects()

    def last_log_line(pod: str, container: str, previous: bool) -> str | None:
        return cluster.last_log_line(pod, container, previous=previous)

    def metrics(pod: str, component: Component) -> str:
        return cluster.page_of_pod(pod, METRICS_PORTS[component], "/metrics")

    now = datetime.now(UTC)
    return Report(
        stack=stack.name,
        settings=settings,
        namespace_exists=namespace_exists,
        conditions=conditions(
            settings.names,
            objects,
            last_log_line,
            now,
            network_policies=settings.network_policies,
        ),
        images=running_images(objects.pods),
        advisories=[*advisories(objects.pods), *open_doors(settings)],
        mirrors=node_mirrors(objects.pods, cluster.log_lines),
        sharing=sharing(objects.pods, metrics, now),
        last_hour=_last_hour(prometheus, settings) if prometheus else None,
    )


def _last_hour(url: str, settings: Settings) -> Sharing:
    try:
        found = shared_in_the_last_hour(
            Scope(settings.namespace, settings.names),
            settings.cluster_name if settings.provision_cluster else None,
            lambda expression: ask(url, expression, _PROMETHEUS_SECONDS),
        )
    except PrometheusUnreadableError as error:
        return Sharing(faults=(str(error),))
    instance = settings.app_instance_name
    return found or Sharing(faults=(f"{url} has read no scheduler of {instance} in {settings.namespace}",))


def _within(seconds: float, ask: Callable[[], _T]) -> _T:
    """Neither a kubeconfig's plug-in nor the resolution of a name can be told how long it may take."""
    results: list[_T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(ask())
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise NoClusterError(f"neither the cluster nor its kubeconfig's plug-in answered within {seconds:.0f} s")
    return results[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
