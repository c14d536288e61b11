"""``transfer``, ``reconstruct``, ``texture`` and ``amalgamate``: pictures in, one picture out."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

from torch import Tensor
from tqdm import tqdm

from ..device import available
from ..distributed import ALONE, Ranks
from ..errors import ToolkitError
from ..export import OnnxObjective
from ..images.colour import Colour
from ..images.io import open_image, open_picture, read_recipe, save_png, to_bytes
from ..network import Network
from ..normalize import list_images
from ..synthesis import Progress, Recipe, Synthesis
from ..synthesis.losses import Formula
from ..synthesis.objective import Objective
from ..synthesis.optimizers import OPTIMIZERS
from ..synthesis.recipe import LayerWeights, Precision, Start, SynthesisName, parse_layers
from ..synthesis.timelapse import Timelapse
from .common import add_network_options, device, network, uninterrupted
from .sizes import byte_count


class Command(NamedTuple):
    """A synthesis as a command: the pictures it takes, and what it does in a line."""

    synthesis: SynthesisName
    takes_content: bool
    takes_style: bool
    summary: str


COMMANDS = {
    "transfer": Command("transfer", True, True, "paint a content image in the style of others"),
    "reconstruct": Command("reconstruction", True, False, "make a content image anew from noise, as a layer sees it"),
    "texture": Command("texture", False, True, "make a texture in the style of images, from noise"),
    "amalgamate": Command("amalgamation", True, True, "imprint a content image on a style image"),
}

ENGINES = {"torch": Objective, "onnx": OnnxObjective}

OVERRIDES = [
    "size",
    "evaluations",
    "early_stop",
    "seed",
    "content_weight",
    "style_weight",
    "start",
    "optimizer",
    "precision",
    "formula",
    "levels",
    "style_scale",
    "colour",
]

#: Between checkpoints, at least.
CHECKPOINT_SECONDS = 60.0

#: Of the time, at most, for writing them: those of large pictures take gigabytes.
CHECKPOINT_SHARE = 0.1

#: How progress is shown; what time is left depends on the sizes to come, which the bar's own guess knows nothing of.
BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"


def add_commands(commands: Any) -> None:
    """Adds the four syntheses."""
    for name, command in COMMANDS.items():
        parser = commands.add_parser(
            name,
            help=command.summary,
            description=f"{command.summary.capitalize()}. "
            "Ctrl-C keeps the best image so far; the PNG holds its recipe.",
        )
        if command.takes_content:
            parser.add_argument("content", help="the content image, or a folder of them")
        if command.takes_style:
            parser.add_argument(
                "styles", nargs="+", metavar="style", help="a style image, several to blend, or a folder"
            )
        _add_options(parser, command)
        parser.set_defaults(run=run, command=name)


def _add_options(parser: argparse.ArgumentParser, command: Command) -> None:
    defaults = Recipe.preset(command.synthesis)
    parser.add_argument(
        "--output", "-o", type=Path, metavar="FILE", help="the PNG to write (default: named after them)"
    )
    parser.add_argument("--recipe", metavar="FILE", help="take the recipe from a PNG of ours or a JSON file")
    parser.add_argument("--size", type=int, metavar="PIXELS", help=f"longest side (default: {defaults.size})")
    parser.add_argument("--evaluations", type=int, metavar="N", help=f"how long (default: {defaults.evaluations})")
    parser.add_argument(
        "--no-early-stop", action="store_false", default=None, dest="early_stop", help="go on when that hardly pays"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of the noise (default: 0)")
    parser.add_argument("--start", choices=get_args(Start), help=f"where to start (default: {defaults.start})")
    parser.add_argument(
        "--start-image", metavar="FILE", help="start from this picture, at one size unless --levels says more"
    )
    if command.takes_content:
        parser.add_argument(
            "--content-layers", type=layers, metavar="LAYERS", help="such as relu4_2 or relu3_1=2,relu4_1"
        )
        parser.add_argument("--content-weight", type=float, metavar="ALPHA", help="(default: 1)")
    if command.takes_style and command.synthesis != "amalgamation":
        parser.add_argument("--style-layers", type=layers, metavar="LAYERS", help="such as relu1_1,relu2_1")
        parser.add_argument("--style-weight", type=float, metavar="BETA", help="(default: 100)")
        parser.add_argument("--style-scale", type=float, metavar="FACTOR", help="of the style image (default: 1)")
        parser.add_argument(
            "--colour", choices=get_args(Colour), help="whose: the style's (default), or a way to keep the content's"
        )
        parser.add_argument("--style-image-weights", type=_numbers, metavar="W,W,…", help="one per style image")
        parser.add_argument(
            "--masks", nargs="+", metavar="MASK", help="one per style image: bright where on the content it is to show"
        )
    parser.add_argument("--total-variation", type=float, metavar="WEIGHT", dest="total_variation_weight")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, help="(default: lbfgs)")
    parser.add_argument(
        "--precision", choices=get_args(Precision), help=f"of the network (default: {defaults.precision})"
    )
    parser.add_argument("--engine", choices=ENGINES, default="torch", help="what computes (default: torch)")
    parser.add_argument(
        "--memory", type=byte_count, metavar="SIZE", help="such as 4GB, to stay within (default: what is free)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep a checkpoint beside the output, and go on from it when it is there"
    )
    parser.add_argument("--timelapse", type=Path, metavar="FILE", help="a film of it: .mp4, .gif or .webp")
    parser.add_argument(
        "--levels", type=int, metavar="N", help="sizes from coarse to fine (default: 4, from 256 pixels on)"
    )
    parser.add_argument("--formula", choices=get_args(Formula), help="of the losses (default: mean)")
    add_network_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Makes one picture, or one of every pair when folders are named."""
    recipe = _recipe(arguments)
    content: str | None = getattr(arguments, "content", None)
    styles: list[str] = getattr(arguments, "styles", [])
    chosen = network(arguments)
    if any(Path(name).is_dir() for name in (content, *styles) if name):
        return _every_pair(arguments, recipe, chosen, content or "", styles)
    output = arguments.output or _name(arguments.command, content, styles, free=not arguments.resume)
    ranks = Ranks.join(device(arguments.device))
    try:
        return _make(arguments, recipe, chosen, content, styles, output, ranks)
    finally:
        with uninterrupted():
            ranks.leave()


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
    where = device(arguments.device)
    timelapse = Timelapse(arguments.timelapse) if arguments.timelapse else None
    synthesis = Synthesis(
        chosen,
        recipe,
        content=_open(content) if content else None,
        styles=[_open(style) for style in styles],
        start=_open(arguments.start_image) if arguments.start_image else None,
        device=where,
        objective=ENGINES[arguments.engine],
        masks=[open_image(mask)[:, :1] for mask in getattr(arguments, "masks", None) or []],
        memory=arguments.memory or available(where),
        ranks=ranks,
    )
    checkpoint = output.with_suffix(".checkpoint") if arguments.resume else None
    if checkpoint and checkpoint.exists():
        synthesis.resume(checkpoint)
    if ranks.first:
        print(f"computing with {synthesis.runs_on}", file=sys.stderr)
    status = 0
    losses: dict[str, float] = {}
    due = time.monotonic() + CHECKPOINT_SECONDS
    try:
        with tqdm(
            total=recipe.evaluations, initial=synthesis.evaluation, bar_format=BAR, disable=not ranks.first
        ) as bar:
            for progress in synthesis:
                losses = progress.losses
                bar.set_postfix_str(_summary(progress), refresh=False)
                bar.update(progress.evaluation - bar.n)
                if timelapse and ranks.first:
                    timelapse.add(progress)
                if checkpoint and ranks.broadcast(time.monotonic() > due):
                    began = time.monotonic()
                    synthesis.save(checkpoint)
                    saved = time.monotonic()
                    due = saved + max(CHECKPOINT_SECONDS, (saved - began) / CHECKPOINT_SHARE)
        if checkpoint:
            checkpoint.unlink(missing_ok=True)
    except KeyboardInterrupt:
        status = 130
    finally:
        # Whatever ended the loop, what was made is kept.
        with uninterrupted():
            if status:
                print("Interrupted: keeping the best image so far.", file=sys.stderr)
            if (
                status and checkpoint and ranks.world_size == 1
            ):  # of several, each was interrupted at its own evaluation
                synthesis.save(checkpoint)
            if ranks.first:
                save_png(synthesis.image, output, synthesis.recipe.to_json())
                if synthesis.spared:
                    print(f"spared {synthesis.spared} evaluations that no longer paid", file=sys.stderr)
                for name, loss in losses.items():
                    print(f"{name:<20} {loss:.4g}")
                print(f"written to {output}")
    if timelapse and ranks.first:
        timelapse.save()
        print(f"written to {timelapse.path}")
    return status


