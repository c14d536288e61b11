"""Which arithmetic each evaluation is worth: bfloat16 for what it can tell, float32 for the rest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from .pyramid import Level
from .recipe import Recipe

#: The network's type, or ``differences``: bfloat16 for what changed since a reference in float32. These end a transfer
#: where float32 does. Of two textures, reconstructions and amalgamations each, with the bundled network at 256 pixels,
#: the objective after 150 and 500 evaluations is 3 % below to 19 % above float32's (that of another seed: 42 % below to
#: 12 % above), in 0.62 to 0.85 of its time; of one each with VGG-19, after 150, it is 1.5 % below to 2 % above, in 0.54
#: to 0.57 (measured).
Arithmetic = Literal["float32", "bfloat16", "differences"]

#: Share of the last level's evaluations that ``mixed`` makes in bfloat16 where there is no room for differences. It
#: misleads only near the end: with the bundled network at 512 pixels, on two pairs of pictures, 300 evaluations end 0.5
#: and 2.3 % above those in float32 alone, 500 end 1.8 and 3.8 % above, in two thirds to three quarters of their time;
#: to change after 100, 200 or 300 of 500 is as good at any time. At 256 pixels, after 300 evaluations, two textures end
#: 14 % below and 2 % above, reconstructions and amalgamations 20 to 135 % above.
ROUGH = 0.85


def arithmetics(
    recipe: Recipe,
    levels: Sequence[Level],
    level: int,
    device: torch.device,
    only_float32: bool = False,
    differences: bool = False,
) -> list[Arithmetic]:
    """The arithmetic of each evaluation of a level.

    ``mixed`` is differences where the device computes in bfloat16 natively. Where there is no room for them it is
    bfloat16 on coarse levels and for the first part of the last one, then float32.

    Args:
        recipe: whose precision is wanted.
        levels: all of its levels.
        level: which one.
        device: where to compute.
        only_float32: whether what computes knows nothing else.
        differences: whether there is room for them.
    """
    evaluations, last = levels[level].evaluations, level + 1 == len(levels)
    if recipe.precision != "mixed":
        return [recipe.precision] * evaluations
    if only_float32 or not native_bfloat16(device):
        return ["float32"] * evaluations
    if differences:
        return ["differences"] * evaluations
    rough = int(evaluations * ROUGH) if last else evaluations
    return ["bfloat16" if number < rough else "float32" for number in range(evaluations)]


def native_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16 itself, instead of converting back and forth."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
