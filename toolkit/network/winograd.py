"""3 x 3 convolutions with a quarter of the multiplications, in float32 on a processor.

Lavin & Gray 2016 (Fast algorithms for convolutional neural networks), F(4 x 4, 3 x 3): an image is cut into tiles of
6 x 6 that overlap by two; tiles and kernels are transformed, multiplied as matrices at each of the 36 places, and tiles
of 4 x 4 are transformed back. Between many channels the transforms cost little; between few, more than they save.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

#: The three transforms (section 4.3 of the paper), of one direction.
_INPUT = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0]]
_INPUT += [[0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
_KERNEL = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6]]
_KERNEL += [[1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]
_OUTPUT = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]

#: Both directions at once, as one matrix each.
INPUT, KERNEL, OUTPUT = (torch.kron(each, each) for each in map(torch.tensor, (_INPUT, _KERNEL, _OUTPUT)))
INPUT, OUTPUT = INPUT.float(), OUTPUT.float()

#: Fewest channels, on one side and on the other, and fewest tiles with which this is the faster way.
CHANNELS, MORE_CHANNELS, TILES = 128, 256, 16

#: Tiles that are transformed at a time, at most: what lies between the transforms takes nine times their memory.
AT_ONCE = 1024

_kernels = WeakTensorKeyDictionary()


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``F.conv2d(x, weight, bias, padding=1)``, the faster way.

    Args:
        x: (N, I, h, w).
        weight: (O, I, 3, 3).
        bias: (O).
    """
    if not _pays(x, weight):
        return F.conv2d(x, weight, bias, padding=1)
    return _multiplied(x, _transformed(weight, back=False), bias)


def transposed(gradient: Tensor, weight: Tensor) -> Tensor:
    """``F.conv_transpose2d(gradient, weight, padding=1)``, the faster way; ``gradient`` is (N, O, h, w)."""
    if not _pays(gradient, weight):
        return F.conv_transpose2d(gradient, weight, padding=1)
    return _multiplied(gradient, _transformed(weight, back=True), None)


def _pays(x: Tensor, weight: Tensor) -> bool:
    few, many = sorted(weight.shape[:2])
    tiles = x.shape[0] * -(-x.shape[2] // 4) * -(-x.shape[3] // 4)
    trained = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and not trained
    return plain and few >= CHANNELS and many >= MORE_CHANNELS and tiles >= TILES


def _transformed(weight: Tensor, back: bool) -> Tensor:
    """A kernel's transform (36, channels in, channels out), kept as long as the weight is what it was."""
    version, kept = _kernels.get(weight, (None, {}))
    if version != weight._version:
        kept = {}
        _kernels[weight] = weight._version, kept
    if back not in kept:
        plain = weight.detach()
        places = plain.flip(2, 3).permute(2, 3, 0, 1) if back else plain.permute(2, 3, 1, 0)
        kept[back] = (KERNEL @ places.reshape(9, -1)).view(36, *places.shape[2:])
    return kept[back]


def _multiplied(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    count, channels, height, width = x.shape
    down, across, out_channels = -(-height // 4), -(-width // 4), kernel.shape[2]
    # A border of zeros, and what the last tiles lack. The channels of a place lie together.
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 4 * across - width + 1, 1, 4 * down - height + 1))
    image, row, column, _ = padded.stride()
    out = x.new_empty(count, 4 * down, 4 * across, out_channels)
    rows = max(1, AT_ONCE // (count * across))
    for first in range(0, down, rows):
        some = min(rows, down - first)
        shape, stride = (6, 6, count, some, across, channels), (row, column, image, 4 * row, 4 * column, 1)
        tiles = padded.as_strided(shape, stride, 4 * first * row).reshape(36, -1)
        product = torch.bmm((INPUT @ tiles).view(36, -1, channels), kernel)
        back = (OUTPUT @ product.view(36, -1)).view(4, 4, count, some, across, out_channels)
        place = out[:, 4 * first : 4 * (first + some)].unflatten(1, (some, 4)).unflatten(3, (across, 4))
        place.copy_(back.permute(2, 3, 0, 4, 1, 5))
    if bias is not None:
        out += bias
    return out[:, :height, :width].permute(0, 3, 1, 2)
