"""How many threads the resampling may use."""

from __future__ import annotations

import os
import sys

MOST = 8


def usable_threads() -> int:
    """CPUs that this process may run on, at most `MOST`, and at most what OMP_NUM_THREADS allows."""
    cpus = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cpus, MOST, int(asked) if asked.isdecimal() else MOST))
