"""The style statistics ``moments`` and ``wasserstein``: features seen as a Gaussian distribution.

They compare mean and covariance, S = G - m mᵀ; symbols are those of ``statistics``.
"""

import torch
from torch import Tensor

from .statistics import Distance, Moments, Slope

#: Added to covariances, as a share of the style's mean variance, so that their roots can be inverted.
RIDGE = 1e-4


def mean_and_covariance(target: Moments) -> Distance:
    """Mean of (m - m')² plus mean of (S - S')², with the covariance S = G - m mᵀ."""
    theirs = _covariance(target)

    def distance(moments: Moments) -> tuple[Tensor, Slope]:
        mean, covariance = moments.mean - target.mean, _covariance(moments) - theirs
        value = mean.square().mean() + covariance.square().mean()
        return value, _in_moments(moments, mean * (2 / mean.numel()), covariance * (2 / covariance.numel()))

    return distance


def wasserstein(target: Moments) -> Distance:
    """The squared Wasserstein distance of the Gaussians with these moments, over C.

    |m - m'|² + tr S + tr S' - 2 tr (R S R)^(1/2) with R = S'^(1/2), and dL/dS = I - R (R S R)^(-1/2) R (Bures; see
    Bhatia, Jain & Lim 2019, equations 3 and 33). Roots are taken in float64 on the CPU.
    """
    count, theirs = len(target.mean), _covariance(target).cpu().double()
    identity = torch.eye(count, dtype=torch.float64)
    ridge = RIDGE * (theirs.trace() / count).clamp(min=torch.finfo(torch.float32).tiny) * identity
    theirs = theirs + ridge
    roots, vectors = _roots(theirs)
    root = (vectors * roots) @ vectors.mT

    def distance(moments: Moments) -> tuple[Tensor, Slope]:
        mean, ours = moments.mean - target.mean, _covariance(moments).cpu().double() + ridge
        roots, vectors = _roots(root @ ours @ root)
        half = root @ (vectors / roots.sqrt())
        value = mean.square().sum() + (ours.trace() + theirs.trace() - 2 * roots.sum()).to(mean)
        return value / count, _in_moments(moments, mean * (2 / count), (identity - half @ half.mT).to(mean) / count)

    return distance


def _covariance(moments: Moments) -> Tensor:
    return moments.gram - torch.outer(moments.mean, moments.mean)


def _in_moments(moments: Moments, mean: Tensor, covariance: Tensor) -> Slope:
    """From derivatives with respect to m and the covariance S to those with respect to m and G."""
    return Slope(mean - 2 * covariance @ moments.mean, covariance)


def _roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Roots of a symmetric matrix's eigenvalues (those that rounding made negative count as tiny), and eigenvectors."""
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    return values.clamp(min=values[-1].clamp(min=1e-30) * torch.finfo(matrix.dtype).eps).sqrt(), vectors
