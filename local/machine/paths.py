"""Where things lie: this checkout, and what all checkouts share."""

import os
from pathlib import Path

PROJECT_FOLDER = Path(__file__).resolve().parents[2]


def cache_folder() -> Path:
    """Return where built tools are kept: `$DRAGONFLY_LOCAL_CACHE`, or else `dragonfly-local` in the user's cache."""
    own = os.environ.get("DRAGONFLY_LOCAL_CACHE")
    if own:
        return Path(own).expanduser().resolve()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "dragonfly-local"
