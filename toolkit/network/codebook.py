"""Weights in 8 bits: an index into 256 values, which are chosen by least squares (1-D k-means)."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

#: How many values an 8-bit index can tell apart.
SIZE = 256

#: Far more than Lloyd's algorithm takes; it ends by itself when no weight changes its value any more.
MOST_ROUNDS = 100_000


class Codebook(NamedTuple):
    """A tensor in 8 bits: ``indices``, uint8 of its shape, into ``values``, float32 (256), in ascending order."""

    indices: Tensor
    values: Tensor

    def decode(self) -> Tensor:
        """The tensor that it stands for, float32."""
        return torch.from_numpy(np.take(self.values.numpy(), self.indices.numpy()))


def quantize(weight: Tensor) -> Codebook:
    """The 256 values that stand for a tensor with the least squared error, and which of them each entry takes.

    Lloyd's algorithm on sorted values. It starts from values as dense as the cube root of the entries' density, the
    best choice in the limit of many values (Panter & Dite 1951), and gives the same on every run. A tensor of at most
    256 distinct values is kept as it is.

    >>> quantize(torch.tensor([0.5, -1.0, 0.5])).decode()
    tensor([ 0.5000, -1.0000,  0.5000])

    Args:
        weight: float32, any shape, finite.
    """
    flat = weight.detach().float().cpu().numpy().ravel()
    distinct = np.unique(flat)
    values = distinct if len(distinct) <= SIZE else _lloyd(np.sort(flat).astype(np.float64))
    edges = (values[1:].astype(np.float64) + values[:-1]) / 2
    indices = np.searchsorted(edges, flat).astype(np.uint8).reshape(weight.shape)
    values = np.pad(values, (0, SIZE - len(values)), mode="edge").astype(np.float32)
    return Codebook(torch.from_numpy(indices), torch.from_numpy(values))


def _lloyd(ordered: np.ndarray) -> np.ndarray:
    """The values, float32 (256): each the mean of the entries nearest to it."""
    mass = np.concatenate([[0.0], np.cumsum(np.diff(ordered) ** (2 / 3))])  # gap times density to the power of 1/3
    values = np.interp((np.arange(SIZE) + 0.5) / SIZE * mass[-1], mass, ordered)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    before = None
    for _ in range(MOST_ROUNDS):
        inner = np.searchsorted(ordered, (values[1:] + values[:-1]) / 2)
        ends = np.concatenate([[0], inner, [len(ordered)]])
        if before is not None and np.array_equal(ends, before):
            break
        sizes = np.diff(ends)
        means = np.diff(sums[ends]) / np.maximum(sizes, 1)
        values = np.where(sizes > 0, means, values)  # a value that no entry is nearest to stays where it is
        before = ends
    return values.astype(np.float32)
