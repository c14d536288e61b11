"""Four small pictures of the same images with different settings, without the page."""

from demo.components.four_ways import WAYS
from demo.components.transfers import small_study
from demo.context import Context
from demo.jobs import Job, Jobs
from demo.settings import Settings
from toolkit.studies import Axis, Variation


def test_they_stay_within_the_limits_of_the_host(context, pictures):
    settings = Settings(max_size=64, max_iterations=2)
    small = Context(context.networks, Jobs(["cpu"]), settings, context.photographs, context.paintings)
    axis = Axis("finish", tuple(Variation(label, fields) for label, fields in WAYS["finish"].items()))
    content, style = pictures
    images = {"content": content, "style": style, "more_styles": [], "regions": None, "style_parts": []}
    study = small_study(small, Job("cpu", float("inf")), axis, network="vgg19-small", **images)
    assert (max(study.size), study.total) == (64, 4 * 2)
