"""A recipe made into an image: a stream of progress that can be left at any point with the best image in hand."""

import copy
import hashlib
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .. import __version__
from ..device import BASE, return_freed_memory
from ..distributed import ALONE, Ranks
from ..errors import ToolkitError
from ..files import written_atomically
from ..images.colour import prepare, with_colours_of
from ..images.io import cover, fit, resize, to_floats
from ..network import Network, fingerprint
from .objective import Objective
from .optimizers import LBFGS, OPTIMIZERS, Adam
from .patience import Patience
from .precision import Arithmetic, arithmetics
from .pyramid import levels
from .recipe import Ingredients, Recipe

#: Contrast of white noise as a start. The network averages away what differs from pixel to pixel, so nothing takes it
#: out again: at full contrast textures and reconstructions stay grainy. VGG-19's content loss at relu4_2 after 60
#: evaluations: 0.19 from full contrast, 0.11 from 0.3, 0.088 from 0.1, 0.084 from 0.02.
NOISE = 0.1


@dataclass(frozen=True)
class Progress:
    """Where a synthesis stands after an evaluation.

    ``losses`` are before their weights, by name (``content relu4_2``, ``style relu1_1``, ``total variation``);
    ``objective`` is their weighted sum; ``evaluation`` counts those passed over as no longer paying, so that the last
    one is always number ``evaluations``; ``remaining`` are the seconds that all others are likely to take, by the time
    that a pixel's took at this level; ``preview`` gives the best image so far, (1, 3, H, W) in [0, 1].
    """

    evaluation: int
    evaluations: int
    objective: float
    losses: dict[str, float]
    seconds: float
    remaining: float
    preview: Callable[[], Tensor]


