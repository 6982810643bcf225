"""What could not be had is asked for again after a day, and at once when it is another thing."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from local.tools.refusals import Refusal

WANTED = {"kubernetes": "4.1.0"}


@pytest.fixture
def refusal(tmp_path: Path) -> Refusal:
    return Refusal(tmp_path / "folder" / "refused.json", WANTED)


def test_nothing_is_remembered_at_first(refusal: Refusal) -> None:
    assert not refusal.is_remembered()


def test_a_refusal_is_remembered_for_the_same_thing_only(refusal: Refusal) -> None:
    refusal.remember()
    assert refusal.is_remembered()
    assert not Refusal(refusal.file, {"kubernetes": "4.2.0"}).is_remembered()
    assert str(refusal.file) in refusal.remark


def test_a_day_later_it_is_asked_for_again(refusal: Refusal) -> None:
    refusal.remember()
    document = json.loads(refusal.file.read_text())
    refusal.file.write_text(json.dumps({**document, "time": time.time() - 24 * 60 * 60 - 1}))
    assert not refusal.is_remembered()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"versions": {}, "time": 1}', '{"wanted": {}, "time": "x"}'])
def test_a_file_of_another_version_or_cut_off_is_no_refusal(refusal: Refusal, text: str) -> None:
    refusal.file.parent.mkdir()
    refusal.file.write_text(text)
    assert not refusal.is_remembered()
