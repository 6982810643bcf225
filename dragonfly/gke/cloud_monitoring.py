"""What Google Cloud tells of an installation whose metrics its managed Prometheus reads: alerts and a dashboard."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pulumi
from pulumi_gcp import monitoring

from dragonfly.google.dashboard import dashboard
from dragonfly.google.location import GoogleLocation
from dragonfly.monitoring.alerts import Alert, alerts
from dragonfly.monitoring.label_text import VALUE, told
from dragonfly.monitoring.panels import panels
from dragonfly.monitoring.scope import CloudCluster, Scope
from dragonfly.settings.model import Settings

# Google keeps an incident open for a week where nothing is measured any more. The least that it takes.
_CLOSED_AFTER = "1800s"
_EVERY = "60s"


class CloudMonitoring(pulumi.ComponentResource):
    """An alert policy for each alert, whom they tell, and the dashboard.

    Rules of managed Prometheus itself would go to an Alertmanager, of which a new cluster has none that tells anybody.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        location: GoogleLocation,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare them.

        Args:
            name: Pulumi's name of it.
            settings: what the stack decides.
            location: the cluster's.
            after: what each of them waits for: before, somebody would be told that nothing answers yet.
            opts: of the component.
        """
        super().__init__("dragonfly:gke:CloudMonitoring", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, depends_on=after)
        cluster = CloudCluster(settings.cluster_name, location.cluster_location)
        scope = Scope(settings.namespace, settings.names, cluster)
        app = settings.names.app
        title = f"{app} in {settings.cluster_name}"
        channels = [_channel(entry, location.project, child) for entry in settings.notification_channels]
        for alert in alerts(scope, counts_transfers=settings.line.counts_transfers):
            _policy(alert, title, app, location.project, channels, child)
        monitoring.Dashboard(
            "dashboard",
            project=location.project,
            dashboard_json=json.dumps(dashboard(f"Dragonfly {title}", panels(scope))),
            opts=child,
        )
        self.register_outputs({})


def monitored_components(settings: Settings) -> list[str]:
    """Return what of a cluster Google Cloud measures (GKE API reference, `MonitoringComponentConfig`)."""
    # Of the others each sample is billed; the alerts need these.
    return ["SYSTEM_COMPONENTS", *(["DAEMONSET"] if settings.has_alert_policies else [])]


def _channel(entry: str, project: str, opts: pulumi.ResourceOptions) -> pulumi.Input[str]:
    if "@" not in entry:
        return entry
    return monitoring.NotificationChannel(
        entry, project=project, type="email", display_name=entry, labels={"email_address": entry}, opts=opts
    ).name


def _in_google_cloud(name: str) -> str:
    # As Google's own converter of Prometheus' rules writes them.
    return "${metric.label.value}" if name == VALUE else f"${{metric_or_resource.label.{name}}}"


def _policy(
    alert: Alert,
    title: str,
    app: str,
    project: str,
    channels: list[pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> monitoring.AlertPolicy:
    said = told(alert.summary, _in_google_cloud)
    return monitoring.AlertPolicy(
        alert.name,
        project=project,
        display_name=f"{alert.name}: {title}",
        combiner="OR",
        conditions=[
            monitoring.AlertPolicyConditionArgs(
                display_name=alert.name,
                condition_prometheus_query_language=(
                    monitoring.AlertPolicyConditionConditionPrometheusQueryLanguageArgs(
                        query=alert.expression,
                        duration=f"{60 * alert.minutes}s",
                        evaluation_interval=_EVERY,
                        alert_rule=alert.name,
                        rule_group=app,
                        # Nothing has been measured yet when the policy is made, and of some never is.
                        disable_metric_validation=True,
                    )
                ),
            )
        ],
        alert_strategy=monitoring.AlertPolicyAlertStrategyArgs(auto_close=_CLOSED_AFTER),
        severity=alert.severity.upper(),
        documentation=monitoring.AlertPolicyDocumentationArgs(
            content=f"{said}\n\nWhat to do: {alert.remedy}.", mime_type="text/markdown"
        ),
        notification_channels=channels,
        user_labels={"dragonfly-instance": app},
        opts=opts,
    )