def _open(source: str) -> Tensor:
    """A picture in bytes, a quarter of what it is as floats."""
    return to_bytes(open_picture(source))


def _every_pair(
    arguments: argparse.Namespace, recipe: Recipe, chosen: Network, content: str, styles: Sequence[str]
) -> int:
    """One picture of every content in every style, into a folder; what is there already stays."""
    folder: Path | None = arguments.output
    if folder is None or folder.suffix:
        raise ToolkitError("Folders make many pictures: name the folder for them with --output.")
    pairs = [(one, other) for one in _pictures(content) for style in styles for other in _pictures(style)]
    ranks = Ranks.join(device("cpu"))  # pictures are dealt out; nothing else is shared
    failed = []
    try:
        for one, other in pairs[ranks.rank :: ranks.world_size]:
            output = folder / _name(arguments.command, one, [other], free=False)
            if output.exists():
                continue
            try:
                if status := _make(arguments, recipe, chosen, one, [other], output):
                    return status
            except ToolkitError as error:
                failed.append(f"{output}: {error}")
    finally:
        ranks.leave()
    for failure in failed:
        print(f"not made: {failure}", file=sys.stderr)
    return 2 if failed else 0


def _pictures(source: str) -> list[str]:
    """A picture, or all those of a folder."""
    return [str(Path(source, entry.name)) for entry in list_images(Path(source))] if Path(source).is_dir() else [source]


