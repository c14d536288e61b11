"""Which arithmetic each evaluation is worth: bfloat16 on the way, float32 to the end."""

from collections.abc import Sequence
from pathlib import Path

import torch

from .pyramid import Level
from .recipe import Recipe

#: Share of the last level's evaluations that ``mixed`` makes in bfloat16. Its gradients mislead only near the end.
ROUGH = 0.6


def precisions(recipe: Recipe, levels: Sequence[Level], level: int, device: torch.device) -> list[torch.dtype]:
    """The network's type in each evaluation of a level.

    ``mixed`` is bfloat16 on coarse levels and for the first part of the last one, where the device computes in it
    natively; elsewhere it is float32 throughout.

    Args:
        recipe: whose precision is wanted.
        levels: all of its levels.
        level: which one.
        device: where to compute.
    """
    evaluations = levels[level].evaluations
    if recipe.precision != "mixed":
        return [getattr(torch, recipe.precision)] * evaluations
    if not native_bfloat16(device):
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
