"""Colour preservation in style transfer (Gatys, Bethge, Hertzmann & Shechtman 2016)."""

from collections.abc import Sequence

import torch
from skimage.exposure import match_histograms
from torch import Tensor

from ..choices import Colour
from ..device import exact

#: From RGB to luma and chroma: YIQ, as in the paper.
YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def prepare(colour: Colour, content: Tensor | None, styles: Sequence[Tensor]) -> tuple[Tensor | None, list[Tensor]]:
    """The content and style images to optimise with, (1, 3, H, W) each, for these colours in the result."""
    if content is None or colour == "style":
        return content, list(styles)
    match colour:
        case "luminance":
            return luminance(content), [luminance(style) for style in styles]
        case "covariance":
            return content, [match_covariance(style, content) for style in styles]
        case "histogram":
            return content, [_match_histograms(style, content) for style in styles]


def luminance(image: Tensor) -> Tensor:
    """An image (1, 3, H, W) with its luma in all three channels."""
    weights = YIQ[0].to(image).view(1, 3, 1, 1)
    return (image * weights).sum(1, keepdim=True).expand_as(image).contiguous()


def with_colours_of(image: Tensor, content: Tensor) -> Tensor:
    """The luma of an image with the chroma of the content image of the same size, clamped to [0, 1]."""
    basis = YIQ.to(image)
    luma = torch.einsum("c,nchw->nhw", basis[0], image)
    yiq = torch.einsum("dc,nchw->ndhw", basis, content)
    yiq[:, 0] = luma
    return torch.einsum("cd,ndhw->nchw", torch.linalg.inv(basis), yiq).clamp_(0, 1)


def match_covariance(image: Tensor, target: Tensor) -> Tensor:
    """Maps colours linearly to the mean and covariance of the target's (section 3.1), clamped to [0, 1].

    The map is C_t^(1/2) C_i^(-1/2), with symmetric roots, which rotate no colours.
    """
    own, wanted = (each[0].flatten(1).to(exact(each.device)).double() for each in (image, target))
    mean, goal = own.mean(1, keepdim=True), wanted.mean(1, keepdim=True)
    matrix = _power(torch.cov(wanted), 0.5) @ _power(torch.cov(own), -0.5)
    return (matrix @ (own - mean) + goal).clamp(0, 1).to(image).view_as(image)


def _power(covariance: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ torch.diag(values.clamp(min=1e-8) ** exponent) @ vectors.mT


def _match_histograms(image: Tensor, target: Tensor) -> Tensor:
    own, wanted = (each[0].permute(1, 2, 0).cpu().numpy() for each in (image, target))
    matched = torch.from_numpy(match_histograms(own, wanted, channel_axis=-1)).to(image)
    return matched.permute(2, 0, 1).unsqueeze(0).clamp(0, 1).contiguous()
