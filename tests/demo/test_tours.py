"""The guided tours: what they make, without the page."""

import numpy as np
import pytest

from demo.components.atlas import Atlases
from demo.context import Context
from demo.jobs import Job, Jobs
from demo.settings import Settings
from demo.tours import figure_one, units, why_normalise


@pytest.fixture(scope="module")
def small(context):
    """The shipped small network, and small limits."""
    settings = Settings(max_size=64, max_iterations=2)
    return Context(context.networks, Jobs(["cpu"]), settings, context.photographs, context.paintings)


def sheets(tour, job):
    """The last sheet of each part, and every status."""
    for part in tour.parts:
        shown = list(part.sheet(job))
        yield shown[-1][0], [status for _, status in shown]


def columns(sheet, rows):
    """The parts of each row of cells that are not paper, from left to right: pairs of an end and a beginning."""
    pixels = np.asarray(sheet.convert("RGB")).astype(int)
    inked = (pixels[rows] < 250).any(-1).mean(0) > 0.5
    return np.flatnonzero(np.diff(np.r_[0, inked.astype(int), 0])).reshape(-1, 2)


def test_figure_one_shows_the_original_and_five_layers_of_each(small):
    for sheet, statuses in sheets(figure_one(small), Job("cpu", float("inf"))):
        assert len(columns(sheet, slice(sheet.height // 2, sheet.height // 2 + 8))) == 6
        assert statuses[-1].startswith("Iteration 10 of 10")


def test_original_and_normalised_paint_differently(small):
    ((sheet, statuses),) = sheets(why_normalise(small), Job("cpu", float("inf")))
    assert statuses[-1].startswith("Iteration 12 of 12")
    rows = [slice(sheet.height * part // 4, sheet.height * part // 4 + 8) for part in (2, 3)]
    found = [columns(sheet, row)[-3:] for row in rows]
    np.testing.assert_array_equal(*found)
    pixels = np.asarray(sheet.convert("RGB")).astype(int)
    (left, right) = found[0][-1]
    assert abs(pixels[rows[0], left:right] - pixels[rows[1], left:right]).mean() > 1


def test_units_use_an_atlas_that_is_there_and_else_make_one_once(small, tiny_network, context):
    networks = {"large": context.networks["vgg19-small"], "tiny": tiny_network()}
    own = Context(networks, small.jobs, small.settings, small.photographs, small.paintings[:1])
    atlases = Atlases(own)
    (first, statuses), (second, again), _ = sheets(units(own, atlases), Job("cpu", float("inf")))
    assert list(atlases.made) == ["tiny"]  # the quickest
    assert len(statuses) > 2 and again == [""] and first.size != second.size
    given = Context(networks, small.jobs, small.settings, small.photographs, [], atlas=atlases.made["tiny"])
    ready = Atlases(given)
    assert len(list(sheets(units(given, ready), Job("cpu", float("inf"))))) == 3 and list(ready.made) == ["large"]


def test_a_tour_that_is_stopped_ends_with_what_there_is(small):
    job = Job("cpu", float("inf"))
    job.stop.set()
    ((sheet, statuses), _) = sheets(figure_one(small), job)
    assert sheet.width > 0 and len(statuses) == 1
    atlases = Atlases(small)
    assert [picture for picture, _ in units(small, atlases).parts[0].sheet(job)] == [None] and not atlases.made
