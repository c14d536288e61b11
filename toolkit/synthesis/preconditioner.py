"""Frequency preconditioner: damps fine detail, where the objective curves most."""

import torch
from torch import Tensor


class Preconditioner:
    """A guess of the inverse Hessian, up to a factor: the coarser a structure, the further it may go.

    Frequencies f, in cycles per pixel, are multiplied by (4 f)^-0.7, between the coarsest and the finest.

    Args:
        image: (1, 3, H, W), of the vectors' size and type, on their device.
    """

    POWER = 0.7

    #: Cycles per pixel: what is finer the network averages away; nothing coarser is seen by the deepest layers.
    FINEST, COARSEST = 0.2, 0.004

    def __init__(self, image: Tensor) -> None:
        self._shape = image.shape
        height, width = image.shape[-2:]
        rows, columns = (
            frequencies(length, dtype=image.dtype, device=image.device)
            for frequencies, length in ((torch.fft.fftfreq, height), (torch.fft.rfftfreq, width))
        )
        squares = rows.square()[:, None] + columns.square() + self.COARSEST**2
        self._gains = (4 * (squares**-2 + self.FINEST**-4) ** -0.25) ** -self.POWER

    def __call__(self, vector: Tensor) -> Tensor:
        """The guess times a vector, (3 H W,), in place."""
        for channel in vector.view(self._shape)[0]:  # by channel, for little memory
            spectrum = torch.fft.rfft2(channel).mul_(self._gains)
            channel.copy_(torch.fft.irfft2(spectrum, s=channel.shape))
        return vector
