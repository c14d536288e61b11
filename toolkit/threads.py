"""Threads that suit the cores there are, and are kind to a busy machine."""

import math
import os
from pathlib import Path

#: How often a waiting thread looks whether the others have arrived before it sleeps. GNU's OpenMP looks for
#: milliseconds by default, and keeps its core busy meanwhile: on a busy machine the threads waited for can't run.
SPINS = "20000"


def cores() -> int:
    """How many cores this process may use: by its affinity, and by its container's quota of processor time."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(found, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no container, or no quota
        return found


def configure() -> None:
    """Sets up OpenMP, unless the environment says otherwise; to be called before PyTorch is imported."""
    os.environ.setdefault("OMP_NUM_THREADS", str(cores()))
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
