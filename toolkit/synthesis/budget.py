"""What a synthesis takes in memory, and how it is kept within what there is: decided once, in one place."""

import math
from dataclasses import dataclass

import torch

from ..device import native_bfloat16
from ..distributed import ALONE, Ranks
from ..errors import TooLargeError
from ..network import Backbone
from ..optimize import OPTIMIZERS
from .inputs import Inputs, style_size
from .neighbours import AT_ONCE, CANDIDATES
from .objective import Objective
from .pyramid import size_of
from .recipe import Recipe
from .targets import Targets
from .tiled import TiledObjective, check_tiles

#: Bytes that the interpreter and its libraries take on a CPU.
LIBRARIES = 1_130_000_000

#: L-BFGS' pairs: as many as help; and as few as still beat Adam.
PAIRS, FEWEST_PAIRS = 32, 5

#: Share of the memory that features get at least: ever smaller tiles would be halo more than core.
LEAST_SHARE = 0.1


@dataclass(frozen=True)
class Plan:
    """How to stay within some memory.

    ``whole``: whether the result and the style images are computed whole; ``pixels``: else, those of a tile with its
    halo, at most. ``pairs``: of L-BFGS. ``nbytes``: an estimate of what all of it takes.
    """

    whole: bool
    pixels: float
    pairs: int
    nbytes: int
    ranks: Ranks = ALONE

    def objective(self, network: Backbone, recipe: Recipe, inputs: Inputs, known: Targets | None = None) -> Objective:
        """The objective by this plan; ``known`` as ``Objective`` takes it."""
        if self.whole:
            return Objective(network, recipe, inputs, known)
        return TiledObjective(network, recipe, inputs, known, pixels=self.pixels, ranks=self.ranks)


def plan(
    network: Backbone,
    recipe: Recipe,
    inputs: Inputs,
    memory: float = math.inf,
    *,
    device: torch.device | str = "cpu",
    ranks: Ranks = ALONE,
) -> Plan:
    """Plans a synthesis within some memory: fewer pairs first, then tiles.

    Where even that is too much, as for a large image with Adam, features get their least share beside it.

    Args:
        network, recipe, inputs: of the synthesis; the network in float32.
        memory: bytes to stay within; the same for all ranks, which must cut the same tiles.
        device, ranks: where to compute, and the processes that share the tiles.

    Raises:
        ToolkitError: when too few of L-BFGS' pairs would fit, or what can't be cut into tiles would need them.
    """
    device = torch.device(device)
    native = native_bfloat16(device)
    size = size_of(inputs.proportions, recipe.size, recipe.seamless)
    image = 3 * math.prod(size) * 4
    weights = sum(parameter.nbytes for parameter in network.parameters())
    weights += weights // 2 if recipe.precision != "float32" and native else 0
    fixed = weights + inputs.nbytes + (LIBRARIES if device.type == "cpu" else 0)
    content_weights, style_weights = recipe.layer_weights
    layers = {*content_weights, *style_weights}
    targets = sum(4 * math.prod(shape) for shape in network.shapes(content_weights, size).values())
    if recipe.finish:
        channels = sum(shape[0] for shape in network.shapes(style_weights, size).values())
        targets += 4 * channels * (CANDIDATES + AT_ONCE) + 4 * CANDIDATES * AT_ONCE
    kind = OPTIMIZERS[recipe.optimizer]
    vectors, pairs = kind.tensors * image, PAIRS
    if kind.keeps_pairs:
        pair = image  # two vectors in bfloat16
        # Features get their least share, and pairs as much, unless not even the rest has room.
        beside = (1 - LEAST_SHARE) * memory - fixed - targets
        most = min(memory / 2, max(beside, LEAST_SHARE * memory)) if beside > 0 else memory / 2
        room = math.inf if memory == math.inf else (most - vectors) / pair
        pairs = int(min(PAIRS, max(room, 0)))
        if pairs < FEWEST_PAIRS:
            raise TooLargeError(
                f"{size[1]} x {size[0]} pixels are too many for L-BFGS in {memory / 1e9:.1f} GB: "
                "use Adam, a smaller size, or more memory."
            )
        vectors += pairs * pair
    room = max(LEAST_SHARE * memory, memory - fixed - vectors - targets)
    bytes_of_a_pixel = network.bytes_of_a_pixel(layers)
    pixels = room / bytes_of_a_pixel
    styles = inputs.styles if style_weights else ()
    longest = style_size(recipe, max(size))
    largest = max(rows * columns for rows, columns in [size, *(size_of(style.shape, longest) for style in styles)])
    whole = largest <= pixels and ranks.world_size == 1
    if not whole:
        check_tiles(network, recipe)
    nbytes = int(fixed + vectors + targets + min(pixels, largest) * bytes_of_a_pixel)
    return Plan(whole, pixels, pairs, nbytes, ranks)
