"""Every loss and its closed-form gradient against the textbook formula and autograd, in float64."""

from unittest import mock

import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.synthesis.losses import ContentLoss, GramMatrix, StyleLoss, gram_matrix, total_variation

SHAPES = st.tuples(st.integers(1, 7), st.integers(1, 9), st.integers(1, 9))
SEEDS = st.integers(0, 2**31)


def features(shape, seed):
    return torch.randn(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def whole(loss, x):
    """A loss' value and gradient, shown all features at once."""
    loss.add(x)
    value, gradient = loss.value(), torch.zeros_like(x)
    loss.add_gradient(gradient, x)
    return value, gradient


def in_two(loss, x, difference=None):
    """The same, shown the features in two parts, where there are two, and worked on in strips."""
    width = x.shape[-1]
    cut = (width + 1) // 2
    parts = [(slice(None), slice(0, cut)), (slice(None), slice(cut, None))][:width]
    gradient = torch.zeros_like(x)

    def shown(region):
        return x[..., region[1]], region, None if difference is None else difference[..., region[1]]

    with mock.patch("toolkit.synthesis.strips.STRIP", 100):
        for region in parts:
            loss.add(*shown(region))
        value = loss.value()
        for region in parts:
            loss.add_gradient(gradient[..., region[1]], *shown(region))
    return value, gradient


def assert_matches(found, expected_value, x, weight):
    value, gradient = found
    (expected_gradient,) = torch.autograd.grad(weight * expected_value, x, retain_graph=True)
    torch.testing.assert_close(value, expected_value.detach(), rtol=1e-10, atol=0)
    scale = expected_gradient.abs().max().item()
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-12 * scale)


@given(SHAPES, SEEDS)
def test_the_content_loss_is_the_mean_square(shape, seed):
    x, target = features(shape, seed).requires_grad_(), features(shape, seed + 1)
    for shown in (whole, in_two):
        assert_matches(shown(ContentLoss(target, 3.0), x.detach()), (x - target).square().mean(), x, 3.0)


@given(SHAPES, SEEDS)
def test_the_papers_content_loss_is_half_the_sum(shape, seed):
    x, target = features(shape, seed).requires_grad_(), features(shape, seed + 1)
    assert_matches(whole(ContentLoss(target, 0.5, "paper"), x.detach()), (x - target).square().sum() / 2, x, 0.5)


@given(SHAPES, SEEDS)
def test_the_style_loss_is_the_mean_square_between_gram_matrices(shape, seed):
    x, target = features(shape, seed).requires_grad_(), gram_matrix(features(shape, seed + 1))
    flat = x[0].flatten(1)
    expected = (flat @ flat.T / flat.shape[1] - target).square().mean()
    for shown in (whole, in_two):
        assert_matches(shown(StyleLoss(target, 2.0), x.detach()), expected, x, 2.0)


@given(SHAPES, SEEDS)
def test_the_papers_style_loss_is_equation_four(shape, seed):
    x, other = features(shape, seed).requires_grad_(), features(shape, seed + 1)
    flat, style = x[0].flatten(1), other[0].flatten(1)
    filters, positions = flat.shape
    expected = (flat @ flat.T - style @ style.T).square().sum() / (4 * filters**2 * positions**2)
    assert_matches(whole(StyleLoss(gram_matrix(other), 2.0, "paper"), x.detach()), expected, x, 2.0)


@given(SHAPES, SEEDS, st.booleans())
def test_from_a_reference_and_the_difference_losses_are_those_of_the_features(shape, seed, guided):
    x, reference, other = (features(shape, seed + number) for number in range(3))
    guide = torch.rand(1, 1, *shape[1:], dtype=torch.float64) + 0.1 if guided else None
    style = StyleLoss(gram_matrix(other), 2.0, guide=guide)
    known = GramMatrix(shape[0], dtype=torch.float64)
    known.add(reference, guide)
    since = StyleLoss(gram_matrix(other), 2.0, guide=guide, known=known)
    torch.testing.assert_close(in_two(since, x, x - reference), whole(style, x))
    # Of a content loss nothing but the difference counts.
    content = in_two(ContentLoss(other - reference, 3.0), torch.full_like(x, torch.nan), x - reference)
    torch.testing.assert_close(content, whole(ContentLoss(other, 3.0), x))


