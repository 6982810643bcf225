"""Kubernetes quantities in the one form the API server stores, so that `0.5` and `500m` do not look like a change."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Final

from local.plugins.property_values import Properties, Value

_TEXT: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?")
_BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_QUANTITY_MAPS: Final = frozenset({"requests", "limits", "capacity", "hard", "overhead"})
"""Fields of the core and apps API groups whose values are all quantities (`ResourceList` in k8s.io/api/core/v1)."""
_QUANTITY_FIELDS: Final = frozenset({"sizeLimit", "divisor"})
"""Fields of the core API group that are one quantity (`EmptyDirVolumeSource`, `ResourceFieldSelector`)."""


def canonical(text: str) -> str:
    """Return the quantity in canonical form, or the text itself where it is not a quantity.

    Canonical: a whole number with the largest suffix of its own family (apimachinery, `pkg/api/resource/quantity.go`);
    a binary quantity below 1024 or with a fraction is written in decimal.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        return text
    number, suffix = Fraction(match[1]), match[2] or ""
    if suffix in _BINARY:
        number *= 1024 ** _BINARY[suffix]
        if number.denominator == 1 and abs(number) >= 1024:
            return _in_binary(int(number))
        return _in_decimal(number, exponent=False)
    if suffix in _DECIMAL:
        return _in_decimal(number * Fraction(10) ** _DECIMAL[suffix], exponent=False)
    return _in_decimal(number * Fraction(10) ** int(suffix[1:]), exponent=True)


def _in_binary(number: int) -> str:
    for suffix, power in reversed(_BINARY.items()):
        if number % 1024**power == 0:
            return f"{number // 1024**power}{suffix}"
    return str(number)


def _in_decimal(number: Fraction, *, exponent: bool) -> str:
    if number == 0:
        return "0"
    # The API server keeps no more than nano precision and rounds up.
    number = Fraction(math.ceil(number * 10**9), 10**9)
    for suffix, power in sorted(_DECIMAL.items(), key=lambda entry: -entry[1]):
        scaled = number / Fraction(10) ** power
        if scaled.denominator == 1:
            return f"{scaled.numerator}{f'e{power}' if exponent and power else suffix}"
    return str(number)


def with_canonical_quantities(item: Properties) -> Properties:
    """Return a copy of a built-in kind's object with every quantity in canonical form."""
    return {name: _field(name, value) for name, value in item.items()}


def _field(name: str, value: Value) -> Value:
    if isinstance(value, dict):
        if name in _QUANTITY_MAPS:
            return {key: _quantity(entry) for key, entry in value.items()}
        return with_canonical_quantities(value)
    if isinstance(value, list):
        return [with_canonical_quantities(entry) if isinstance(entry, dict) else entry for entry in value]
    return _quantity(value) if name in _QUANTITY_FIELDS else value


def _quantity(value: Value) -> Value:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return canonical(repr(value))
    return canonical(value) if isinstance(value, str) else value
