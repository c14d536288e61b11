"""The guess of the inverse Hessian: by frequency, symmetric, positive."""

import pytest
import torch

from toolkit.synthesis.preconditioner import Preconditioner


@pytest.mark.parametrize(("height", "width"), [(8, 12), (7, 9), (16, 5)])
def test_the_guess_weighs_every_frequency_and_keeps_every_inner_product_symmetric(height, width):
    image = torch.zeros(1, 3, height, width, dtype=torch.float64)
    guess = Preconditioner(image)
    rows, columns = (torch.arange(length, dtype=torch.float64) for length in (height, width))
    for up, across in ((0, 0), (1, 0), (2, 1), (3, 2)):
        wave = torch.cos(2 * torch.pi * (up * rows[:, None] / height + across * columns / width)).expand(3, -1, -1)
        frequency = ((up / height) ** 2 + (across / width) ** 2) ** 0.5
        gain = (4 * ((frequency**2 + 0.004**2) ** -2 + 0.2**-4) ** -0.25) ** -0.7
        torch.testing.assert_close(guess(wave.flatten().clone()), gain * wave.flatten())
    one, other = torch.randn(2, image.numel(), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(one @ guess(other.clone()), guess(one.clone()) @ other)
    assert one @ guess(one.clone()) > 0
