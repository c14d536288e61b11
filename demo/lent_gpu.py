"""ZeroGPU: a host that lends each call a GPU for a while, in a process of its own, where Stop cannot reach it."""

import math
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from toolkit.network import Architecture
from toolkit.network.geometry import strides

from .context import Context

#: Hugging Face's package, where a GPU is lent: all Spaces have it.
spaces = import_module("spaces") if os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true") else None

#: Multiply-adds a second to count on: a tenth of an H200's in float32, as its maker states them.
RATE = 3e12

#: Seconds beside the iterations: the network's way to the GPU, previews, the film.
BESIDE = 15


def lent(function: Callable[..., Any], context: Context, images: int | None) -> Callable[..., Any]:
    """A job's function, with the seconds that it may take where a GPU is lent; the less, the sooner it is.

    Args:
        function: takes the controls' values by name.
        context: what the host offers.
        images: how many the job makes; ``None`` where that depends, and the host's limit is asked for.
    """
    if spaces is None:
        return function
    limit = context.settings.max_seconds

    def seconds(*_: Any, size: float = 0, iterations: float = 0, network: str = "", **__: Any) -> int:
        if images is None or not (size and iterations):
            return limit
        chosen = context.networks.get(network) or context.network(context.default)
        work = 2 * multiplications(chosen.architecture) * size**2 * iterations  # forward and back
        return min(limit, math.ceil(BESIDE + images * work / RATE))

    return spaces.GPU(duration=seconds)(function)


def multiplications(architecture: Architecture) -> float:
    """Multiply-adds of a network's convolutions for each pixel of an image."""
    stride, channels = strides(architecture.layers), architecture.convolutions
    return sum(9 * before * after / stride[name] ** 2 for name, (before, after) in channels.items())
