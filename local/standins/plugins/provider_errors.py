"""How an operation of a plug-in fails towards the engine."""

from __future__ import annotations

from local.standins.plugins.property_values import Properties


class ProviderError(Exception):
    """An operation failed and changed nothing that the state has to know; the message is for the person who reads."""


class InitializationError(ProviderError):
    """The object exists but is not as wanted; the engine keeps it in the state and updates it in the next run.

    Attributes:
        resource_id: the object's id.
        outputs: the object as last seen, in the form of the state.
        reasons: the message and what stood in the way.
        inputs: the inputs as found in the cluster, after a refresh; None otherwise.
    """

    def __init__(
        self, message: str, resource_id: str, outputs: Properties, reasons: list[str], inputs: Properties | None = None
    ) -> None:
        super().__init__(message)
        self.resource_id = resource_id
        self.outputs = outputs
        self.reasons = reasons
        self.inputs = inputs
