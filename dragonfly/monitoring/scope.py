"""Which installation a query is about: what its selectors say."""

from __future__ import annotations

from dataclasses import dataclass

from dragonfly.monitoring.metrics import TRAFFIC, Fetcher, Source, job_names
from dragonfly.parts.labels import Component
from dragonfly.parts.names import Names


@dataclass(frozen=True)
class CloudCluster:
    """A cluster whose metrics are in Google Cloud, together with those of the project's other clusters.

    Attributes:
        name: the cluster's.
        location: its zone or region; any where it is None.
    """

    name: str
    location: str | None = None


@dataclass(frozen=True)
class Scope:
    """One installation.

    Attributes:
        namespace: where it is.
        names: of its objects.
        cluster: where Google's managed Prometheus reads it; None for a Prometheus of the cluster's own.
    """

    namespace: str
    names: Names
    cluster: CloudCluster | None = None

    def job(self, component: Component) -> str:
        """Return the label `job` of a component's metrics."""
        return job_names(self.names)[component]

    def traffic(self, fetcher: Fetcher, *sources: Source) -> str:
        """Return the selector of what the schedulers have counted.

        Args:
            fetcher: who fetched it.
            sources: where it came from, any of these.
        """
        which = f'type=~"{"|".join(sources)}"'
        return f"{TRAFFIC}{{{self.labels(Component.SCHEDULER, host_type=fetcher.value)},{which}}}"

    def labels(self, *components: Component, **others: str) -> str:
        """Return a selector's matchers.

        Args:
            components: whose metrics; any where none is given.
            others: values of further labels.
        """
        found = {"namespace": self.namespace}
        if self.cluster:
            found |= {"cluster": self.cluster.name}
            found |= {"location": self.cluster.location} if self.cluster.location else {}
        matchers = [f'{label}="{value}"' for label, value in {**found, **others}.items()]
        if components:
            names = "|".join(map(self.job, components))
            matchers.append(f'job{"=" if len(components) == 1 else "=~"}"{names}"')
        return ",".join(matchers)
