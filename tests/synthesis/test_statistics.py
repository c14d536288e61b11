"""Every style statistic against autograd and its textbook formula, in float64; and the sums that it is made from."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.synthesis.gaussian import RIDGE, mean_and_covariance, wasserstein
from toolkit.synthesis.statistics import blended, gram, moment_sums, moments, products

SHAPES = st.tuples(st.integers(1, 7), st.integers(1, 9), st.integers(1, 9))
SEEDS = st.integers(0, 2**31)
DISTANCES = {"gram": gram, "moments": mean_and_covariance, "wasserstein": wasserstein}


def gaussian(x):
    """The mean and the covariance of features (C, M)."""
    return x.mean(1), torch.cov(x, correction=0).view(len(x), len(x))


def moments_textbook(x, y):
    (m, s), (n, t) = gaussian(x), gaussian(y)
    return (m - n).square().mean() + (s - t).square().mean()


def wasserstein_textbook(x, y):
    """By the eigenvalues of S S', whose roots add up to the trace of the root of R S R."""
    (m, s), (n, t) = gaussian(x), gaussian(y)
    ridge = RIDGE * t.trace() / len(x) * torch.eye(len(x), dtype=x.dtype)
    s, t = s + ridge, t + ridge
    roots = torch.linalg.eigvals(s @ t).real.clamp(min=0).sqrt()
    return ((m - n).square().sum() + s.trace() + t.trace() - 2 * roots.sum()) / len(x)


#: Each statistic from features (C, M) of the result and of the style.
TEXTBOOK = {
    "gram": lambda x, y: (x @ x.mT / x.shape[1] - y @ y.mT / y.shape[1]).square().mean(),
    "moments": moments_textbook,
    "wasserstein": wasserstein_textbook,
}


def features(shape, seed, dtype=torch.float64):
    return torch.randn(1, *shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def of(x):
    return moments(moment_sums(x))


def assert_derivatives_are_autograds(statistic, x, style):
    x = x.detach().requires_grad_()
    value, slope = statistic(of(style))(of(x))
    (expected,) = torch.autograd.grad(value, x)
    found = (2 * slope.gram @ x[0].flatten(1) + slope.mean[:, None]) / x[0, 0].numel()
    scale = expected.abs().max().item()
    torch.testing.assert_close(found.detach().view_as(x), expected, rtol=1e-10, atol=1e-12 * scale)


@pytest.mark.parametrize("name", DISTANCES)
@given(shape=SHAPES, seed=SEEDS)
def test_a_statistic_is_its_formula_and_has_autograds_derivatives(name, shape, seed):
    x, style = features(shape, seed), features((shape[0], 5, 4), seed + 1)
    value, _ = DISTANCES[name](of(style))(of(x))
    torch.testing.assert_close(value, TEXTBOOK[name](x[0].flatten(1), style[0].flatten(1)), rtol=1e-9, atol=1e-12)
    assert_derivatives_are_autograds(DISTANCES[name], x, style)


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize(
    "x",
    [
        features((4, 1, 3), 0),  # fewer positions than channels: a singular covariance
        features((4, 1, 1), 0),
        features((1, 3, 3), 0),
        features((2, 4, 4), 0).expand(1, 2, 4, 4)[:, :1].repeat(1, 3, 1, 1),  # equal channels
        torch.cat([features((2, 4, 4), 0), torch.zeros(1, 1, 4, 4, dtype=torch.float64)], 1),  # a silent filter
    ],
)
def test_derivatives_hold_where_the_covariance_is_singular(name, x):
    assert_derivatives_are_autograds(DISTANCES[name], x, features((x.shape[1], 5, 4), 1))


@pytest.mark.parametrize("name", DISTANCES)
def test_a_statistic_is_zero_at_its_target_and_so_are_its_derivatives(name):
    found = of(features((3, 4, 5), 0))
    value, slope = DISTANCES[name](found)(found)
    assert max(float(each.abs().max()) for each in (value, *slope)) < 1e-10


@given(SHAPES, SEEDS, st.booleans())
def test_moments_are_means_over_positions_each_counted_by_the_guide(shape, seed, guided):
    x = features(shape, seed)
    guide = torch.rand(1, 1, *shape[1:], dtype=torch.float64) + 0.1 if guided else None
    flat, counts = x[0].flatten(1), torch.ones(shape[1] * shape[2], dtype=x.dtype) if guide is None else guide.flatten()
    mean, gram = of(x) if guide is None else moments(moment_sums(x, guide))
    torch.testing.assert_close(mean, (flat * counts).sum(1) / counts.sum())
    torch.testing.assert_close(gram, (flat * counts) @ flat.mT / counts.sum())


@given(SHAPES, SEEDS, st.integers(0, 9), st.booleans())
def test_sums_of_parts_add_up_to_those_of_the_whole(shape, seed, at, guided):
    x = features(shape, seed)
    guide = torch.rand(1, 1, *shape[1:], dtype=torch.float64) if guided else None
    parts = [slice(0, at), slice(at, None)]
    sums = [moment_sums(x[..., part], None if guide is None else guide[..., part]) for part in parts]
    found = tuple(map(sum, zip(*sums, strict=True)))
    torch.testing.assert_close(found, tuple(moment_sums(x, guide)), rtol=1e-10, atol=1e-10)


def test_moments_blend_by_their_shares():
    one, other = features((3, 4, 5), 0), features((3, 2, 2), 1)
    expected = [0.25 * a + 0.75 * b for a, b in zip(of(one), of(other), strict=True)]
    found = blended([moment_sums(one), moment_sums(other)], [0.25, 0.75])
    torch.testing.assert_close(list(found), expected)


def test_without_positions_moments_are_zero():
    x = features((3, 4, 5), 0)
    assert not any(part.any() for part in moments(moment_sums(x, torch.zeros(1, 1, 4, 5))))
    assert not any(part.any() for part in of(x[..., :0]))


@given(SHAPES, SEEDS)
def test_sums_do_not_depend_on_the_order_in_memory(shape, seed):
    x = features(shape, seed)
    channels_last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(tuple(moment_sums(x)), tuple(moment_sums(channels_last)))


def test_sums_of_bfloat16_features_are_accumulated_in_float32():
    x = torch.rand(1, 4, 64, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    for found, exact in zip(moment_sums(x), moment_sums(x.double()), strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, exact.float(), rtol=1e-5, atol=0)


@given(st.tuples(st.integers(1, 40), st.integers(1, 20), st.integers(1, 20)), SEEDS, st.integers(1, 8))
def test_products_in_float32_are_those_of_float64(shape, seed, others):
    """They are computed in another way."""
    left, right = features(shape, seed), features((others, *shape[1:]), seed + 1)
    exact = torch.einsum("cp,dp->cd", left[0].flatten(1), right[0].flatten(1))
    torch.testing.assert_close(products(left, right), exact)
    for order in (torch.contiguous_format, torch.channels_last):
        found = products(*(each.float().contiguous(memory_format=order) for each in (left, right)))
        torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-4 * float(exact.abs().max()))
