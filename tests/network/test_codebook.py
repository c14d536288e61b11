"""Codebooks: nearest values, the means of their entries, nothing lost where there is nothing to lose."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from toolkit.network.codebook import quantize


def weights(seed, shape=(40, 30, 3, 3)):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator) * torch.rand(shape, generator=generator) ** 2


@given(arrays.arrays("float32", st.integers(1, 600), elements=st.floats(-1e3, 1e3, width=32)))
def test_every_entry_takes_the_nearest_value(array):
    tensor = torch.from_numpy(array)
    indices, values = codebook = quantize(tensor)
    assert (indices.dtype, values.dtype, values.shape) == (torch.uint8, torch.float32, (256,))
    assert (values.diff() >= 0).all()
    nearest = (tensor.double().view(-1, 1) - values.double()).abs().amin(1)
    found = (codebook.decode().double() - tensor.double()).abs()
    torch.testing.assert_close(found, nearest, rtol=1e-5, atol=1e-6 * float(tensor.abs().max()))
    if len(tensor.unique()) <= 256:
        assert torch.equal(codebook.decode(), tensor)


@pytest.mark.parametrize("seed", range(3))
def test_every_value_is_the_mean_of_its_entries(seed):
    weight = weights(seed)
    indices, values = quantize(weight)
    for number in indices.unique().tolist():
        torch.testing.assert_close(values[number], weight[indices == number].double().mean().float())


def test_the_squared_error_is_near_the_best_for_a_gaussian():
    """Panter & Dite's formula: pi sqrt(3) / 2 over the square of the number of values."""
    weight = torch.randn(300_000, generator=torch.Generator().manual_seed(0))
    error = (quantize(weight).decode() - weight).square().mean() * 256**2
    assert 2.4 < error < 2.721 * 1.03


def test_the_result_is_the_same_on_every_run_and_in_any_order():
    weight = weights(5).flatten()
    order = torch.randperm(len(weight), generator=torch.Generator().manual_seed(0))
    assert torch.equal(quantize(weight).values, quantize(weight[order]).values)
    assert torch.equal(quantize(weight).decode()[order], quantize(weight[order]).decode())
