"""What the command line of the local stacks says, without an engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from local.engine.stack import Engine, LocalStack


@pytest.mark.parametrize(("name", "command"), [("local", "make recover"), ("dev", "make recover STACK=dev")])
def test_lock_of_a_dead_update_is_told_with_what_helps_this_stack(tmp_path: Path, name: str, command: str) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    engine = Engine({}, tmp_path)
    lock = tmp_path / "backend/.pulumi/locks/organization/dragonfly" / name / "lock.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"pid": dead.pid}))
    assert engine.locks(name) == [lock]
    told = LocalStack(engine, name, None)._lock_holder()  # pyright: ignore[reportPrivateUsage]
    assert told == f": the last update was killed; run `{command}`"
