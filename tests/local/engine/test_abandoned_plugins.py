"""Which processes are taken for plug-ins that outlived their engine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import psutil

from local.engine.abandoned_plugins import abandoned_plugins, end_abandoned_plugins
from tests.waiting import wait_until

SECONDS = "60"


def test_only_ours_are_ended_and_only_without_their_engine(tmp_path: Path) -> None:
    plugin, engine = tmp_path / "pulumi-language-python", tmp_path / "pulumi"
    shutil.copy(shutil.which("sleep") or "", plugin)
    shutil.copy(shutil.which("sh") or "", engine)
    home, other = tmp_path / "home", tmp_path / "other"
    started = [
        subprocess.Popen([engine, "-c", f"{plugin} {SECONDS}; :"], env={"PULUMI_HOME": str(folder)}, text=True)
        for folder in (home, other)
    ]

    def plugins_run() -> bool:
        children = [child for process in started for child in psutil.Process(process.pid).children()]
        return len(children) == len(started) and all(child.name().startswith("pulumi-") for child in children)

    try:
        # An engine that is killed before has started none.
        wait_until(plugins_run, "both engines have started their plug-in")
        assert abandoned_plugins([home]) == []
        for process in started:
            process.kill()
            process.wait()
        (found,) = abandoned_plugins([home])
        assert found.cmdline() == [str(plugin), SECONDS]
        assert len(abandoned_plugins([home, other])) == 2
        end_abandoned_plugins([home])
        assert abandoned_plugins([home]) == []
        assert len(abandoned_plugins([other])) == 1
    finally:
        for process in started:
            process.kill()
        end_abandoned_plugins([home, other])
