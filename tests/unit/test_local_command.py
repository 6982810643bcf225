"""The command behind the Makefile's targets."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_ctrl_c_while_modules_load_is_told_in_one_line(tmp_path: Path) -> None:
    # One of the modules that it loads sends the signal, as a person would at that moment.
    (tmp_path / "yaml.py").write_text(f"import os\nos.kill(os.getpid(), {int(signal.SIGINT)})\n")
    done = subprocess.run(
        [sys.executable, "-m", "local", "preview"],
        cwd=ROOT,
        env={"PYTHONPATH": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "interrupted; run the same command again to go on\n")
