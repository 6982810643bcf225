"""Dragonfly on this machine: `python -m local COMMAND`. The Makefile's targets call it."""

import signal
import sys

if __name__ == "__main__":
    try:
        # A shell without job control starts `make up &` with SIGINT ignored; whoever sends one means it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Here, because the imports take most of a second, in which Ctrl-C is no reason for a traceback.
        from local.command_line import main

        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; run the same command again to go on\n")
        sys.exit(130)
