"""``transfer``, ``reconstruct``, ``texture`` and ``amalgamate``: images in, one image out."""

import argparse
import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor
from tqdm import tqdm

from ..device import available, find_device
from ..distributed import ALONE, Ranks
from ..errors import ToolkitError
from ..export import OnnxObjective
from ..files import check_writable
from ..images.io import open_image, open_picture, save_png, to_uint8
from ..images.sources import list_images
from ..network import Network
from ..synthesis import Checkpoint, Progress, Recipe, Synthesis, plan
from ..synthesis.pyramid import frame_of
from ..synthesis.recipe import SynthesisName
from ..synthesis.timelapse import Timelapse
from .common import add_network_options, byte_count, network, uninterrupted
from .recipe_options import add_recipe_options, chosen_recipe


class Command(NamedTuple):
    """A synthesis as a command: the images that it takes, the groups of its options, and what it does."""

    synthesis: SynthesisName
    takes_content: bool
    takes_style: bool
    groups: tuple[str, ...]
    summary: str


COMMANDS = {
    "transfer": Command(
        "transfer",
        True,
        True,
        ("content", "style", "result", "optimisation"),
        "paint a content image in the style of one or more style images",
    ),
    "reconstruct": Command(
        "reconstruction",
        True,
        False,
        ("content", "result", "optimisation"),
        "start from noise and recover a content image from one layer's features",
    ),
    "texture": Command(
        "texture", False, True, ("style", "result", "optimisation"), "start from noise and make a texture in a style"
    ),
    "amalgamate": Command(
        "amalgamation",
        True,
        True,
        ("content", "result", "optimisation"),
        "start from a style image and imprint a content image on it",
    ),
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
            description=f"{summary}. Ctrl-C keeps the best image so far. The PNG holds its recipe.",
        )
        if command.takes_content:
            parser.add_argument("content", help="content image, or a folder of them")
        if command.takes_style:
            parser.add_argument("styles", nargs="+", metavar="style", help="style images to blend, or folders of them")
        _add_options(parser, command)
        parser.set_defaults(run=run, command=name)


def _add_options(parser: argparse.ArgumentParser, command: Command) -> None:
    parser.add_argument(
        "--output", "-o", type=Path, metavar="FILE", help="PNG to write (default: named after the images)"
    )
    parser.add_argument(
        "--start-image", metavar="FILE", help="start from this image, on one level unless --levels says"
    )
    if "style" in command.groups:
        parser.add_argument(
            "--masks", nargs="+", default=[], metavar="FILE", help="one mask per style image: bright where it shows"
        )
    parser.add_argument("--resume", action="store_true", help="keep a checkpoint beside the output, and resume from it")
    parser.add_argument("--timelapse", type=Path, metavar="FILE", help="also write a film: .mp4, .gif or .webp")
    add_network_options(parser)
    parser.add_argument("--engine", choices=("torch", "onnx"), default="torch", help="what computes (default: torch)")
    parser.add_argument(
        "--memory", type=byte_count, metavar="SIZE", help="stay within, such as 4GB (default: all free)"
    )
    add_recipe_options(parser, Recipe.preset(command.synthesis), command.groups)


def run(arguments: argparse.Namespace) -> int:
    """Makes one image, or one of every pair when folders are named."""
    recipe = _recipe(arguments)
    content: str | None = getattr(arguments, "content", None)
    styles: list[str] = getattr(arguments, "styles", [])
    if any(Path(name).is_dir() for name in (content, *styles) if name):
        return _every_pair(arguments, recipe, content, styles)
    output = arguments.output or _name(arguments.command, content, styles, free=not arguments.resume)
    ranks = Ranks.join(find_device(arguments.device))
    try:
        return _make(arguments, recipe, network(arguments), content, styles, output, ranks)
    finally:
        with uninterrupted():
            ranks.leave()


def _recipe(arguments: argparse.Namespace) -> Recipe:
    if arguments.start_image:
        arguments.start = "image"
        if arguments.levels is None:  # a coarse level would change its forms
            arguments.levels = 1
    return chosen_recipe(arguments, COMMANDS[arguments.command].synthesis)


