"""The check of a normalisation: does the normalised network compute what the original does?"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ..device import convolutions, exact
from ..errors import ToolkitError
from ..network import Network
from ..pictures.io import example_photographs, fit

#: The largest relative error of an output that float32's rounding of the weights can explain, with room.
TOLERANCE = 1e-4


def held_out(device: torch.device | str = "cpu") -> list[Tensor]:
    """scikit-image's photographs, (1, 3, H, W) each, on which an original and what was made of it are compared."""
    return [fit(image, 256).to(device) for image in example_photographs().values()]


def largest_relative_error(original: Network, rescaled: Network, images: Iterable[Tensor]) -> float:
    """How far the normalised network's outputs, their scale undone, are from the original's; images are (N, 3, H, W).

    Every filter of every convolution is compared on its own, before the ReLU: the largest absolute difference over the
    positions of an image, over the largest absolute output there. So weak filters count as much as strong ones.

    Raises:
        ToolkitError: when it is more than rounding can explain.
    """
    names = list(original.architecture.convolutions)
    worst = 0.0
    for image in images:
        with convolutions(image.device, tf32=False):
            expected, outputs = original(image, names), rescaled(image, names)
        for name in names:
            where = exact(image.device)
            mean = rescaled.mean_activations[name].to(where)
            scale = torch.where(mean > 0, mean, 1.0).view(-1, 1, 1)
            reference = expected[name].to(where).double()
            difference = (outputs[name].to(where).double() * scale - reference).abs().amax((-2, -1))
            magnitude = reference.abs().amax((-2, -1)).clamp(min=torch.finfo(torch.float32).tiny)
            worst = max(worst, float((difference / magnitude).max()))
    if not worst <= TOLERANCE:
        raise ToolkitError(
            f"The rescaled network does not compute what the original does: relative error {worst:.1e}, "
            f"more than {TOLERANCE:.0e}; nothing was written."
        )
    return worst


def spread_around_one(means: Mapping[str, Tensor]) -> float:
    """The largest distance from one of the mean activations, without the filters that never fire."""
    return max((float((mean[mean > 0] - 1).abs().max()) for mean in means.values() if (mean > 0).any()), default=0.0)
