"""What the state keeps of a Kubernetes resource: the object as last seen, the program's inputs, and its field manager.

The form is that of pulumi-kubernetes (`checkpointObject` in `provider/pkg/provider/provider.go`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from local.plugins.object_fields import deep_copy, object_at, text_at
from local.plugins.property_values import Properties, Value, mark_secrets, plain_object, write_properties

INPUTS: Final = "__inputs"
"""The property with the inputs."""
INITIAL_API_VERSION: Final = "__initialApiVersion"
"""The property with the API version that the object was created with."""
FIELD_MANAGER: Final = "__fieldManager"
"""The property with the name under which the object's fields are owned."""
_DASHED: Final = (
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
)
"""Fields of a CRD's schema that SDKs spell with underscores (`underscoreToDashMap`)."""
_TO_DASHES: Final = {name.replace("-", "_"): name for name in _DASHED}
_TO_UNDERSCORES: Final = {name: name.replace("-", "_") for name in _DASHED}


def _renamed(value: Value, names: Mapping[str, str]) -> Value:
    if isinstance(value, dict):
        return {names.get(name, name): _renamed(element, names) for name, element in value.items()}
    if isinstance(value, list):
        return [_renamed(element, names) for element in value]
    return value


def kubernetes_object(properties: Properties) -> Properties:
    """Return the Kubernetes object that the properties describe, secrets laid open."""
    result = _renamed(plain_object(properties), _TO_DASHES)
    return cast(Properties, result)


def property_names(item: Properties) -> Properties:
    """Return the object with the field names of the SDKs."""
    return cast(Properties, _renamed(item, _TO_UNDERSCORES))


def parse_state(state: Properties) -> tuple[Properties, Properties]:
    """Return the inputs kept in a resource's state, and the object as last seen."""
    plain = kubernetes_object(state)
    inputs = object_at(plain, INPUTS)
    hidden = (INPUTS, INITIAL_API_VERSION, FIELD_MANAGER)
    return inputs, {name: value for name, value in plain.items() if name not in hidden}


def state_object(
    inputs: Properties, live: Properties, marked: Properties, manager: str, initial_api_version: str = ""
) -> Properties:
    """Return what the state keeps of a resource: the object as last seen, its inputs, and what updates need."""
    outputs, kept = property_names(deep_copy(live)), property_names(deep_copy(inputs))
    mark_secrets(outputs, marked)
    mark_secrets(kept, marked)
    outputs[INPUTS] = kept
    outputs[INITIAL_API_VERSION] = initial_api_version or text_at(inputs, "apiVersion")
    outputs[FIELD_MANAGER] = manager
    return outputs


def state_of(inputs: Properties, live: Properties, marked: Properties, manager: str) -> Any:
    """Return `state_object` as the engine takes it, a protobuf `Struct`."""
    return write_properties(state_object(inputs, live, marked, manager))


def imported_inputs(found: Properties) -> Properties:
    """Return what a program would have to write for the object: all of it but what only the cluster sets."""
    result = {name: value for name, value in deep_copy(found).items() if name != "status"}
    metadata = object_at(result, "metadata")
    for name in ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"):
        metadata.pop(name, None)
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict):
        annotations.pop("deployment.kubernetes.io/revision", None)
        annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
        if not annotations:
            del metadata["annotations"]
    return result
