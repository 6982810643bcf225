"""Text with the values of labels in it, which each of its readers writes in a language of its own."""

from __future__ import annotations

import re
from collections.abc import Callable

VALUE = "value"
"""Stands for the number that was found, among the labels."""


def told(text: str, label: Callable[[str], str]) -> str:
    """Return a text as its reader has it.

    Args:
        text: with the names of labels in braces.
        label: how the reader writes a label's value, by the label's name.
    """
    return re.sub(r"\{(\w+)\}", lambda match: label(match[1]), text)
