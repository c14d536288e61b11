"""Optical flow: where each spot of a frame was in the frame before."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import imported
from .io import to_integers

#: Flow there and back may differ by this share of its squared length, and so many squared pixels more, where it is
#: believed (Sundaram, Brox & Keutzer 2010).
SHARE, PIXELS = 0.01, 0.5

#: How much a spot may change its colour on its way, and what is seen as a change: the mean over so many pixels square.
COLOUR, SPOT = 0.1, 5

#: Frames whose spots have changed by so much on average have nothing in common.
CUT = 0.09

#: The shorter side of images that DIS finds a flow between, in pixels.
SMALLEST = 16


class Motion(NamedTuple):
    """How one frame became the next.

    ``flow``: in the next frame, from each pixel to its place in the one before, (1, 2, H, W), right and down in pixels.
    ``certain``: where the flow is to be believed, (1, 1, H, W); ``inside``: where that place is within the frame.
    ``cut``: whether another scene begins.
    """

    flow: Tensor
    certain: Tensor
    inside: Tensor
    cut: bool


def motion(before: Tensor, after: Tensor) -> Motion:
    """How one frame, (1, 3, H, W) in [0, 1], became the next.

    Raises:
        ToolkitError: when OpenCV is not installed.
    """
    flow, back = optical_flow(after, before), optical_flow(before, after)
    there_and_back = flow + warped(back, flow)
    allowed = SHARE * (_squared(flow) + _squared(warped(back, flow))) + PIXELS
    height, width = flow.shape[-2:]
    x, y = _places(flow).unbind(-1)
    inside = ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1))[:, None]
    changed = (warped(before, flow) - after).abs().mean(1, keepdim=True)
    spots = F.avg_pool2d(changed, SPOT, 1, SPOT // 2, count_include_pad=False)
    certain = (_squared(there_and_back) < allowed) & inside & (spots < COLOUR)
    cut = not inside.any() or bool(changed[inside].mean() > CUT)
    return Motion(flow, certain, inside, cut)


def optical_flow(image: Tensor, other: Tensor) -> Tensor:
    """From each pixel of an image to its place in another, (1, 2, H, W), by DIS (Kroeger et al. 2016).

    >>> image = torch.rand(1, 3, 48, 64)
    >>> optical_flow(image, image).abs().max().item()
    0.0

    Args:
        image, other: (1, 3, H, W) in [0, 1].

    Raises:
        ToolkitError: when OpenCV is not installed.
    """
    cv2 = imported("cv2", 'Clips need OpenCV and PyAV: pip install "normalized-vgg[video]".')
    grey = [cv2.cvtColor(to_integers(each, torch.uint8).numpy(), cv2.COLOR_RGB2GRAY) for each in (image, other)]
    if min(grey[0].shape) < SMALLEST:
        return image.new_zeros(1, 2, *image.shape[-2:])
    found = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*grey, None)
    return torch.from_numpy(found).permute(2, 0, 1)[None].to(image)


def warped(image: Tensor, flow: Tensor) -> Tensor:
    """What a flow finds in an image, (1, C, H, W), at the other end: bicubic, mirrored beyond the edges.

    >>> image = torch.rand(1, 3, 8, 8)
    >>> bool(torch.allclose(warped(image, torch.ones(1, 2, 8, 8))[..., :-1, :-1], image[..., 1:, 1:], atol=1e-5))
    True
    """
    sides = flow.new_tensor([max(1, image.shape[-1] - 1), max(1, image.shape[-2] - 1)])
    grid = _places(flow) / sides * 2 - 1
    return F.grid_sample(image, grid, "bicubic", "reflection", align_corners=True)


def _places(flow: Tensor) -> Tensor:
    """The other ends of a flow, x and y in pixels, (1, H, W, 2)."""
    height, width = flow.shape[-2:]
    down, right = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([right, down], -1).to(flow) + flow.permute(0, 2, 3, 1)


def _squared(flow: Tensor) -> Tensor:
    return flow.square().sum(1, keepdim=True)
