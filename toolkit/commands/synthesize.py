"""``transfer``, ``reconstruct``, ``texture`` and ``amalgamate``: images in, one image out."""

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from ..device import find_device
from ..distributed import ALONE, Ranks
from ..errors import ToolkitError
from ..export import OnnxObjective
from ..files import check_apart, check_outputs, save_somewhere
from ..network import Network, fingerprint
from ..pictures.formats import FORMATS, check_format
from ..pictures.io import open_alpha, open_mask, open_picture, resize, to_uint8
from ..synthesis import Checkpoint, Inputs, Progress, Recipe, Region, Result, Synthesis, made_from_in
from ..synthesis.recipe import SynthesisName
from ..synthesis.timelapse import Timelapse
from .common import add_network_options, byte_count, colour, dots, network, uninterrupted
from .pairs import Pair, every_pair, pair
from .recipe_options import add_recipe_options, chosen_recipe, recipe_text
from .regions import in_regions, save_regions


class Command(NamedTuple):
    """A synthesis as a command, and what it does; its preset says which images it takes, and which options."""

    synthesis: SynthesisName
    summary: str

    @property
    def preset(self) -> Recipe:
        """The recipe without any option."""
        return Recipe.preset(self.synthesis)

    @property
    def takes_content(self) -> bool:
        """Whether a content image is named."""
        return bool(self.preset.content_layers)

    @property
    def most_styles(self) -> int:
        """How many style images have a part in the result."""
        return sys.maxsize if self.preset.style_layers else int(self.preset.start == "style")

    @property
    def groups(self) -> list[str]:
        """Of the options."""
        asked = {
            "content": self.preset.content_layers,
            "style": self.preset.style_layers,
            "colours": self.takes_content and self.most_styles,
        }
        texture = ["texture"] if self.synthesis == "texture" else []
        return [group for group, needed in asked.items() if needed] + [*texture, "result", "optimisation"]


COMMANDS = {
    "transfer": Command("transfer", "paint a content image in the style of one or more style images"),
    "reconstruct": Command("reconstruction", "start from noise and recover a content image from one layer's features"),
    "texture": Command("texture", "start from noise and make a texture in a style"),
    "amalgamate": Command("amalgamation", "start from a style image and imprint a content image on it"),
}

#: Of progress. The time left depends on the sizes to come, which the bar's own estimate knows nothing of.
BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"


def add_commands(commands: Any) -> None:
    """Adds the four syntheses."""
    for name, command in COMMANDS.items():
        summary = command.summary[0].upper() + command.summary[1:]
        parser = commands.add_parser(
            name,
            help=command.summary,
            description=f"{summary}. Ctrl-C keeps the best image so far. The result holds its recipe.",
        )
        if command.takes_content:
            parser.add_argument("content", help="content image, or a folder of them")
        if command.most_styles == 1:
            parser.add_argument("styles", nargs=1, metavar="style", help="style image, or a folder of them")
        elif command.most_styles:
            parser.add_argument("styles", nargs="+", metavar="style", help="style images to blend, or folders of them")
        _add_options(parser, command)
        parser.set_defaults(run=run, command=name)


def _add_options(parser: argparse.ArgumentParser, command: Command) -> None:
    parser.add_argument(
        "--output",
        "-o",
        type=Path,
        metavar="FILE",
        help="the .png, .jpg, .webp or .tif to write, or the folder for many (default: a PNG named after the images)",
    )
    parser.add_argument("--start-image", metavar="FILE", help="start from this image (sets --levels 1 unless given)")
    if "style" in command.groups:
        parser.add_argument(
            "--masks",
            nargs="+",
            default=[],
            metavar="FILE",
            help="one mask per style image: the style shows where it is painted, in any colour on black or on nothing",
        )
        parser.add_argument(
            "--style-masks", nargs="+", default=[], metavar="FILE", help="one per style image: painted where it counts"
        )
    if command.synthesis == "transfer":
        parser.add_argument(
            "--regions",
            type=int,
            choices=(2, 3, 4),
            help="divide the content image, each region in the part of a style image that it answers to; the masks are "
            "written beside the output",
        )
    parser.add_argument("--resume", action="store_true", help="keep a checkpoint beside the output, and resume from it")
    parser.add_argument(
        "--timelapse",
        type=Path,
        metavar="FILE",
        help="also write a film: .mp4, .gif or .webp; a resumed run writes one of its own",
    )
    parser.add_argument("--bits", type=int, choices=(8, 16), help="bits a channel (default: 8, of a TIFF 16)")
    parser.add_argument("--dpi", type=dots, metavar="N", help="dots per inch, for printing")
    parser.add_argument(
        "--background",
        type=colour,
        default="white",
        metavar="COLOUR",
        help="behind transparent parts of images, by name or as #rrggbb (default: white)",
    )
    if command.takes_content:
        parser.add_argument(
            "--keep-alpha", action="store_true", help="make the result transparent where the content image is"
        )
    add_network_options(parser)
    parser.add_argument("--engine", choices=("torch", "onnx"), default="torch", help="what computes (default: torch)")
    parser.add_argument(
        "--memory", type=byte_count, metavar="SIZE", help="memory limit, e.g. 4GB (default: all free memory)"
    )
    add_recipe_options(parser, command.preset, command.groups)


