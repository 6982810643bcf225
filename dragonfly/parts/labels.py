"""Labels of every object: the chart's two, which select, and the other recommended ones, which do not."""

from __future__ import annotations

from enum import StrEnum

COMPONENT_LABEL = "app.kubernetes.io/component"

_PART_OF_LABEL, _PART_OF = "app.kubernetes.io/part-of", "dragonfly"

ALL_INSTANCES = f"{_PART_OF_LABEL}={_PART_OF}"
"""The label selector of everything that this program installs, as the API server takes it."""


class Component(StrEnum):
    """Values of COMPONENT_LABEL."""

    MANAGER = "dragonfly-manager"
    ROOT_PASSWORD = "dragonfly-root-password"  # noqa: S105 - a component's name
    SCHEDULER = "dragonfly-scheduler"
    SEED_PEER = "dragonfly-seed-peer"
    PEER = "dragonfly-dfget"
    MYSQL = "dragonfly-mysql"
    REDIS = "dragonfly-redis"

    @property
    def short_name(self) -> str:
        """The value without what all have in common, `seed-peer` for example."""
        return self.value.removeprefix("dragonfly-")


def instance_selector(app: str) -> dict[str, str]:
    """Return the label that selects every object of one instance."""
    return {"app.kubernetes.io/name": app}


def selector(app: str, component: Component) -> dict[str, str]:
    """Return the labels that select the pods of one component. Selectors are immutable: never add one."""
    return {**instance_selector(app), COMPONENT_LABEL: component.value}


def instance_labels(app: str) -> dict[str, str]:
    """Labels of an object that belongs to the whole instance."""
    return {
        **instance_selector(app),
        "app.kubernetes.io/instance": app,
        _PART_OF_LABEL: _PART_OF,
        "app.kubernetes.io/managed-by": "pulumi",
    }


def component_labels(app: str, component: Component) -> dict[str, str]:
    """Labels of an object or pod of one component."""
    return {**instance_labels(app), **selector(app, component)}
