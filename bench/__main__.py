"""Measure installations on clusters of their own: `python -m bench`, which takes the options of `python -m local`."""

from __future__ import annotations

import sys

from bench.measurements import bench
from local.command_line import Session, main


def _bench(session: Session) -> None:
    nodes = session.nodes
    bench(session.stack, session.tools, nodes.kind, nodes.machine_type, nodes.count, session.console)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], _bench, "python -m bench"))
