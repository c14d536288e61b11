"""Several processes that share a job: started by torchrun, joined by torch.distributed; or a single one."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from .errors import ToolkitError
from .process import uninterrupted


@dataclass(frozen=True)
class Ranks:
    """This process's place among those that share a job, in torch.distributed's words.

    Raises:
        ToolkitError: what is shared can't be, as another process is gone.
    """

    rank: int = 0
    world_size: int = 1

    @classmethod
    @contextmanager
    def joined(cls, device: torch.device) -> Iterator["Ranks"]:
        """Joins the others while it lasts, when torchrun started this process; over NCCL on GPUs, else over Gloo."""
        if "WORLD_SIZE" not in os.environ or not dist.is_available():
            yield cls()
            return
        if device.type == "cuda":
            torch.cuda.set_device(device)
        joins = not dist.is_initialized()
        if joins:
            # This module binds the present group in its functions' defaults: imported later it would keep the new
            # group's threads alive after it has ended, which may abort the process at its end.
            importlib.import_module("torch.distributed.nn.functional")
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        try:
            yield cls(dist.get_rank(), dist.get_world_size())
        finally:
            if joins:  # a group that was there is somebody else's
                with uninterrupted():
                    dist.destroy_process_group()

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """The sum of all processes' tensors, in place."""
        if self.world_size > 1:
            with _connected():
                dist.all_reduce(tensor)
        return tensor

    def all_gather(self, thing: Any) -> list[Any]:
        """Every process's thing, in the order of their ranks."""
        gathered: list[Any] = [thing] * self.world_size
        if self.world_size > 1:
            with _connected():
                dist.all_gather_object(gathered, thing)
        return gathered


@contextmanager
def _connected() -> Iterator[None]:
    """Says in a sentence that another process is gone."""
    try:
        yield
    except RuntimeError as error:  # what every backend raises for a connection that broke
        raise ToolkitError(
            "Another process of this run is gone: start the same command again. "
            "If it keeps a checkpoint, it resumes from the last one."
        ) from error


#: A single process.
ALONE = Ranks()
