"""Half a state that a killed CLI left, and the one before beside it."""

from __future__ import annotations

from pathlib import Path

from local.stack import Engine


def test_half_a_state_gives_way_to_the_one_before(tmp_path: Path) -> None:
    folder = tmp_path / "backend/.pulumi/stacks/dragonfly"
    folder.mkdir(parents=True)
    (folder / "local.json").write_text("")
    (folder / "local.json.bak").write_text('{"version": 3}')
    (folder / "whole.json").write_text('{"version": 3, "newer": true}')
    (folder / "whole.json.bak").write_text('{"version": 3}')
    engine = Engine({}, tmp_path, None)
    engine.restore_checkpoint("local")
    engine.restore_checkpoint("whole")
    assert (folder / "local.json").read_text() == '{"version": 3}'
    assert (folder / "whole.json").read_text() == '{"version": 3, "newer": true}'
