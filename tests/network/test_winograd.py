"""Convolutions with a quarter of the multiplications are the plain ones, but for rounding."""

import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.network import winograd

#: Of the result's norm. PyTorch's own is off by up to 1e-6; the transforms have factors up to 8, half a digit more.
ROUNDING = 5e-6


def some(*shape, seed=0, scale=1.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def off(found, right):
    return float((found - right).norm() / right.norm())


@settings(max_examples=25)
@given(
    count=st.integers(1, 3),
    height=st.integers(1, 37),
    width=st.integers(1, 37),
    channels=st.sampled_from([(128, 256), (256, 128), (256, 256)]),
    last=st.booleans(),
    seed=st.integers(0, 99),
)
def test_both_ways_are_those_of_pytorch_for_images_of_any_size(count, height, width, channels, last, seed):
    into, out = channels
    x, gradient = some(count, into, height, width, seed=seed), some(count, out, height, width, seed=seed)
    weight, bias = some(out, into, 3, 3, seed=seed, scale=(9 * into) ** -0.5), some(out, seed=seed)
    if last:
        x, weight = (each.contiguous(memory_format=torch.channels_last) for each in (x, weight))
    double = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    assert off(winograd.convolved(x, weight, bias), double) < ROUNDING
    double = F.conv_transpose2d(gradient.double(), weight.double(), padding=1)
    assert off(winograd.transposed(gradient, weight), double) < ROUNDING


def test_a_large_image_is_computed_in_parts_without_a_seam(monkeypatch):
    x, weight = some(2, 128, 64, 48), some(256, 128, 3, 3, scale=0.03)
    whole = winograd.convolved(x, weight, None)
    monkeypatch.setattr(winograd, "AT_ONCE", 50)
    assert off(winograd.convolved(x, weight, None), whole) < 1e-6


@pytest.mark.parametrize(
    ("x", "weight"),
    [
        (some(1, 64, 32, 32), some(64, 64, 3, 3)),
        (some(1, 128, 12, 12), some(256, 128, 3, 3)),
        (some(1, 128, 32, 32).double(), some(256, 128, 3, 3).double()),
        (some(1, 128, 32, 32).requires_grad_(), some(256, 128, 3, 3)),
        (some(1, 128, 32, 32), some(256, 128, 3, 3).requires_grad_()),
    ],
    ids=["few channels", "few tiles", "float64", "for autograd", "for a training"],
)
def test_where_it_does_not_pay_it_is_pytorch(x, weight):
    with torch.enable_grad():
        found = winograd.convolved(x, weight, None)
    assert torch.equal(found, F.conv2d(x, weight, padding=1))
    assert found.requires_grad == (x.requires_grad or weight.requires_grad)


def test_a_kernel_is_that_of_the_weight_as_it_is_now_and_goes_with_it():
    x, weight = some(1, 128, 32, 32), some(256, 128, 3, 3, scale=0.03)
    first = winograd.convolved(x, weight, None)
    weight.mul_(2)
    assert off(winograd.convolved(x, weight, None), 2 * first) < 1e-6
    winograd.transposed(some(1, 256, 32, 32), weight)
    gone = weakref.ref(weight)
    del weight
    gc.collect()
    assert gone() is None
