"""Strokes become one mask for each style, which share the picture among them."""

import pytest
import torch
from PIL import Image, ImageColor, ImageDraw

from demo.components.regions import COLOURS, masks, parts, style_masks
from demo.components.regions import painted as painted_regions
from toolkit.synthesis import Region


def painted(strokes):
    layer = Image.new("RGBA", (200, 100))
    for box, colour in strokes:
        ImageDraw.Draw(layer).rectangle(box, (*ImageColor.getrgb(colour), 255))
    return {"background": None, "layers": [layer], "composite": None}


def test_each_colour_is_its_styles_and_the_rest_is_the_firsts():
    found = masks(painted([((100, 0, 199, 49), COLOURS[0]), ((100, 50, 199, 99), COLOURS[1])]), 3)
    assert [mask.shape for mask in found] == [(1, 1, 100, 200)] * 3
    torch.testing.assert_close(sum(found), torch.ones(1, 1, 100, 200), rtol=0, atol=0.02)
    for mask, (x, y) in zip(found, [(30, 50), (150, 20), (150, 80)], strict=True):
        assert mask[0, 0, y, x] == 1
        assert [float(other[0, 0, y, x]) for other in found if other is not mask] == [0, 0]


def test_edges_are_soft():
    _, second = masks(painted([((100, 0, 199, 99), COLOURS[0])]), 2)
    row = second[0, 0, 50]
    assert 0 < row[99] < row[100] < 1
    assert (row[:90], row[110:]) == (pytest.approx(0), pytest.approx(1))


def test_a_colour_of_a_style_that_is_not_there_is_the_nearest_ones():
    found = masks(painted([((0, 0, 199, 99), COLOURS[2])]), 2)
    assert found[1].min() == 1 and found[0].max() == 0


@pytest.mark.parametrize("editor", [None, {"layers": []}, {"layers": None}, painted([])])
def test_nothing_painted_makes_no_masks(editor):
    assert masks(editor, 2) == []


def test_one_style_needs_no_masks():
    assert masks(painted([((0, 0, 50, 50), COLOURS[0])]), 1) == []


def test_suggested_regions_become_paint_that_is_read_back_as_masks():
    left = torch.zeros(1, 1, 30, 60)
    left[..., :30] = 1
    everywhere = torch.ones(1, 1, 8, 8)
    suggested = [Region(1 - left, 2, everywhere), Region(left, 0, everywhere)]
    value = painted_regions(suggested, Image.new("RGB", (120, 60)), 120)
    assert value["background"].size == (120, 60) and value["layers"][0].size == (120, 120)
    first, second, third = masks(value, 3)
    assert first.shape == (1, 1, 60, 120)
    assert first[..., :50].min() == 1 and third[..., 70:].min() == 1 and second.max() == 0


def test_the_parts_of_styles_are_shown_in_their_order_and_read_back_as_masks(tmp_path, random_image):
    left = torch.zeros(1, 1, 8, 8)
    left[..., :4] = 1
    everywhere = torch.ones(1, 1, 8, 8)
    shown = parts([Region(everywhere, 1, left), Region(everywhere, 0, everywhere)], [random_image(40, 40)] * 2)
    paths = [tmp_path / "first.png", tmp_path / "second.png"]
    for part, path in zip(shown, paths, strict=True):
        part.save(path)
    first, second = style_masks(list(map(str, paths)))
    assert first.min() == 1 and second[..., :100].min() == 1 and second[..., 220:].max() == 0
