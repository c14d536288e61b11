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
from .storage import Storage


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

    def agree(self, decision: bool) -> bool:
        """What the first of them decided.

        Raises:
            ToolkitError: when another process is gone.
        """
        decisions = [decision]
        if self.size > 1:
            with _company():
                dist.broadcast_object_list(decisions)
        return decisions[0]

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


@dataclass(frozen=True)
class Share:
    """This process's part of vectors that are as long as an image, so that what goes with them is divided.

    Every method but ``part`` and ``own`` is for all processes at once, and raises a ToolkitError when one is gone.

    Args:
        ranks: those who share.
        length: of the whole vectors.
    """

    ranks: Ranks
    length: int

    def _bounds(self, rank: int) -> slice:
        return slice(self.length * rank // self.ranks.size, self.length * (rank + 1) // self.ranks.size)

    def part(self, whole: Tensor) -> Tensor:
        """This process's part of a vector (length,): a view."""
        return whole[self._bounds(self.ranks.rank)]

    def own(self, whole: Tensor) -> Tensor:
        """The part, without the whole behind it."""
        return whole if self.ranks.size == 1 else self.part(whole).clone()

    def mean_size(self, part: Tensor) -> Tensor:
        """The mean () of a vector's absolute values, from its parts."""
        return self.ranks.sum(part.abs().sum()) / self.length

    def sum(self, whole: Tensor) -> Tensor:
        """The sum of all processes' vectors (length,), in place: each gets its own part of it."""
        if self.ranks.size > 1:
            with _company():
                for rank in range(self.ranks.size):
                    dist.reduce(whole[self._bounds(rank)], rank)
        return whole

    def spread(self, whole: Tensor) -> Tensor:
        """A vector (length,) whose own part each process knows, completed in place."""
        if self.ranks.size > 1:
            with _company():
                for rank in range(self.ranks.size):
                    dist.broadcast(whole[self._bounds(rank)], rank)
        return whole

    def collect(self, part: Tensor) -> Tensor:
        """The whole vector on the first process, kept on disk as it may be one of many; nothing on the others."""
        if self.ranks.size == 1:
            return part
        with _company():
            if not self.ranks.first:
                dist.send(part.contiguous(), 0)
                return part.new_empty(0)
            whole = Storage(on_disk=True).zeros((self.length,), part)
            self.part(whole).copy_(part)
            for rank in range(1, self.ranks.size):
                bounds = self._bounds(rank)
                received = part.new_empty(bounds.stop - bounds.start)
                dist.recv(received, rank)
                whole[bounds].copy_(received)
            return whole


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