class Synthesis:
    """One synthesis. Iterate over it to run it; ``image`` is its best image at any time.

    ``runs_on`` says what computes; ``spared`` how many evaluations were passed over, as they no longer paid.

    Args:
        network: best a normalised one; it is left as it is.
        recipe: what to make.
        content: (1, 3, H, W), RGB in [0, 1] or in bytes (uint8), of any size; resized to the recipe's.
        styles: (1, 3, h, w) each, resized likewise.
        start: where to start when the recipe says ``image``; fitted to the result's size.
        device: where to compute.
        objective: what computes losses and gradient.
        masks: where each style is to show, (1, 1, H, W) in [0, 1] each; resized to the result. Everywhere when none.
        ranks: processes that share every evaluation; all of them go the same way.
        memory: bytes to stay within; larger images are worked on in tiles, and L-BFGS remembers less.

    Raises:
        ToolkitError: when an image that the recipe needs is missing or too small, or a layer unknown.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        *,
        content: Tensor | None = None,
        styles: Sequence[Tensor] = (),
        start: Tensor | None = None,
        device: str | torch.device = "cpu",
        objective: type[Objective] = Objective,
        masks: Sequence[Tensor] = (),
        memory: int | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.recipe = recipe.with_(
            made_from=Ingredients(
                toolkit=__version__,
                network=fingerprint(network),
                content=_pixels(content),
                styles=tuple(hashes for style in styles if (hashes := _pixels(style))),
                start=_pixels(start),
                masks=tuple(hashes for mask in masks if (hashes := _pixels(mask))),
            )
        )
        self.levels = levels(recipe)
        self._network = network
        self._content, self._styles, self._start, self._masks = content, list(styles), start, masks
        self._device, self._make_objective, self._memory = torch.device(device), objective, memory
        self._ranks = ranks
        given = [picture for picture in (content, *styles, start, *masks) if picture is not None]
        self.spared = 0
        self._given = sum(picture.nbytes for picture in given if picture.device == self._device)
        self._begin(0)

    def _begin(self, level: int, image: Tensor | None = None) -> None:
        """Prepares a level, from an image (of another size) or from the recipe's start.

        Should it fail, ``best`` is still there.
        """
        self._level, self._done, self._prepared = level, 0, False
        if level:  # its predecessor's memory is in pieces of other sizes
            del self._objective
            self._optimizer.retire()
            return_freed_memory()
        recipe = self.recipe
        frame = self._frame(self.levels[level].size)
        image = self._first(frame, image)
        memory = None if self._memory is None else self._memory // 2
        evaluations = self.levels[level].evaluations
        self._optimizer: LBFGS | Adam = OPTIMIZERS[recipe.optimizer](image, memory, self._ranks, evaluations)
        objective = self._make_objective
        whole = objective.has_room(self._network, recipe, frame, self._room(), self._ranks)
        self._arithmetics = arithmetics(recipe, self.levels, level, self._device, objective.only_float32, whole)
        self._compute_in(self._arithmetics[0])
        self.runs_on = self._objective.runs_on
        self._prepared = True

    def _first(self, frame: tuple[int, int], coarser: Tensor | None) -> Tensor:
        """The image that a level begins with."""
        start = _start(self.recipe, frame, *self._pictures(), self._start).to(self._device)
        return start.clone(memory_format=torch.contiguous_format) if coarser is None else _detailed(coarser, start)

    def _pictures(self) -> tuple[Tensor | None, list[Tensor]]:
        """Content and styles as the level sees them, made anew each time: they are as large as the result."""
        size, recipe = self.levels[self._level].size, self.recipe
        content = None if self._content is None else fit(self._content, size).to(self._device)
        style_size = max(1, round(size * recipe.style_scale))
        styles = [fit(style, style_size).to(self._device) for style in self._styles]
        return (content, styles) if recipe.colour == "style" else prepare(recipe.colour, content, styles)

    def _compute_in(self, arithmetic: Arithmetic) -> None:
        """Makes the level's objective, in that arithmetic."""
        differences = arithmetic == "differences"
        dtype = torch.bfloat16 if arithmetic == "bfloat16" else torch.float32
        network = _placed(self._network, self._device, dtype)
        masks = [resize(mask.to(self._device), self._frame(self.levels[self._level].size)) for mask in self._masks]
        self._objective = self._make_objective(
            network, self.recipe, *self._pictures(), masks, self._room(), self._ranks, differences=differences
        )
        self._patience = Patience()

    def _room(self) -> int | None:
        """What is left for features beside the libraries, the weights and all that is as large as the image."""
        if self._memory is None:
            return None
        weights = sum(parameter.nbytes for parameter in self._network.parameters())
        if self.recipe.precision != "float32":
            weights += weights // 2  # their copy
        images = self._optimizer.nbytes + self._given
        if self.recipe.precision == "mixed":  # differences' reference twice; or content and style while types change
            images += 2 * self._optimizer.image.nbytes
        base = BASE if self._device.type == "cpu" else 0
        # A tenth at least: ever smaller tiles would see ever more around them than they are.
        return max(self._memory // 10, self._memory - base - weights - images)

    @property
    def best(self) -> Tensor:
        """The best image so far as it is being optimised: on the device, of the level's size."""
        return self._optimizer.best.detach()

    @property
    def image(self) -> Tensor:
        """The best image so far, (1, 3, H, W) float32 in [0, 1], on the CPU; of the recipe's size at any level."""
        frame = self._frame(self.recipe.size)
        best = resize(self.best, frame).clamp(0, 1).cpu()
        if self.recipe.colour == "luminance" and self._content is not None:
            return with_colours_of(best, resize(self._content, frame))
        return best

    def _frame(self, longest: int) -> tuple[int, int]:
        return _frame(self.recipe, longest, (self._content, *self._styles, self._start))

    @property
    def evaluation(self) -> int:
        """How many evaluations were made so far."""
        return sum(level.evaluations for level in self.levels[: self._level]) + self._done

    def __iter__(self) -> Iterator[Progress]:
        """Runs what is left of the recipe's evaluations, yielding after each.

        Raises:
            ToolkitError: when the optimisation diverges; ``image`` is then the best before that.
        """
        began = time.monotonic()
        while True:
            level_began, made = time.monotonic(), 0  # in tiles a pixel takes several times as long
            while self._done < self.levels[self._level].evaluations:
                if self._done and self._arithmetics[self._done] != self._arithmetics[self._done - 1]:
                    self._compute_in(self._arithmetics[self._done])
                evaluation = self._optimizer.step(self._objective)
                self._done += 1
                made += 1
                if self._patience.ends(evaluation.objective) and self.recipe.early_stop:
                    self._pass_over()
                now = time.monotonic()
                yield Progress(
                    self.evaluation,
                    self.recipe.evaluations,
                    evaluation.objective,
                    evaluation.losses,
                    now - began,
                    (now - level_began) / made * self._left(),
                    lambda: self.image,
                )
            if self._level + 1 == len(self.levels):
                return
            self._begin(self._level + 1, self.best)

    def _left(self) -> float:
        """What is left to do, in evaluations of the present size."""
        levels = self.levels[self._level :]
        return sum(level.evaluations * (level.size / levels[0].size) ** 2 for level in levels) - self._done

    def _pass_over(self) -> None:
        """Skips what is left of the level in the present arithmetic."""
        there = self._done
        while self._done < len(self._arithmetics) and self._arithmetics[self._done] == self._arithmetics[there - 1]:
            self._done += 1
        self.spared += self._done - there

    def save(self, path: Path) -> None:
        """Writes a checkpoint, atomically: what it takes to go on as if nothing had happened.

        Of several processes all must call it after the same evaluation, and the first writes; any number of processes
        can go on from there. Where the next level was being prepared, a checkpoint that is there is left as it is.

        Raises:
            ToolkitError: when it can't be written.
        """
        if not self._prepared:
            return
        state = {
            "recipe": self.recipe.to_json(),
            "level": self._level,
            "done": self._done,
            "spared": self.spared,
            "least": list(self._patience.least),
            "optimizer": self._optimizer.state(),
            "objective": self._objective.state(),
        }
        if self._ranks.first:
            with written_atomically(path) as temporary:
                torch.save(state, temporary)

    def resume(self, path: Path) -> None:
        """Goes on from a checkpoint of the same synthesis.

        Raises:
            ToolkitError: when it can't be read, or belongs to another recipe, network or picture.
        """
        remedy = f"remove {path} to start anew."
        try:
            # It may be larger than what memory has room for; and several processes need no more than their shares.
            state = torch.load(path, map_location=self._device, weights_only=True, mmap=True)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            raise ToolkitError(f"The checkpoint {path} can't be read: {remedy}") from error
        try:
            if state["recipe"] != self.recipe.to_json():
                raise ToolkitError(f"The checkpoint {path} belongs to another recipe, network or picture: {remedy}")
            self._begin(state["level"])
            self._done = state["done"]
            if 0 < self._done < len(self._arithmetics) and self._arithmetics[self._done - 1] != self._arithmetics[0]:
                self._compute_in(self._arithmetics[self._done - 1])
            self._optimizer.restore(state["optimizer"])
            self._objective.restore(state["objective"])
            self.spared, self._patience = state["spared"], Patience(state["least"])
        except KeyError as error:
            raise ToolkitError(f"The checkpoint {path} is of another version or kind: {remedy}") from error


def _placed(network: Network, device: torch.device, dtype: torch.dtype) -> Network:
    """The network on that device and in that type: itself when it is there, else a copy."""
    parameter = next(network.parameters())
    if (parameter.device, parameter.dtype) == (device, dtype):
        return network
    return copy.deepcopy(network).to(device=device, dtype=dtype).to(memory_format=torch.channels_last)


def _frame(recipe: Recipe, longest: int, images: Sequence[Tensor | None]) -> tuple[int, int]:
    """The result's (height, width): the proportions are those of the first image that there is."""
    image = next((image for image in images if image is not None), None)
    if image is None:
        raise ToolkitError(f"A {recipe.synthesis} needs an image: name one.")
    height, width = image.shape[-2:]
    side = max(height, width)
    return max(1, round(height * longest / side)), max(1, round(width * longest / side))


def _start(
    recipe: Recipe, size: tuple[int, int], content: Tensor | None, styles: Sequence[Tensor], start: Tensor | None
) -> Tensor:
    """The first image, of that size."""
    match recipe.start:
        case "content" | "style" | "image":
            given = {"content": content, "style": styles[0] if styles else None, "image": start}[recipe.start]
            if given is None:
                raise ToolkitError(f"The recipe starts from the {recipe.start}, but there is none: name it.")
            return cover(given, size)
        case "noise":
            noise = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(recipe.seed))
            return 0.5 + NOISE * (noise - 0.5)
        case "grey":
            return torch.full((1, 3, *size), 0.5)


def _detailed(image: Tensor, start: Tensor) -> Tensor:
    """An image of a smaller size as large as the start, with what the start shows beyond that size.

    Without, fine structure would have to be found anew. Measured with the bundled network, sizes of 512, 1024 and 2048
    pixels with 96, 40 and 24 evaluations: The Starry Night's objective ends 21 % lower, The Scream's 0.2 %.
    """
    small, large = ((picture.shape[-2], picture.shape[-1]) for picture in (image, start))
    detailed = resize(image, large)
    for ours, theirs in zip(detailed.split(1, 1), start.split(1, 1), strict=True):
        ours += theirs  # one channel after the other, as a large image is half of all memory
        ours -= resize(resize(theirs, small), large)
    return detailed.clamp_(0, 1)


def _pixels(image: Tensor | None) -> str | None:
    """The SHA-256 of an image as float32, (1, C, H, W) in that order."""
    if image is None:
        return None
    digest = hashlib.sha256()
    for channel in image[0]:  # one by one, as a large image is half of all memory
        digest.update(to_floats(channel).cpu().contiguous().numpy().data)
    return digest.hexdigest()