@given(SHAPES, SEEDS)
def test_a_guided_style_loss_compares_guided_gram_matrices(shape, seed):
    """Gatys et al. 2017, equations 6 to 8: features times a guidance channel whose squares sum to one."""
    x, target = features(shape, seed).requires_grad_(), gram_matrix(features(shape, seed + 1))
    guide = torch.rand(1, 1, *shape[1:], dtype=torch.float64) + 0.1
    channel = (guide / guide.square().sum().sqrt())[0, 0]
    guided = (x[0] * channel).flatten(1)
    expected = (guided @ guided.T - target).square().mean()
    for shown in (whole, in_two):
        assert_matches(shown(StyleLoss(target, 2.0, guide=guide.square()), x.detach()), expected, x, 2.0)


@given(st.tuples(st.just(3), st.integers(1, 6), st.integers(1, 6)), SEEDS)
def test_total_variation_is_the_mean_square_of_neighbours_differences(shape, seed):
    x = features(shape, seed).requires_grad_()
    expected = sum(
        (difference.square().mean() for axis in (2, 3) if (difference := x.diff(dim=axis)).numel()), x.sum() * 0
    )
    assert_matches(total_variation(x.detach(), 5.0), expected, x, 5.0)


@given(SHAPES, SEEDS)
def test_a_gram_matrix_does_not_depend_on_the_order_in_memory(shape, seed):
    x = features(shape, seed)
    torch.testing.assert_close(gram_matrix(x), gram_matrix(x.contiguous(memory_format=torch.channels_last)))


def test_gram_matrices_of_bfloat16_features_are_accumulated_in_float32():
    x = torch.rand(1, 4, 64, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert gram_matrix(x).dtype == torch.float32
    torch.testing.assert_close(gram_matrix(x), gram_matrix(x.double()).float(), rtol=1e-5, atol=0)


@given(st.tuples(st.integers(1, 40), st.integers(1, 20), st.integers(1, 20)), SEEDS)
def test_float32_is_as_exact_as_float32_can_be(shape, seed):
    """It is computed in another way than float64."""
    x, other, guide = features(shape, seed), features(shape, seed + 1), torch.rand(1, 1, *shape[1:])
    for last in (torch.contiguous_format, torch.channels_last):
        rounded = x.float().contiguous(memory_format=last)
        for own, rounded_own in ((None, None), (guide.double(), guide)):
            exact = whole(StyleLoss(gram_matrix(other), guide=own), x)
            found = whole(StyleLoss(gram_matrix(other).float(), guide=rounded_own), rounded)
            torch.testing.assert_close(found[0].double(), exact[0], rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(found[1].double(), exact[1], rtol=1e-4, atol=1e-4 * float(exact[1].abs().max()))


def test_gradients_keep_the_precision_of_their_features():
    x = torch.rand(1, 4, 5, 5).bfloat16()
    for loss in (ContentLoss(x + 1), StyleLoss(gram_matrix(x) + 1)):
        value, gradient = whole(loss, x)
        assert (value.dtype, gradient.dtype) == (torch.float32, torch.bfloat16)


def test_a_guide_that_is_nowhere_asks_for_nothing(random_image):
    features = random_image()
    loss = StyleLoss(torch.ones(3, 3), guide=torch.zeros(1, 1, *features.shape[-2:]))
    loss.add(features)
    gradient = torch.zeros_like(features)
    assert loss.value() == 0
    loss.add_gradient(gradient, features)
    assert not gradient.any()
