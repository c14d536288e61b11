"""What computes here: the device, its memory, its arithmetic."""

import os
from pathlib import Path

import torch

from .errors import ToolkitError

#: Bytes to count on where nothing tells.
UNKNOWN = 4_000_000_000


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


def native_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16 itself, instead of converting back and forth."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
