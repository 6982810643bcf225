"""`python -m local.images`: fetch the container images, or build them."""

from __future__ import annotations

import signal
import sys

from rich.console import Console

from local.images.archive import provide_archives
from local.images.debian_root import DebianRootError
from local.tools.building.tool import ToolchainError


def main() -> int:
    """Provide them; return the process' exit code."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    # As in `local/__main__.py`.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        provide_archives(console)
    except KeyboardInterrupt:
        console.print("interrupted; run the same command again to go on")
        return 130
    except (DebianRootError, ToolchainError) as error:
        console.print(f"error: {error}", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
