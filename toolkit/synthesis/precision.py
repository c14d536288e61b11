"""Which arithmetic each evaluation is worth: bfloat16 on the way, float32 at the end."""

from collections.abc import Sequence
from pathlib import Path

import torch

from .pyramid import Level
from .recipe import Recipe

#: Share of the last level's evaluations that ``mixed`` makes in bfloat16. Its gradients mislead only near the end: with
#: the bundled network at 512 pixels, on two pairs of pictures, 300 evaluations end 0.5 and 2.3 % above those in float32
#: alone, 500 end 1.8 and 3.8 % above, in two thirds to three quarters of their time; to change after 100, 200 or 300 of
#: 500 is as good at any time. What misleads are the forward pass's roundings: near the end Gram matrices are off by 1
#: to 6 % of what they still differ by. To correct their targets by float32's every 10 or 25 evaluations gains nothing.
ROUGH = 0.85


def precisions(
    recipe: Recipe, levels: Sequence[Level], level: int, device: torch.device, only_float32: bool = False
) -> list[torch.dtype]:
    """The network's type in each evaluation of a level.

    ``mixed`` is bfloat16 on coarse levels and for the first part of the last one, where the device computes in it
    natively; elsewhere, and where nothing else is taken, it is float32 throughout.

    Args:
        recipe: whose precision is wanted.
        levels: all of its levels.
        level: which one.
        device: where to compute.
        only_float32: whether what computes takes nothing else.
    """
    evaluations = levels[level].evaluations
    if recipe.precision != "mixed":
        return [getattr(torch, recipe.precision)] * evaluations
    if only_float32 or not native_bfloat16(device):
        return [torch.float32] * evaluations
    rough = evaluations if level + 1 < len(levels) else int(evaluations * ROUGH)
    return [torch.bfloat16] * rough + [torch.float32] * (evaluations - rough)


def native_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16 itself, instead of converting back and forth."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
