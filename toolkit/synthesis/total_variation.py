"""Total variation, which smooths: a loss on the image itself."""

import torch
from torch import Tensor


def total_variation(image: Tensor, weight: float = 1.0) -> tuple[Tensor, Tensor]:
    """Mean of the squared differences between horizontal neighbours, plus that of vertical ones.

    >>> value, gradient = total_variation(torch.zeros(1, 3, 4, 4))
    >>> float(value)
    0.0

    Args:
        image: (1, 3, H, W); a direction in which it has one pixel adds nothing.
        weight: of the gradient.

    Returns:
        The loss before its weight, (), and the gradient of ``weight`` times it, (1, 3, H, W).
    """
    gradient = torch.zeros_like(image)
    value = image.new_zeros(())
    for axis in (-2, -1):
        length = image.shape[axis] - 1
        if length:
            difference = image.diff(dim=axis)
            value = value + difference.square().mean()
            slope = difference * (2 * weight / difference.numel())
            gradient.narrow(axis, 1, length).add_(slope)
            gradient.narrow(axis, 0, length).sub_(slope)
    return value, gradient
