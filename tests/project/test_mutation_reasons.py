"""Why some mutations need no test: how the reasons are read, and that each of them is given."""

from __future__ import annotations

from tests.mutation.reasons import read_reasons, reasons_of


def test_mutations_that_are_named_together_share_a_reason() -> None:
    text = "# Read me.\none -> two\n  Because\n  it is.\n\nthree -> four\nfive -> six\n  Another.\n"
    assert reasons_of(text) == {"one -> two": "Because it is.", "three -> four": "Another.", "five -> six": "Another."}


def test_a_reason_is_not_anothers_by_mistake() -> None:
    assert reasons_of("forgotten\n\nexplained\n  Because.\n") == {"forgotten": "", "explained": "Because."}


def test_every_mutation_that_is_named_has_a_reason() -> None:
    assert [key for key, reason in read_reasons().items() if not reason.endswith(".")] == []