def run(arguments: argparse.Namespace) -> int:
    """Makes one image, or one of every pair when folders are named."""
    recipe = _recipe(arguments)
    content: str | None = getattr(arguments, "content", None)
    styles: list[str] = getattr(arguments, "styles", [])
    if any(Path(name).is_dir() for name in (content, *styles) if name):
        return _every_pair(arguments, recipe, content, styles)
    images = pair(arguments.command, content, styles)
    ranks = Ranks.join(find_device(arguments.device))
    try:
        return _make(arguments, recipe, network(arguments), images, arguments.output, arguments.timelapse, ranks)
    finally:
        with uninterrupted():
            ranks.leave()


def _recipe(arguments: argparse.Namespace) -> Recipe:
    if arguments.start_image:
        if arguments.start not in (None, "image"):
            raise ToolkitError(f"--start-image and --start {arguments.start} contradict each other: leave one out.")
        arguments.start = "image"
        if arguments.levels is None:  # a coarse level would change its forms
            arguments.levels = 1
    recipe = chosen_recipe(arguments, COMMANDS[arguments.command].synthesis)
    if recipe.start == "image" and not arguments.start_image:
        raise ToolkitError("The recipe starts from an image of its own: name it with --start-image.")
    return recipe.with_(precision="float32") if arguments.engine == "onnx" else recipe


def _make(
    arguments: argparse.Namespace,
    recipe: Recipe,
    chosen: Network,
    images: Pair,
    named: Path | None,
    film: Path | None,
    ranks: Ranks = ALONE,
) -> int:
    """Synthesises with live progress, and saves the best image however it ends; of several processes the first does."""
    output = named or Path(f"{images.name}.png")
    checkpointed = output.with_suffix(".checkpoint") if arguments.resume else None
    timelapse = Timelapse(film) if film else None
    written = [path for path in (output, film, checkpointed) if path]
    alpha = open_alpha(images.content) if images.content and arguments.keep_alpha else None
    check_format(output, recipe.size, alpha=alpha is not None, bits=arguments.bits)
    masks = [*getattr(arguments, "masks", []), *getattr(arguments, "style_masks", [])]
    check_outputs(written, filter(None, (images.content, *images.styles, arguments.start_image, *masks)))
    if ranks.first and arguments.recipe and _made_with_another(arguments.recipe, chosen):
        print("note: the recipe was made with another network: name that one with --network.", file=sys.stderr)
    recipe, inputs, regions = _prepared(arguments, recipe, chosen, images)
    synthesis = _synthesis(arguments, recipe, chosen, inputs, ranks)
    checkpoint = Checkpoint(checkpointed, synthesis, ranks) if checkpointed else None
    if ranks.first:
        print(f"computing with {synthesis.runs_on}", file=sys.stderr)
    resumed = synthesis.iteration > 0
    if regions and ranks.first and not resumed:
        save_regions(regions, output, images.styles)
    status = 0
    losses: dict[str, float] = {}
    try:
        total = recipe.iterations - synthesis.skipped
        with tqdm(total=total, initial=synthesis.iteration, bar_format=BAR, disable=not ranks.first) as bar:
            for progress in checkpoint or synthesis:
                losses = progress.losses
                bar.total = progress.iterations
                bar.set_postfix_str(_summary(progress), refresh=False)
                bar.update(progress.iteration - bar.n)
                if timelapse and ranks.first:
                    timelapse.add(progress)
    except KeyboardInterrupt:
        status = 130
    finally:
        # Whatever ended the loop, the best image is kept.
        with uninterrupted():
            if status:
                print("Interrupted: keeping the best image so far.", file=sys.stderr)
            if status and checkpoint and ranks.world_size == 1:  # several processes stop at different iterations
                checkpoint.save()
            if ranks.first and synthesis.iteration:  # nothing unfinished bears the result's name
                made = synthesis.result
                if alpha is not None:
                    opaque = resize(alpha, (made.image.shape[-2], made.image.shape[-1]))
                    made = dataclasses.replace(made, image=torch.cat([made.image, opaque], 1))
                output = save_somewhere(
                    output,
                    lambda path: made.save(path, bits=arguments.bits, dpi=arguments.dpi),
                    overwrite=named is not None or arguments.resume,
                )
                if synthesis.skipped:
                    print(f"skipped {synthesis.skipped} iterations that would hardly lower the loss", file=sys.stderr)
                for name, loss in losses.items():
                    print(f"{name:<20} {loss:.4g}")
                print(f"written to {output}")
                if timelapse and timelapse.frames:  # a resumed run's beside the film of its beginning
                    print(f"written to {save_somewhere(timelapse.path, timelapse.save, overwrite=not resumed)}")
    if checkpoint and not status:
        checkpoint.remove()
    return status