def _make(
    arguments: argparse.Namespace,
    recipe: Recipe,
    chosen: Network,
    content: str | None,
    styles: Sequence[str],
    output: Path,
    ranks: Ranks = ALONE,
) -> int:
    """Synthesises with live progress, and saves the best image however it ends; of several processes the first does."""
    if output.suffix.lower() != ".png":
        raise ToolkitError(f"{output} must end in .png: the recipe travels inside PNG files.")
    timelapse = Timelapse(arguments.timelapse) if arguments.timelapse else None
    for path in (output, *([arguments.timelapse] if timelapse else [])):
        check_writable(path)
    synthesis = _synthesis(arguments, recipe, chosen, content, styles, ranks)
    checkpoint = Checkpoint(output.with_suffix(".checkpoint"), synthesis, ranks) if arguments.resume else None
    if ranks.first:
        print(f"computing with {synthesis.runs_on}", file=sys.stderr)
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
                save_png(synthesis.image, output, synthesis.recipe.to_json())
                if synthesis.skipped:
                    print(f"skipped {synthesis.skipped} iterations that would hardly lower the loss", file=sys.stderr)
                for name, loss in losses.items():
                    print(f"{name:<20} {loss:.4g}")
                print(f"written to {output}")
    if checkpoint and not status:
        checkpoint.remove()
    if timelapse and ranks.first:
        timelapse.save()
        print(f"written to {timelapse.path}")
    return status


def _synthesis(
    arguments: argparse.Namespace,
    recipe: Recipe,
    chosen: Network,
    content: str | None,
    styles: Sequence[str],
    ranks: Ranks,
) -> Synthesis:
    opened = _open(content) if content else None
    styles_opened = [_open(style) for style in styles]
    start = _open(arguments.start_image) if arguments.start_image else None
    masks = [open_image(mask)[:, :1] for mask in getattr(arguments, "masks", [])]
    device = find_device(arguments.device)
    make = functools.partial(
        Synthesis, chosen, content=opened, styles=styles_opened, start=start, masks=masks, device=device
    )
    if arguments.engine == "onnx":
        if arguments.memory or ranks.world_size > 1:
            raise ToolkitError("ONNX Runtime computes whole images in one process: use --engine torch.")
        return make(recipe.with_(precision="float32"), objective=OnnxObjective)
    images = [image for image in (opened, *styles_opened, start) if image is not None]
    given = sum(image.nbytes for image in images)
    memory = min(ranks.all_gather(arguments.memory or available(device)))
    planned = plan(chosen, recipe, frame_of(images[0], recipe.size), memory, device=device, given=given, ranks=ranks)
    return make(recipe, objective=planned.objective, pairs=planned.pairs)


def _open(source: str) -> Tensor:
    """An image in bytes, a quarter of what it takes as floats."""
    return to_uint8(open_picture(source))


def _every_pair(arguments: argparse.Namespace, recipe: Recipe, content: str | None, styles: Sequence[str]) -> int:
    """One image of every content in every style, into a folder; images that are there already are kept."""
    folder: Path | None = arguments.output
    if folder is None or folder.suffix:
        raise ToolkitError("Folders make many images: name the folder for them with --output.")
    chosen = network(arguments)
    contents = _images(content) if content else [None]
    pairs = [
        (one, other) for one in contents for style in styles or [""] for other in (_images(style) if style else [None])
    ]
    ranks = Ranks.join(find_device("cpu"))  # pairs are dealt to the processes; nothing else is shared
    failed = []
    try:
        for one, other in pairs[ranks.rank :: ranks.world_size]:
            own = [other] if other else []
            output = folder / _name(arguments.command, one, own, free=False)
            if output.exists():
                continue
            try:
                if status := _make(arguments, recipe, chosen, one, own, output):
                    return status
            except ToolkitError as error:
                failed.append(f"{output}: {error}")
    finally:
        ranks.leave()
    for failure in failed:
        print(f"not made: {failure}", file=sys.stderr)
    return 2 if failed else 0


def _images(source: str) -> list[str]:
    """An image, or all those of a folder."""
    return [entry.place for entry in list_images(source)] if Path(source).is_dir() else [source]


def _summary(progress: Progress) -> str:
    """The time left, the objective, and the losses summed by kind, short enough for a line."""
    shown = [f"{tqdm.format_interval(progress.remaining)} left", f"objective {progress.objective:.4g}"]
    for kind in ("content", "style", "total variation"):
        losses = [loss for name, loss in progress.losses.items() if name.startswith(kind)]
        shown += [f"{kind} {sum(losses):.3g}"] if losses else []
    return ", ".join(shown)


def _name(command: str, content: str | None, styles: Sequence[str], *, free: bool) -> Path:
    """A name made of the images' names; one that overwrites nothing when it is to be free."""
    stem = "-".join(Path(source).stem for source in (content, *styles) if source)
    stem = stem if command == "transfer" else f"{stem}-{command}"
    path, number = Path(f"{stem}.png"), 2
    while free and path.exists():
        path, number = Path(f"{stem}-{number}.png"), number + 1
    return path
