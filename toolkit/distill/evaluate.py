"""How well a student's features explain its teacher's, layer by layer."""

from collections.abc import Iterable

import torch
from torch import Tensor

from ..network import Network


def explained_variance(student: Network, teacher: Network, batches: Iterable[Tensor]) -> dict[str, float]:
    """By ReLU layer, the share of the teacher's variance that the best linear map of the student's features explains.

    The map, with a constant, is fitted by least squares over all positions of the images given.

    Args:
        student: a network with the teacher's layers.
        teacher: the network it learnt from.
        batches: (N, 3, H, W) each, RGB in [0, 1]: images that were not used in training.
    """
    layers = [layer.name for layer in teacher.architecture.layers if layer.kind == "relu"]
    moments: dict[str, list[Tensor]] = {}
    for batch in batches:
        seen, wanted = student(batch, layers), teacher(batch, layers)
        for name in layers:
            x, y = (features.permute(0, 2, 3, 1).flatten(0, 2).float() for features in (seen[name], wanted[name]))
            x = torch.cat([x, x.new_ones(len(x), 1)], 1)
            new = [x.mT @ x, x.mT @ y, y.square().sum(0), y.sum(0)]
            moments[name] = [
                old + m.cpu().double() for old, m in zip(moments.get(name, [torch.zeros(())] * 4), new, strict=True)
            ]
    return {name: _share(*moments[name]) for name in layers}


def _share(xx: Tensor, xy: Tensor, yy: Tensor, y: Tensor) -> float:
    count = xx[-1, -1]
    ridge = 1e-9 * xx.diagonal().mean() * torch.eye(len(xx), dtype=xx.dtype, device=xx.device)
    explained = (xy * torch.linalg.solve(xx + ridge, xy)).sum()
    constant = y.square().sum() / count
    return float((explained - constant) / (yy.sum() - constant))