def _summary(progress: Progress) -> str:
    """What time is left, the objective, and the losses summed by kind, short enough for a line."""
    shown = [f"{tqdm.format_interval(progress.remaining)} left", f"objective {progress.objective:.4g}"]
    for kind in ("content", "style", "total variation"):
        losses = [loss for name, loss in progress.losses.items() if name.startswith(kind)]
        shown += [f"{kind} {sum(losses):.3g}"] if losses else []
    return ", ".join(shown)


def _recipe(arguments: argparse.Namespace) -> Recipe:
    synthesis = COMMANDS[arguments.command].synthesis
    wishes = {
        name: value
        for name in [*OVERRIDES, "content_layers", "style_layers", "style_image_weights", "total_variation_weight"]
        if (value := getattr(arguments, name, None)) is not None
    }
    if arguments.start_image:  # a coarse size would work its forms over
        wishes = {"levels": 1, **wishes, "start": "image"}
    if arguments.recipe is None:
        return Recipe.preset(synthesis, **wishes)
    recipe = Recipe.from_json(recipe_text(Path(arguments.recipe)))
    if recipe.synthesis != synthesis:
        right = next(name for name, command in COMMANDS.items() if command.synthesis == recipe.synthesis)
        raise ToolkitError(f"{arguments.recipe} is the recipe of a {recipe.synthesis}: use the command {right}.")
    return recipe.with_(**wishes)


def recipe_text(path: Path) -> str:
    """The JSON of a recipe, out of a PNG of ours or a JSON file."""
    if path.suffix.lower() != ".json":
        return read_recipe(path)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ToolkitError(f"Could not read the recipe {path}: {error}.") from error


def layers(text: str) -> LayerWeights:
    """``relu1_1,relu2_1=0.5``, as an option's type."""
    try:
        return parse_layers(text)
    except ToolkitError as error:
        raise argparse.ArgumentTypeError(str(error).removesuffix(".")) from error


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 0.3,0.7") from None


def _name(command: str, content: str | None, styles: Sequence[str], *, free: bool) -> Path:
    """A name that says what it is of; one that overwrites nothing when it is to be free."""
    stem = "-".join(Path(source).stem for source in (content, *styles) if source)
    stem = stem if command == "transfer" else f"{stem}-{command}"
    path, number = Path(f"{stem}.png"), 2
    while free and path.exists():
        path, number = Path(f"{stem}-{number}.png"), number + 1
    return path
