"""How an operation of a plug-in fails towards the engine."""

from __future__ import annotations


class ProviderError(Exception):
    """An operation failed and changed nothing that the state has to know; the message is for the person who reads."""
