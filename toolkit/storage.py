"""Where vectors as large as an image are kept: in memory, or in temporary files."""

import contextlib
import math
import mmap
import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from .errors import ToolkitError


class Storage:
    """A place for vectors that are as large as an image.

    Args:
        on_disk: whether they are to be in temporary files, and in memory only while they are used.
    """

    #: Values of a vector on disk to work on at a time: enough for each of a few to be read in one go.
    PIECE = 1 << 22

    def __init__(self, on_disk: bool = False) -> None:
        self.on_disk = on_disk
        self._files: list[mmap.mmap] = []

    def zeros(self, shape: tuple[int, ...], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Zeros of that shape; of another tensor's type and on its device unless they are on disk.

        Raises:
            ToolkitError: when there is no room on disk.
        """
        if not self.on_disk:
            return like.new_zeros(shape, dtype=dtype)
        dtype = dtype or like.dtype
        self._files.append(_temporary(math.prod(shape) * dtype.itemsize))
        return torch.frombuffer(self._files[-1], dtype=dtype).view(shape)

    def pieces(self, length: int) -> list[slice]:
        """What of a vector to work on at a time: all of it in memory, a piece on disk."""
        size = self.PIECE if self.on_disk else length
        return [slice(first, min(first + size, length)) for first in range(0, length, size)]

    def page_out(self) -> None:
        """Has all that is on disk leave this process' memory; the system keeps it as far as it has room."""
        for file in self._files:
            if hasattr(file, "madvise"):
                file.madvise(mmap.MADV_DONTNEED)


def _temporary(nbytes: int) -> mmap.mmap:
    """A file of zeros, where Python puts temporary ones (TMPDIR names another folder); gone with the process."""
    try:
        descriptor, name = tempfile.mkstemp(prefix="toolkit-")
        try:
            if hasattr(os, "posix_fallocate"):  # a disk that is full later on would end the process
                os.posix_fallocate(descriptor, 0, nbytes)
            else:
                os.ftruncate(descriptor, nbytes)
            return mmap.mmap(descriptor, nbytes)
        finally:
            os.close(descriptor)
            with contextlib.suppress(OSError):  # Windows keeps a file while it is in use
                Path(name).unlink()
    except OSError as error:
        raise ToolkitError(
            f"There is no room for {nbytes / 1e9:.1f} GB of the optimizer's memory in {tempfile.gettempdir()}: "
            "name another folder by TMPDIR, or allow more by --memory."
        ) from error
