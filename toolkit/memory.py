"""How much memory there is to work in."""

import contextlib
import ctypes
import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from .errors import ToolkitError

#: What the libraries and the interpreter take, measured on the CPU: 0.6 GB before any work, the rest during it.
BASE = 1_100_000_000

#: The C library's M_MMAP_THRESHOLD (mallopt(3)), and the size in bytes from which blocks are returned at once.
MMAP_THRESHOLD, RETURNED = -3, 1 << 20

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


def return_freed_memory() -> None:
    """Has large blocks go back to the system as soon as they are freed, where the C library is glibc.

    It would keep blocks of up to 32 MB for itself, in ever more pieces: half as much again as is in use, measured.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, RETURNED)


def zeros_on_disk(like: Tensor) -> Tensor:
    """Zeros of a tensor's shape and type in a temporary file, in memory only as far as the system has room.

    The file is where Python puts temporary ones (TMPDIR names another folder), and gone with the process.

    Raises:
        ToolkitError: when it can't be made.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix="toolkit-")
        try:
            if hasattr(os, "posix_fallocate"):  # a disk that is full later on would end the process
                os.posix_fallocate(descriptor, 0, like.nbytes)
            return torch.from_file(name, shared=True, size=like.numel(), dtype=like.dtype).view(like.shape)
        finally:
            os.close(descriptor)
            with contextlib.suppress(OSError):  # Windows keeps a file while it is in use
                Path(name).unlink()
    except (OSError, RuntimeError) as error:
        raise ToolkitError(
            f"There is no room for {like.nbytes / 1e9:.1f} GB of the optimizer's memory in {tempfile.gettempdir()}: "
            "name another folder by TMPDIR, or allow more by --memory."
        ) from error
