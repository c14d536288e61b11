"""How much memory there is to work in."""

import os
from pathlib import Path

import torch

#: What PyTorch's libraries and the interpreter take before any work, measured: 0.45 GB on the CPU.
BASE = 450_000_000

#: What to count on where nothing tells.
UNKNOWN = 4_000_000_000


def available(device: torch.device) -> int:
    """Free bytes of a GPU, or of this machine within what its container may use."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return UNKNOWN
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):  # no container, or no limit
        return free
    return min(free, limit - used)