def _opened(arguments: argparse.Namespace, images: Pair) -> Inputs:
    """The images of a synthesis, in bytes, a quarter of what they take as floats."""

    def opened(source: str) -> Tensor:
        return to_uint8(open_picture(source, background=arguments.background))

    return Inputs(
        opened(images.content) if images.content else None,
        [opened(style) for style in images.styles],
        opened(arguments.start_image) if arguments.start_image else None,
        **{name: [open_mask(mask) for mask in getattr(arguments, name, [])] for name in ("masks", "style_masks")},
    )


def _prepared(
    arguments: argparse.Namespace, recipe: Recipe, chosen: Network, images: Pair
) -> tuple[Recipe, Inputs, list[Region]]:
    """The recipe and the images of a synthesis; with ``--regions`` the masks are suggested here."""
    inputs = _opened(arguments, images)
    if not (count := getattr(arguments, "regions", None)):
        return recipe, inputs, []
    return in_regions(count, chosen.at(find_device(arguments.device), torch.float32), recipe, inputs)


def _synthesis(
    arguments: argparse.Namespace, recipe: Recipe, chosen: Network, inputs: Inputs, ranks: Ranks
) -> Synthesis:
    device = find_device(arguments.device)
    for note in _notes_on_masks(inputs.masks) if ranks.first else ():
        print(f"note: {note}", file=sys.stderr)
    if arguments.engine == "onnx":
        if arguments.memory or ranks.world_size > 1:
            raise ToolkitError("ONNX Runtime computes whole images in one process: use --engine torch.")
        return Synthesis(chosen, recipe, inputs, device=device, objective=OnnxObjective)
    return Synthesis(chosen, recipe, inputs, device=device, memory=arguments.memory, ranks=ranks)


def _made_with_another(source: Path, chosen: Network) -> bool:
    """Whether the recipe in a picture or a file was made with another network."""
    made_from = made_from_in(recipe_text(source))
    return made_from is not None and made_from.network != fingerprint(chosen)


def _notes_on_masks(masks: Sequence[Tensor]) -> Iterator[str]:
    """What looks like a mistake in masks: nothing painted, or parts of the image that no style gets."""
    for number, mask in enumerate(masks, 1):
        if not mask.any():
            yield f"mask {number} is dark everywhere, so style {number} shows nowhere."
    if masks:
        painted = torch.stack([F.interpolate(mask, (64, 64)) for mask in masks]).sum(0)
        if share := float((painted < 0.05).float().mean()):
            yield f"the masks leave {share:.0%} of the image to no style."


def _every_pair(arguments: argparse.Namespace, recipe: Recipe, content: str | None, styles: list[str]) -> int:
    """One image of every content in every style, into a folder; images that are there already are kept."""
    folder: Path | None = arguments.output
    if folder is None or folder.suffix in FORMATS or folder.is_file():
        raise ToolkitError("Folders make many images: name the folder for them with --output.")
    check_apart([folder], [source for source in (content, *styles) if source])
    chosen = network(arguments)
    pairs = every_pair(arguments.command, content, styles, folder)
    ranks = Ranks.join(find_device("cpu"))  # pairs are dealt to the processes; nothing else is shared
    failed = []
    try:
        for images in pairs[ranks.rank :: ranks.world_size]:
            output = folder / f"{images.name}.png"
            film: Path | None = arguments.timelapse
            film = film and film.with_stem(f"{film.stem}-{images.name}")
            try:
                if output.exists():
                    _say_if_another(arguments, recipe, chosen, images, output)
                elif status := _make(arguments, recipe, chosen, images, output, film):
                    return status
            except ToolkitError as error:
                failed.append(f"{output}: {error}")
    finally:
        ranks.leave()
    for failure in failed:
        print(f"not made: {failure}", file=sys.stderr)
    return 2 if failed else 0


def _say_if_another(arguments: argparse.Namespace, recipe: Recipe, chosen: Network, images: Pair, output: Path) -> None:
    """Tells when a result that is there is not what would be made."""
    recipe, inputs, _ = _prepared(arguments, recipe, chosen, images)
    try:
        there = Result.read(output)
        same = (there.recipe, there.made_from) == (recipe, inputs.made_from(chosen))
    except ToolkitError:
        same = False
    if not same:
        print(f"kept: {output} is of another recipe or other images: remove it to make it anew.", file=sys.stderr)


def _summary(progress: Progress) -> str:
    """The time left, the objective, and the losses summed by kind, short enough for a line."""
    shown = [f"{tqdm.format_interval(progress.remaining)} left", f"objective {progress.objective:.4g}"]
    for kind in ("content", "style", "total variation"):
        losses = [loss for name, loss in progress.losses.items() if name.startswith(kind)]
        shown += [f"{kind} {sum(losses):.3g}"] if losses else []
    return ", ".join(shown)
