"""Several processes as one: started by torchrun, joined by torch.distributed, or a single one alone."""

import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


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
        """The sum of all processes' tensors, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def gather(self, thing: Any) -> list[Any]:
        """Every process's thing, in the order of their ranks."""
        gathered: list[Any] = [thing] * self.size
        if self.size > 1:
            dist.all_gather_object(gathered, thing)
        return gathered


#: A single process.
ALONE = Ranks()
