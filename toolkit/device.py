"""What computes here: the device, its memory, its arithmetic."""

import functools
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from .errors import ToolkitError

#: Bytes to count on where nothing tells.
UNKNOWN = 4_000_000_000

#: How many times as fast bfloat16 has to be to be worth what it rounds away.
FASTER = 1.3


def find_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is a GPU if there is one. Under torchrun each process has a GPU of its own.

    >>> find_device("cpu")
    device(type='cpu')

    Raises:
        ToolkitError: when there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        chosen = torch.device(name)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:  # what PyTorch raises for unknown and for absent devices
        raise ToolkitError(f"This machine has no device {name!r}: use --device cpu, or auto.") from error
    return chosen


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


@functools.cache
def native_bfloat16(device: torch.device) -> bool:
    """Whether a device computes convolutions in bfloat16 clearly faster than in float32.

    A CPU that has the instructions may still be slower with them, so it is tried once: some 50 milliseconds.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        features, kernel = torch.ones(1, 128, 64, 64, dtype=dtype), torch.ones(128, 128, 3, 3, dtype=dtype)
        features, kernel = (each.to(memory_format=torch.channels_last) for each in (features, kernel))
        seconds[dtype] = min(_seconds(lambda: F.conv2d(features, kernel, padding=1)) for _ in range(6))  # noqa: B023
    return seconds[torch.float32] > FASTER * seconds[torch.bfloat16]


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
