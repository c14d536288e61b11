"""Several processes as one: started by torchrun, joined by torch.distributed, or a single one alone."""

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


@dataclass(frozen=True)
class Ranks:
    """This process's place among ``size`` that share a job."""

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, device: torch.device) -> "Ranks":
        """Joins the others when torchrun started this process; over NCCL on GPUs, over Gloo otherwise."""
        if "WORLD_SIZE" not in os.environ or not dist.is_available():
            return cls()
        if device.type == "cuda":
            torch.cuda.set_device(device)
        if not dist.is_initialized():
            # PyTorch's module keeps the group of the moment in its functions' defaults: imported later (torch.optim
            # does), it would hold this one, whose threads then outlive leave() and may abort the process at its end.
            importlib.import_module("torch.distributed.nn.functional")
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(dist.get_rank(), dist.get_world_size())

    @staticmethod
    def leave() -> None:
        """Ends the connection, if there is one."""
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of all processes' tensors, in place.

        Raises:
            ToolkitError: when another process is gone.
        """
        if self.size > 1:
            with _company():
                dist.all_reduce(tensor)
        return tensor

    def gather(self, thing: Any) -> list[Any]:
        """Every process's thing, in the order of their ranks.

        Raises:
            ToolkitError: when another process is gone.
        """
        gathered: list[Any] = [thing] * self.size
        if self.size > 1:
            with _company():
                dist.all_gather_object(gathered, thing)
        return gathered


@contextmanager
def _company() -> Iterator[None]:
    """Tells in a sentence that another process is gone."""
    try:
        yield
    except RuntimeError as error:  # what every backend raises for a connection that broke
        raise ToolkitError(
            "Another process of this run is gone, and it can't go on without: start the same command again; "
            "with --resume it goes on from its last checkpoint."
        ) from error


#: A single process.
ALONE = Ranks()
