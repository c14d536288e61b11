"""What a synthesis takes in memory, and how it is kept within what there is: decided once, in one place."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..device import native_bfloat16
from ..distributed import ALONE, Ranks
from ..errors import ToolkitError
from ..network import Layer, Network
from ..network.geometry import strides
from ..optimize import OPTIMIZERS, ObjectiveLike
from .objective import Objective
from .recipe import Recipe
from .tiled import TiledObjective, cut

#: Bytes that the interpreter and its libraries take on a CPU.
LIBRARIES = 1_130_000_000

#: L-BFGS' pairs: as many as help; and as few as still beat Adam.
PAIRS, FEWEST_PAIRS = 32, 5

#: Share of the memory that features get at least: ever smaller tiles would be halo more than core.
LEAST_SHARE = 0.1


@dataclass(frozen=True)
class Plan:
    """How to stay within some memory.

    ``tiles``: into how many tiles the result is divided; 1 when it is computed whole. ``pixels``: of a tile with its
    halo, at most. ``pairs``: of L-BFGS. ``nbytes``: an estimate of what all of it takes.
    """

    tiles: int
    pixels: float
    pairs: int
    nbytes: int
    ranks: Ranks = ALONE

    def objective(
        self,
        network: Network,
        recipe: Recipe,
        content: Tensor | None = None,
        styles: Sequence[Tensor] = (),
        masks: Sequence[Tensor] = (),
        style_masks: Sequence[Tensor] = (),
    ) -> ObjectiveLike:
        """The objective by this plan: whole where the result and every image fit, else in tiles."""
        images = [image for image in (content, *styles) if image is not None]
        largest = max((image.shape[-2] * image.shape[-1] for image in images), default=0)
        if self.tiles == 1 and largest <= self.pixels and self.ranks.world_size == 1:
            return Objective(network, recipe, content, styles, masks, style_masks)
        tiled = functools.partial(TiledObjective, pixels=self.pixels, ranks=self.ranks)
        return tiled(network, recipe, content, styles, masks, style_masks)


def plan(
    network: Network,
    recipe: Recipe,
    frame: tuple[int, int],
    memory: float = math.inf,
    *,
    device: torch.device | str = "cpu",
    given: int = 0,
    ranks: Ranks = ALONE,
) -> Plan:
    """Plans a synthesis within some memory: fewer pairs first, then tiles.

    Args:
        network: in float32.
        recipe: what to make.
        frame: (height, width) of the result.
        memory: bytes to stay within; the same for all ranks, which must cut the same tiles.
        device: where to compute.
        given: bytes of the images that it is made from.
        ranks: processes that share the tiles.

    Raises:
        ToolkitError: when too few of L-BFGS' pairs would fit.
    """
    device = torch.device(device)
    native = native_bfloat16(device)
    image = 3 * frame[0] * frame[1] * 4
    weights = sum(parameter.nbytes for parameter in network.parameters())
    weights += weights // 2 if recipe.precision != "float32" and native else 0
    fixed = weights + given + (LIBRARIES if device.type == "cpu" else 0)
    kind = OPTIMIZERS[recipe.optimizer]
    vectors, pairs = kind.tensors * image, PAIRS
    if kind.keeps_pairs:
        pair = image  # two vectors in bfloat16
        room = math.inf if memory == math.inf else (memory / 2 - vectors) / pair
        pairs = int(min(PAIRS, max(room, 0)))
        if pairs < FEWEST_PAIRS:
            raise ToolkitError(
                f"{frame[1]} x {frame[0]} pixels are too many for L-BFGS in {memory / 1e9:.1f} GB: "
                "use --optimizer adam, a smaller --size, or a larger --memory."
            )
        vectors += pairs * pair
    content_weights, style_weights = recipe.layer_weights
    path = network.architecture.down_to({*content_weights, *style_weights})
    targets = _target_bytes(content_weights, path, frame)
    room = max(LEAST_SHARE * memory, memory - fixed - vectors - targets)
    pixels = room / _bytes_of_a_pixel(path)
    tiles = len(cut(frame, path, pixels, ranks.world_size))
    largest = min(pixels, frame[0] * frame[1])
    return Plan(tiles, pixels, pairs, int(fixed + vectors + targets + largest * _bytes_of_a_pixel(path)), ranks)


def _target_bytes(layers: dict[str, float], path: tuple[Layer, ...], frame: tuple[int, int]) -> int:
    """Bytes of those layers' features of the whole image, in float32."""
    stride, channels = strides(path), {layer.name: layer.channels for layer in path}
    return sum(4 * channels[name] * (frame[0] // stride[name]) * (frame[1] // stride[name]) for name in layers)


def _bytes_of_a_pixel(path: tuple[Layer, ...]) -> float:
    """What computing a pixel takes: activations kept for the way back, and five of the largest at work."""
    stride = strides(path)
    kept = [layer.channels / stride[layer.name] ** 2 for layer in path if layer.kind == "relu"]
    largest = max((layer.channels / stride[layer.name] ** 2 for layer in path), default=1)
    return 4 * (sum(kept) + 5 * largest)
