"""Files of Go modules that are taken as they are."""

from __future__ import annotations

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
        module = self._module_folder()
        for name, path in self.binaries.items():
            shutil.copyfile(module / path, folder / name)
