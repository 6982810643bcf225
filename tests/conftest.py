"""What every process of the test runner starts with."""

from __future__ import annotations

import signal

# A shell without job control starts what is to run in the background with SIGINT ignored, and all that the tests start
# would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
