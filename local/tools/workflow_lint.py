"""Checks the workflows of `.github/workflows` with actionlint: `python -m local.tools.workflow_lint`."""

from __future__ import annotations

import subprocess
import sys

from local.machine.paths import PROJECT_FOLDER
from local.tools import toolchain
from local.tools.building.tool import ToolchainError
from local.tools.catalog import LINT_TOOLS


def main() -> int:
    """Build actionlint, unless it is built already, and return its exit code."""
    try:
        actionlint = toolchain.provide(LINT_TOOLS)["actionlint"]
    except ToolchainError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    workflows = sorted(str(path) for path in (PROJECT_FOLDER / ".github" / "workflows").glob("*.yml"))
    # It would look for the project by its git folder, which a source archive does not have; and shellcheck and pyflakes
    # are on some machines and not on others, which must not decide.
    command = [str(actionlint), "-no-color", "-shellcheck=", "-pyflakes=", *workflows]
    return subprocess.run(command, cwd=PROJECT_FOLDER, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
