"""Colours: statistics match, brightness and chroma come from where they should."""

import pytest
import torch

from toolkit.pictures.colour import YIQ, luminance, match_covariance, prepare, with_colours_of
from toolkit.synthesis import Recipe, Synthesis


def soft(seed, low=0.3, high=0.7):
    """An image whose colours are far from the ends of the range and correlated."""
    generator = torch.Generator().manual_seed(seed)
    matrix, noise = torch.rand(3, 3, generator=generator), torch.rand(1, 3, 40, 50, generator=generator)
    mixed = torch.einsum("cd,ndhw->nchw", matrix, noise)
    return low + (high - low) * (mixed - mixed.min()) / (mixed.max() - mixed.min())


def test_matched_colours_have_the_targets_mean_and_covariance():
    image, target = soft(1, 0.4, 0.6), soft(2, 0.45, 0.55)
    matched = match_covariance(image, target)
    for statistic in (lambda x: x[0].flatten(1).mean(1), lambda x: torch.cov(x[0].flatten(1))):
        torch.testing.assert_close(statistic(matched), statistic(target), rtol=1e-3, atol=1e-5)


def test_matched_histograms_have_the_targets_quantiles():
    image, target = soft(1), soft(2)
    _, (matched,) = prepare("histogram", target, [image])
    at = torch.linspace(0.05, 0.95, 19)
    for channel in range(3):
        torch.testing.assert_close(
            matched[0, channel].flatten().quantile(at), target[0, channel].flatten().quantile(at), rtol=0, atol=0.01
        )


def test_brightness_of_one_and_chroma_of_the_other():
    image, content = soft(1), soft(2)
    both = with_colours_of(image, content)
    yiq, of_image, of_content = (torch.einsum("dc,nchw->ndhw", YIQ, x) for x in (both, image, content))
    torch.testing.assert_close(yiq[:, 0], of_image[:, 0], rtol=0, atol=1e-4)
    torch.testing.assert_close(yiq[:, 1:], of_content[:, 1:], rtol=0, atol=1e-4)
    grey = luminance(content)
    assert torch.equal(grey[:, 0], grey[:, 2])
    torch.testing.assert_close(grey[:, 0], of_content[:, 0])


@pytest.mark.parametrize("colour", ["luminance", "covariance", "histogram"])
def test_results_keep_the_contents_colours(tiny_network, colour):
    content = torch.cat([torch.full((1, 1, 40, 40), value) for value in (0.6, 0.4, 0.3)], 1) + 0.05 * soft(3)[..., :40]
    style = torch.cat([torch.full((1, 1, 40, 40), value) for value in (0.2, 0.3, 0.9)], 1) + 0.05 * soft(4)[..., :40]
    found = {}
    for each in ("style", colour):
        recipe = Recipe.preset("transfer", size=40, iterations=8, colour=each, start="grey", style_weight=1e4)
        synthesis = Synthesis(tiny_network(), recipe, content=content, styles=[style])
        list(synthesis)
        found[each] = (synthesis.image.mean((0, 2, 3)) - content.mean((0, 2, 3))).abs().max()
    assert found[colour] < found["style"]
