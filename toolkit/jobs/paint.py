"""How a picture is made: with a checkpoint and a film if wanted, and saved however it ends."""

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ..device import find_device
from ..distributed import ALONE, Ranks
from ..errors import InputError, ToolkitWarning
from ..files import check_outputs, numbered, save_somewhere
from ..network import Backbone, fingerprint
from ..pictures.formats import check_format
from ..pictures.io import open_alpha, open_mask, open_picture, resize, to_uint8
from ..process import uninterrupted
from ..synthesis import Checkpoint, Inputs, Progress, Recipe, Region, Synthesis, made_from_in
from ..synthesis.timelapse import Timelapse
from .job import LOG, keeping, written
from .pairs import name_of
from .recipes import recipe_text
from .regions import in_regions, save_regions
from .synthesis import Made, SynthesisJob

if TYPE_CHECKING:
    from ..export import OnnxObjective

#: How the name of a checkpoint ends.
KEPT = ".checkpoint"


def run(job: SynthesisJob, progress: Callable[[Progress], object], network: Backbone | None) -> Made:
    """Makes a picture, by all processes that torchrun has started."""
    with Ranks.joined(find_device(job.device)) as ranks:
        return paint(job, progress, network or job.load(), ranks)


def paint(job: SynthesisJob, progress: Callable[[Progress], object], network: Backbone, ranks: Ranks = ALONE) -> Made:
    """Makes a picture; of several processes the first tells of it and saves it."""
    names = numbered(Path(f"{name_of(job)}.png"))
    output = job.output or next(each for each in names if not each.exists() or each.with_suffix(KEPT).exists())
    kept = output.with_suffix(KEPT) if job.resume else None
    film = Timelapse(job.timelapse) if job.timelapse else None
    alpha = open_alpha(job.content) if job.content and job.keep_alpha else None
    check_format(output, job.recipe.size, alpha=alpha is not None, bits=job.bits)
    check_outputs([path for path in (output, job.timelapse, kept) if path], job.pictures)
    if ranks.first and job.recipe_file:
        made_from = made_from_in(recipe_text(job.recipe_file))
        if made_from and made_from.network != fingerprint(network):
            _note("the recipe was made with another network: its own paints better.")
    recipe, inputs, regions = prepared(job, network)
    synthesis = _synthesis(job, recipe, network, inputs, ranks)
    checkpoint = Checkpoint(kept, synthesis, ranks) if kept else None
    resumed = synthesis.iteration > 0
    if ranks.first:
        LOG.info("computing with %s", synthesis.runs_on)
        if regions and not resumed:
            LOG.info(save_regions(regions, output, job.styles))

    def save() -> Made:
        result = synthesis.result
        picture = result
        if alpha is not None:
            opaque = resize(alpha, (result.image.shape[-2], result.image.shape[-1]))
            picture = dataclasses.replace(result, image=torch.cat([result.image, opaque], 1))
        path = save_somewhere(
            output,
            lambda place: picture.save(place, bits=job.bits, dpi=job.dpi),
            overwrite=job.output is not None or resumed,
        )
        if synthesis.skipped:
            LOG.info("skipped %d iterations that would hardly lower the loss", synthesis.skipped)
        films = [save_somewhere(film.path, film.save, overwrite=not resumed)] if film and film.frames else []
        losses = "".join(f"{name:<20} {loss:.4g}\n" for name, loss in result.losses.items())
        return Made(losses + written(path, *films), path=path, film=next(iter(films), None), result=result)

    def keep(error: BaseException) -> str:
        # Several processes stop at different iterations.
        if isinstance(error, KeyboardInterrupt) and checkpoint and ranks.world_size == 1:
            checkpoint.save()
        return save().text if ranks.first and synthesis.iteration else ""

    with keeping(keep, "the best image so far is kept."):
        for step in checkpoint or synthesis:
            if film and ranks.first:
                film.add(step)
            if ranks.first:
                progress(step)
    with uninterrupted():
        made = save() if ranks.first else Made("")
    if checkpoint:
        checkpoint.remove()
    return made


def prepared(job: SynthesisJob, network: Backbone) -> tuple[Recipe, Inputs, list[Region]]:
    """The recipe and the images of a synthesis; where regions are wanted, their masks are suggested here."""
    recipe = job.recipe
    if job.engine == "onnx":
        recipe = recipe.with_(precision="float32", finish=0.0)
        if job.recipe.finish:
            _note("ONNX Runtime paints without a finish.")

    def opened(source: str) -> Tensor:  # in bytes, a quarter of what they take as floats
        return to_uint8(open_picture(source, background=job.background))

    inputs = Inputs(
        opened(job.content) if job.content else None,
        [opened(style) for style in job.styles],
        opened(job.start_image) if job.start_image else None,
        masks=[open_mask(mask) for mask in job.masks],
        style_masks=[open_mask(mask) for mask in job.style_masks],
    )
    if not job.regions:
        return recipe, inputs, []
    return in_regions(job.regions, network.at(find_device(job.device), torch.float32), recipe, inputs)


def _synthesis(job: SynthesisJob, recipe: Recipe, network: Backbone, inputs: Inputs, ranks: Ranks) -> Synthesis:
    device = find_device(job.device)
    for note in _notes_on_masks(inputs.masks) if ranks.first else ():
        _note(note)
    if job.engine == "onnx" and (job.memory or ranks.world_size > 1):
        raise InputError("ONNX Runtime computes whole images in one process: use torch.", "engine")
    return Synthesis(
        network, recipe, inputs, device=device, memory=job.memory, ranks=ranks, make_objective=engine_of(job)
    )


def engine_of(job: SynthesisJob) -> "type[OnnxObjective] | None":
    """What computes losses and gradient in place of PyTorch, if anything."""
    if job.engine == "torch":
        return None
    from ..export import OnnxObjective

    return OnnxObjective


def _notes_on_masks(masks: Sequence[Tensor]) -> Iterator[str]:
    """What looks like a mistake in masks: nothing painted, or parts of the image that no style gets."""
    for number, mask in enumerate(masks, 1):
        if not mask.any():
            yield f"mask {number} is dark everywhere, so style {number} shows nowhere."
    if masks:
        painted = torch.stack([F.interpolate(mask, (64, 64)) for mask in masks]).sum(0)
        if share := float((painted < 0.05).float().mean()):
            yield f"the masks leave {share:.0%} of the image to no style."


def _note(text: str) -> None:
    warnings.warn(text, ToolkitWarning, stacklevel=3)
