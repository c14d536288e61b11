"""One picture of every pair of images, where folders are named."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, ToolkitError
from .job import LOG
from .synthesis import Made, SynthesisJob

if TYPE_CHECKING:
    from ..network import Backbone
    from ..synthesis import Progress

#: Bytes of a result's name: file systems take 255, and numbers, suffixes and a checkpoint's name come to it.
LONGEST = 200


def name_of(job: SynthesisJob) -> str:
    """What the picture is called after its images, without a suffix."""
    name = "-".join(Path(source).stem for source in (job.content, *job.styles) if source) + job.ending
    return name if len(os.fsencode(name)) <= LONGEST else os.fsencode(name)[:LONGEST].decode(errors="ignore")


def every_pair(
    job: SynthesisJob, progress: "Callable[[Progress], object]" = lambda step: None
) -> Iterator[Made | ToolkitError]:
    """Makes one picture of every content in every style, into a folder; finished ones that are there are kept.

    Under torchrun, pairs are dealt to the processes.

    Yields:
        What was made, or why a picture wasn't; the others are still made.

    Raises:
        ToolkitError: when there are no images, or the folder for results is missing or an image.
        KeyboardInterrupt: as ``SynthesisJob.run``.
    """
    job.check_there()
    from ..device import find_device
    from ..distributed import Ranks
    from ..files import check_apart
    from ..pictures.formats import FORMATS
    from .paint import paint

    folder = job.output
    if folder is None or folder.suffix in FORMATS or folder.is_file():
        raise InputError("Folders make many images: name the folder for them.", "output")
    check_apart([folder], [source for source in (job.content, *job.styles) if source])
    network = job.load()
    pairs = _pairs(job, folder)
    with Ranks.joined(find_device("cpu")) as ranks:  # nothing but the pairs is shared
        for one in pairs[ranks.rank :: ranks.world_size]:
            assert one.output is not None
            try:
                if not (one.output.exists() and _stays(one, one.output, network)):
                    yield paint(one, progress, network)
            except ToolkitError as error:
                yield ToolkitError(f"{one.output}: {error}")


def _pairs(job: SynthesisJob, folder: Path) -> list[SynthesisJob]:
    """A job for each pair; names that recur are numbered."""
    taken: set[str] = set()
    pairs = []
    contents = _images([job.content] if job.content else [], folder)
    styles = _images(job.styles, folder)
    for content, style in itertools.product(contents or [None], styles or [None]):
        one = job.model_copy(update={"content": content, "styles": (style,) if style else ()})
        base = name = name_of(one)
        number = 1
        while name.casefold() in taken:  # some file systems take upper and lower case for the same
            number += 1
            name = f"{base}-{number}"
        taken.add(name.casefold())
        film = job.timelapse and job.timelapse.with_stem(f"{job.timelapse.stem}-{name}")
        pairs.append(one.model_copy(update={"output": folder / f"{name}.png", "timelapse": film}))
    return pairs


def _images(sources: Sequence[str], results: Path) -> list[str | None]:
    """The images, and those in folders that are not in the folder of results."""
    from ..data.sources import list_images

    folder = results.resolve()
    images: list[str | None] = []
    for source in sources:
        if Path(source).is_dir():
            places = (entry.place for entry in list_images(source, archives=False))
            images += [place for place in places if folder not in Path(place).resolve().parents]
        else:
            images.append(source)
    return images


def _stays(job: SynthesisJob, output: Path, network: "Backbone") -> bool:
    """Whether a result that is there is kept: all but those of this job that were interrupted. Tells of others."""
    from ..synthesis import Result
    from .paint import prepared

    recipe, inputs, _ = prepared(job, network)
    try:
        there = Result.read(output)
        same = (there.recipe, there.made_from) == (recipe, inputs.made_from(network))
    except ToolkitError:
        same = False
    if not same:
        LOG.info("kept: %s is of another recipe or other images: remove it to make it anew.", output)
        return True
    return there.finished
