"""Kubernetes quantities, against the rules of the API server and the parser of the official Python client."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes.utils import quantity as official

from dragonfly.quantity import parse_quantity

# The client has no type annotations.
official_parse = cast(Callable[[str], Decimal], official.parse_quantity)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        ("1", "1"),
        ("8Gi", str(8 * 2**30)),
        ("5Gi", str(5 * 2**30)),
        (".05", "0.05"),
        (".95", "0.95"),
        ("1e09", "1000000000"),
        ("1e10", "10000000000"),
        ("1Ki", "1024"),
        ("1Mi", str(2**20)),
        ("1Ti", str(2**40)),
        ("1Pi", str(2**50)),
        ("1Ei", str(2**60)),
        ("1.5Gi", str(3 * 2**29)),
        ("0.5Gi", str(2**29)),
        (".5Gi", str(2**29)),
        ("5.", "5"),
        ("1k", "1000"),
        ("1M", "1000000"),
        ("1G", "1e9"),
        ("1T", "1e12"),
        ("1P", "1e15"),
        ("1E", "1e18"),
        ("250m", "0.25"),
        ("100u", "0.0001"),
        ("1n", "1e-9"),
        ("12e6", "12000000"),
        ("12E6", "12000000"),
        ("12e+6", "12000000"),
        ("5e-1", "0.5"),
        ("+8Gi", str(8 * 2**30)),
        ("-8Gi", str(-8 * 2**30)),
        ("007", "7"),
    ],
)
def test_quantity(text: str, value: str) -> None:
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Gi",
        "8gi",
        "1e1000",
        "8GI",
        "8Gib",
        "8GB",
        "8 Gi",
        " 8Gi",
        "8Gi ",
        "8Gi\n",
        "8,5Gi",
        "1.2.3",
        "--8",
        "+-8",
        "1e",
        "1e5Gi",
        "1e5.5",
        "0x10",
        "1_000",
        ".",
        "-",
        "inf",
        "nan",
        "1K",
        "1ki",
        "1mi",
        "eight",
        # Unicode has many digits, the API server ten.
        "\N{ARABIC-INDIC DIGIT EIGHT}Gi",
        "\N{FULLWIDTH DIGIT EIGHT}Gi",
    ],
)
def test_not_a_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Kubernetes quantity"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["1e9999999", "1e-9999999", "1e99999999999999999999", "9e999999Gi"])
def test_number_beyond_all_bounds_is_no_crash(text: str) -> None:
    try:
        parse_quantity(text)
    except ValueError:
        return


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    st.integers(min_value=0, max_value=10**12).map(lambda number: f"{number // 1000}.{number % 1000:03}"),
    st.sampled_from(["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]),
)
def test_quantity_is_what_the_official_client_reads(number: str, suffix: str) -> None:
    assert parse_quantity(number + suffix) == official_parse(number + suffix)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.text(alphabet="0123456789.+-eEnumkMGTPEiK ", max_size=8))
def test_what_is_refused_is_refused_by_the_official_client_or_the_api_server(text: str) -> None:
    try:
        ours = parse_quantity(text)
    except ValueError:
        return
    # The client knows no exponents; where it reads one, they agree.
    try:
        theirs = official_parse(text)
    except ValueError:
        assert "e" in text.lower()
        return
    assert ours == theirs
