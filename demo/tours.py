"""The guided tours: what is said, and what is made, from the example images and by the quickest network."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from toolkit.pictures.io import to_picture
from toolkit.pictures.sheet import Labels, grid
from toolkit.studies import AXES, Axis, Study, Variation
from toolkit.synthesis import Recipe

from .components.atlas import Atlases
from .components.images import named, opened
from .components.study_progress import status, steps
from .components.tour import Part, Shown, Tour
from .context import Context
from .jobs import Job
from .lent_gpu import multiplications

#: Longest side of the pictures in pixels, and their iterations: a sheet takes seconds.
SIZE, ITERATIONS = 192, 50

#: Most channels of a layer on a sheet: two rows of them.
CHANNELS = 16

#: The only row of a sheet.
ONE = Axis("", (Variation(""),))

CONTENT = """\
A network looks at a picture layer by layer. What does each layer still know of it?

We start from noise, and change it until one layer sees the same in it as in the photograph. Whatever still differs
then, this layer does not know. **Guess first:** which of the five layers is the first to lose something?
"""
CONTENT_SEEN = """\
Up to *relu3_2* hardly a pixel is lost. *relu4_2* knows the cat very well, but draws her fur anew. *relu5_2* knows that
there are eyes, a nose and fur, and roughly where, but no longer in which colours. So a transfer compares the content in
a deep layer: the things have to stay, and the pixels are free to change.
"""
STYLE = """\
Now the places are thrown away. Of each layer we keep only which filters respond *together*, averaged over the whole
picture: its Gram matrix. Again we start from noise; first with one layer, then with one more each time.

