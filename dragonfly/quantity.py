"""Kubernetes resource quantities such as `8Gi` or `500m`."""

from __future__ import annotations

import math
import re
from decimal import Decimal

_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?P<suffix>(?:[eE][+-]?[0-9]{1,3})|[numkMGTPE]|[KMGTPE]i)?"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def parse_quantity(text: str) -> Decimal:
    """Read a quantity as the API server does (k8s.io/apimachinery/pkg/api/resource).

    Args:
        text: for example `8Gi`, `1.5G`, `250m`, `12e6`.

    Returns:
        The number in the base unit: bytes for memory and storage, cores for CPU.

    Raises:
        ValueError: the text is not a quantity.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a Kubernetes quantity such as 8Gi or 500m")
    number = Decimal(match["number"])
    suffix = match["suffix"] or ""
    if suffix in _BINARY:
        return number * 2 ** _BINARY[suffix]
    if suffix in _DECIMAL:
        return number.scaleb(_DECIMAL[suffix])
    return number.scaleb(int(suffix[1:])) if suffix else number


def whole_gibibytes(text: str) -> int:
    """Return a quantity of bytes as Compute Engine takes a disk's size: whole GiB, rounded up.

    Args:
        text: for example `8Gi`.

    Raises:
        ValueError: the text is not a quantity.
    """
    return math.ceil(parse_quantity(text) / 2 ** _BINARY["Gi"])
