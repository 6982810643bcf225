"""The picture of `make up` shows what the program declares."""

from __future__ import annotations

import html
import re

from tests.program.recorded.recorded_program import RecordedProgram
from tests.program.recorded.terminal_picture import PICTURE

ROW = re.compile(r"[├└]─\s(\S+)\s+(\S+)\s+created")


def test_the_picture_has_a_row_for_every_resource(default_program: RecordedProgram) -> None:
    texts = re.findall(r"<text\b[^>]*\by=\"([\d.]+)\"[^>]*>(.*?)</text>", PICTURE.read_text(), re.DOTALL)
    lines: dict[str, str] = {}
    for place, text in texts:
        lines[place] = lines.get(place, "") + html.unescape(text)
    shown = sorted(found.groups() for line in lines.values() if (found := ROW.search(line)))
    # As the CLI shortens a type's token.
    assert shown == sorted((re.sub(r"/[a-zA-Z]+:", ":", one.type), one.name) for one in default_program.resources)
