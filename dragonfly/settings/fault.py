"""A fault of a stack's config, as the message tells it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic_core import PydanticCustomError

# The namespace of the project's config keys.
PROJECT = "dragonfly"
# Marks pydantic's errors whose message is ours.
RULE_BROKEN = "rule"


def rule_broken(message: str) -> PydanticCustomError:
    """Return the error by which a validator says which rule a value breaks.

    Args:
        message: the rule, for a person.
    """
    # The message is passed as context: pydantic would read braces in it as a template.
    return PydanticCustomError(RULE_BROKEN, "{message}", {"message": message})


@dataclass(frozen=True)
class ConfigFault:
    """One fault of a stack's config.

    Attributes:
        key: the config key, with its path for a value inside an object.
        found: the value, or None where it is a secret or missing.
        rule: what is expected.
        remedy: the command that mends it.
    """

    key: str
    found: str | None
    rule: str
    remedy: str

    def __str__(self) -> str:
        head = self.key if self.found is None else f"{self.key}: {self.found}"
        return f"  {head}\n    {self.rule}\n    {self.remedy}"
