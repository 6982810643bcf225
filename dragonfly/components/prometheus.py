"""The objects that tell a Prometheus in the cluster what to read, Google's managed one or an operator's, and what of it
somebody has to know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import pulumi
from pulumi_kubernetes import apiextensions
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from dragonfly.instance.objects import Instance
from dragonfly.monitoring.alerts import Alert, alerts
from dragonfly.monitoring.grafana import SIDECAR_LABEL, grafana_dashboard
from dragonfly.monitoring.label_text import VALUE, told
from dragonfly.monitoring.metrics import SCRAPED, Monitoring, Scraped, job_names
from dragonfly.monitoring.panels import panels
from dragonfly.monitoring.scope import Scope
from dragonfly.parts.labels import Component, selector
from dragonfly.updates.served_kind import MANAGED_API, OPERATOR_API, RULES_API

_NODE = "node"


@dataclass(frozen=True)
class PrometheusArgs:
    """What the objects need to know.

    Args:
        instance: the instance whose metrics they are.
        monitoring: who reads them; not `none`.
        labels: of an operator's objects, by which its Prometheus selects them.
        first: options of the first object, which waits until the cluster has the kind.
    """

    instance: Instance
    monitoring: Monitoring
    labels: Mapping[str, str]
    first: pulumi.ResourceOptions | None = None


class Prometheus(pulumi.ComponentResource):
    """One object for each component, and an operator's alerts and dashboard. No pod waits for them, and nobody else."""

    def __init__(self, name: str, args: PrometheusArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dragonfly:prometheus:Prometheus", name, None, opts)
        first: list[pulumi.Resource] = []
        for component, scraped in SCRAPED.items():
            # The engine runs four operations per CPU at once: of six that wait for their kind, five would keep other
            # objects from being made meanwhile.
            own = pulumi.ResourceOptions(parent=self, depends_on=first)
            made = _object(component, scraped, args, pulumi.ResourceOptions.merge(own, None if first else args.first))
            first = first or [made]
        if args.monitoring is Monitoring.OPERATOR:
            _rules(args, pulumi.ResourceOptions(parent=self, depends_on=first))
            _dashboard(args, pulumi.ResourceOptions(parent=self))
        self.register_outputs({})


def _object(
    component: Component, scraped: Scraped, args: PrometheusArgs, opts: pulumi.ResourceOptions
) -> apiextensions.CustomResource:
    instance, job = args.instance, job_names(args.instance.names)[component]
    managed = args.monitoring is Monitoring.MANAGED
    metadata = _labelled(instance.metadata(job, component, awaited=False), args.labels)
    selected = {"matchLabels": selector(instance.names.app, component)}
    api_version, kind = MANAGED_API if managed else OPERATOR_API
    return apiextensions.CustomResource(
        f"{component.short_name}-metrics",
        api_version=api_version,
        kind=kind,
        metadata=metadata,
        spec=_managed(scraped, selected) if managed else _operated(scraped, selected, job),
        opts=opts,
    )


def _managed(scraped: Scraped, selected: Mapping[str, object]) -> dict[str, object]:
    return {
        "selector": selected,
        "endpoints": [{**_endpoint(scraped), "metricRelabeling": [scraped.relabeling]}],
        "targetLabels": {"metadata": ["pod", "container", _NODE]},
    }


def _operated(scraped: Scraped, selected: Mapping[str, object], job: str) -> dict[str, object]:
    labels = [
        # As Google's have it, so that one query does for both.
        {"targetLabel": "job", "replacement": job},
        {"targetLabel": _NODE, "sourceLabels": ["__meta_kubernetes_pod_node_name"]},
    ]
    return {
        "selector": selected,
        "podMetricsEndpoints": [
            {**_endpoint(scraped), "relabelings": labels, "metricRelabelings": [scraped.relabeling]}
        ],
    }


def _endpoint(scraped: Scraped) -> dict[str, object]:
    return {"port": scraped.port, "interval": f"{scraped.interval_seconds}s"}


def _rules(args: PrometheusArgs, opts: pulumi.ResourceOptions) -> apiextensions.CustomResource:
    names, counted = args.instance.names, args.instance.line.counts_transfers
    api_version, kind = RULES_API
    return apiextensions.CustomResource(
        "alerts",
        api_version=api_version,
        kind=kind,
        metadata=_labelled(args.instance.metadata(names.app, awaited=False), args.labels),
        spec={
            "groups": pulumi.Output.from_input(args.instance.namespace).apply(
                lambda namespace: [
                    {
                        "name": names.app,
                        "rules": [_rule(alert) for alert in alerts(Scope(namespace, names), counts_transfers=counted)],
                    }
                ]
            )
        },
        opts=opts,
    )


def _dashboard(args: PrometheusArgs, opts: pulumi.ResourceOptions) -> core.ConfigMap:
    names, instance = args.instance.names, args.instance.names.app
    return core.ConfigMap(
        "dashboard",
        metadata=_labelled(args.instance.metadata(names.dashboard), {**args.labels, **SIDECAR_LABEL}),
        data=pulumi.Output.from_input(args.instance.namespace).apply(
            lambda namespace: {
                # The sidecar writes what it finds in all namespaces into one folder.
                f"{namespace}-{names.dashboard}.json": json.dumps(
                    grafana_dashboard(f"Dragonfly {instance} in {namespace}", panels(Scope(namespace, names)))
                )
            }
        ),
        opts=opts,
    )


def _rule(alert: Alert) -> dict[str, object]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": f"{alert.minutes}m",
        # By it an Alertmanager sends the alert to somebody.
        "labels": {"severity": alert.severity.value},
        "annotations": {
            "summary": told(alert.summary, lambda name: _in_prometheus(alert, name)),
            "description": alert.remedy,
        },
    }


def _in_prometheus(alert: Alert, name: str) -> str:
    return f"{{{{ $value | {alert.shown_as} }}}}" if name == VALUE else f"{{{{ $labels.{name} }}}}"


def _labelled(metadata: meta.ObjectMetaArgs, labels: Mapping[str, str]) -> meta.ObjectMetaArgs:
    """Add the labels by which somebody selects objects; ours stay ours."""
    metadata.labels = {**labels, **cast("dict[str, str]", metadata.labels)}
    return metadata
