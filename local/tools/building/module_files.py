"""Files of Go modules that are taken as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from local.tools.building.go_tool import GoTool


class ModuleFiles(GoTool):
    """Files that lie in a Go module; `binaries` has the path of each, by the name that it gets."""

    @property
    def builder(self) -> str:
        return "go mod download"

    def command(self, folder: Path) -> list[str]:
        del folder
        return [self._go_program(), "mod", "download", self.module]

    def finish(self, folder: Path) -> None:
        module = json.loads(self._go_output(["mod", "download", "-json", self.module]))["Dir"]
        for name, path in self.binaries.items():
            shutil.copyfile(Path(module) / path, folder / name)