**Guess first:** how many layers does it take until there are stars?
"""
STYLE_SEEN = """\
One layer knows the colours and their grain. Each further layer adds larger structures: blots, then strokes, then whole
stars and waves. None of them is where it was in the painting. This is what a transfer calls style.
"""
FIGURE_ONE_ENDING = """\
Both sheets are yours, for a slide or a handout. They are made after figure 1 of
[Gatys, Ecker & Bethge 2016](https://doi.org/10.1109/CVPR.2016.265). With a picture of your own, use the controls below.
"""

NORMALISE = """\
Each filter of a network answers with a number: how much it sees of what it looks for. Nobody tells a network in its
training how large these numbers should be, so filters and layers differ, in the VGG-19 a thousandfold. A loss adds up
all of them, and the largest decide. *Normalising* divides each filter by its mean answer and undoes that in the next
layer. The network computes the same as before, but every filter has a mean answer of one.

We paint one photograph in one style with both networks, with three style weights. **Guess first:** in which row will
there be more of the painting?
"""
NORMALISE_SEEN = """\
Compare the two rows at weight 1. The original has the colours and strokes of the painting, but no stars: the deep
layers that know of them count too little. Normalised, all layers count, and the stars are there.

How far off the original is depends on the network. The full VGG-19 errs the other way: its numbers are so large that
the style wins at every weight. Normalised, a weight means the same in each.
"""
NORMALISE_ENDING = """\
The sheet is yours, for a slide or a handout. The Network tab shows the numbers behind it: the mean answers of the
filters, and the loss of each layer. To try it with your own pictures, choose *normalization* for the rows below.
"""

#: By part: its title, its layer, what is asked and what is to be seen.
UNITS = (
    (
        "First layer",
        "relu1_1",
        """\
A unit, or *channel*, of a layer looks everywhere in a picture for one thing. For which one? We do not ask its weights.
We show it the example pictures, and cut out the nine places where it responds most.

The units of the first layer see 3 x 3 pixels. **Guess first:** what can one look for in so few?
""",
        """\
Each block is one unit, with its nine strongest places. Some units look for one colour, wherever it is. The others look
for an edge in one direction: dark on the left and bright on the right, or the other way round.
""",
    ),
    (
        "Middle layer",
        "relu3_1",
        """\
Four layers later a unit sees 24 x 24 pixels, and works with what the layers before it have found.

**Guess first:** what are edges and colours put together to?
""",
        """\
Corners, curves, pairs of lines, stripes, grain. Look along one block: the form is the same in all nine patches, while
colours and pictures change.
""",
    ),
    (
        "Deep layer",
        "relu5_1",
        """\
After twelve layers a unit sees 156 x 156 pixels: most of a small picture. Grey is what lies outside it.

**Guess first:** does a unit look for a form, or for a thing?
""",
        """\
Round things, rims, rays, faces: what is alike is no longer a form but a kind of thing, such as the rim of a cup, an eye
and a star. With so few pictures many blocks stay a riddle. An atlas of thousands of images shows them better.
""",
    ),
)
UNITS_ENDING = """\
The sheets are yours, for a slide or a handout. They are made after
[Zeiler & Fergus 2013](https://doi.org/10.1007/978-3-319-10590-1_53). Below you see the patches of any channel.
"""


def figure_one(context: Context) -> Tour:
    """What each layer keeps of an image (Gatys, Ecker & Bethge 2016, figure 1)."""
    photograph, painting = named(context.photographs, "chelsea"), named(context.paintings, "night_swirls")

    def content(job: Job) -> Iterator[Shown]:
        cat = opened(photograph, "content")
        study = _study(context, job, "reconstruction", ONE, AXES["content-layers"](), content=cat)
        yield from _shown(study, job, {"photograph": [cat]})

    def style(job: Job) -> Iterator[Shown]:
        night = opened(painting, "style")
        study = _study(context, job, "texture", ONE, AXES["style-layers"](), styles=[night])
        yield from _shown(study, job, {"painting": [night]})

    return Tour(
        "figure1",
        "figure 1 of the paper",
        (
            Part("Content", CONTENT, "Rebuild the cat from five layers", content, CONTENT_SEEN),
            Part("Style", STYLE, "Rebuild the painting's style", style, STYLE_SEEN),
        ),
        FIGURE_ONE_ENDING,
    )


def why_normalise(context: Context) -> Tour:
    """The same transfer with the network as it was trained, and with the normalised one."""
    photograph, painting = named(context.photographs, "rocket"), named(context.paintings, "night_swirls")

    def both(job: Job) -> Iterator[Shown]:
        content, style = opened(photograph, "content"), opened(painting, "style")
        rows, columns = AXES["normalization"]("original,normalised"), AXES["style-weight"]("1,10,100")
        study = _study(context, job, "transfer", rows, columns, content=content, styles=[style])
        yield from _shown(study, job, {"made from": [content, style]})

    return Tour(
        "normalise",
        "why normalise",
        (Part("Two networks", NORMALISE, "Paint with both", both, NORMALISE_SEEN),),
        NORMALISE_ENDING,
    )


def units(context: Context, atlases: Atlases) -> Tour:
    """What single channels look for (Zeiler & Fergus 2013)."""
    network = context.default if context.atlas else _quickest(context)

    def strongest(layer: str, job: Job) -> Iterator[Shown]:
        for step in atlases.make(network):
            yield None, f"Image {step.done} of {step.total}"
            if job.should_end:
                return
        atlas = atlases.made[network]
        count = atlas.channels(layer)
        chosen = range(0, count, max(count // CHANNELS, 1))[:CHANNELS]
        yield atlas.picture(layer, chosen), ""

    return Tour(
        "units",
        "what does a unit look for",
        tuple(
            Part(title, words, f"Look at {layer}", functools.partial(strongest, layer), seen)
            for title, layer, words, seen in UNITS
        ),
        UNITS_ENDING,
    )


def _quickest(context: Context) -> str:
    return min(context.networks, key=lambda name: multiplications(context.networks[name].architecture))


def _study(context: Context, job: Job, synthesis: Any, rows: Axis, columns: Axis, **images: Any) -> Study:
    settings = context.settings
    recipe = Recipe.preset(
        synthesis, size=min(SIZE, settings.max_size), iterations=min(ITERATIONS, settings.max_iterations)
    )
    return Study(context.network(_quickest(context)), recipe, rows, columns, **images, device=job.device)


def _shown(study: Study, job: Job, originals: Mapping[str, Sequence[Tensor]]) -> Iterator[Shown]:
    """The sheet of a study, with the images that it is made from in a first column under its label."""
    ((label, images),) = originals.items()
    first = {(row, 0): to_picture(image) for row, image in enumerate(images)}
    rows = Labels(study.rows.title, [each.label for each in study.rows.variations])
    columns = Labels(study.columns.title, [label, *(each.label for each in study.columns.variations)])
    sheet = None
    for step in steps(study, job):
        if step.finished or sheet is None:
            made = {
                (row, column + 1): cell.error if cell.image is None else to_picture(cell.image)
                for (row, column), cell in study.cells.items()
            }
            sheet = grid(first | made, rows, columns, study.size[::-1])
        yield sheet, status(step, job)
