"""Total variation, which smooths: a loss on the image itself."""

import torch
from torch import Tensor


def total_variation(image: Tensor, weight: float = 1.0, seamless: bool = False) -> tuple[Tensor, Tensor]:
    """Mean of the squared differences between horizontal neighbours, plus that of vertical ones.

    >>> value, gradient = total_variation(torch.zeros(1, 3, 4, 4))
    >>> float(value)
    0.0

    Args:
        image: (1, 3, H, W); a direction in which it has one pixel adds nothing.
        weight: of the gradient.
        seamless: whether the first and the last pixel of a row or a column are neighbours too.

    Returns:
        The loss before its weight, (), and the gradient of ``weight`` times it, (1, 3, H, W).
    """
    gradient = torch.zeros_like(image)
    value = image.new_zeros(())
    for axis in (-2, -1):
        difference = image - image.roll(1, axis)
        count = image.numel()
        if not seamless:
            difference.narrow(axis, 0, 1).zero_()
            count = max(1, count - count // image.shape[axis])
        value = value + difference.square().sum() / count
        gradient += (difference - difference.roll(-1, axis)) * (2 * weight / count)
    return value, gradient
