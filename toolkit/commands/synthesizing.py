"""``transfer``, ``reconstruct``, ``texture`` and ``amalgamate``: pictures in, one picture out."""

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple, get_args

from tqdm import tqdm

from ..errors import ToolkitError
from ..export import OnnxObjective
from ..memory import available
from ..pictures import open_image, read_recipe, save_png
from ..synthesis import Progress, Recipe, Synthesis
from ..synthesis.losses import Formula
from ..synthesis.objective import Objective
from ..synthesis.optimizers import OPTIMIZERS
from ..synthesis.recipe import LayerWeights, Start, SynthesisName
from .common import add_network_options, device, network
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
    "seed",
    "content_weight",
    "style_weight",
    "start",
    "optimizer",
    "precision",
    "formula",
]


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
            parser.add_argument("content", help="the content image")
        if command.takes_style:
            parser.add_argument("styles", nargs="+", metavar="style", help="a style image, or several to blend")
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
    parser.add_argument("--seed", type=int, metavar="N", help="of the noise (default: 0)")
    parser.add_argument("--start", choices=get_args(Start), help=f"where to start (default: {defaults.start})")
    parser.add_argument("--start-image", metavar="FILE", help="start from this picture")
    if command.takes_content:
        parser.add_argument(
            "--content-layers", type=_layers, metavar="LAYERS", help="such as relu4_2 or relu3_1=2,relu4_1"
        )
        parser.add_argument("--content-weight", type=float, metavar="ALPHA", help="(default: 1)")
    if command.takes_style and command.synthesis != "amalgamation":
        parser.add_argument("--style-layers", type=_layers, metavar="LAYERS", help="such as relu1_1,relu2_1")
        parser.add_argument("--style-weight", type=float, metavar="BETA", help="(default: 100)")
        parser.add_argument("--style-image-weights", type=_numbers, metavar="W,W,…", help="one per style image")
        parser.add_argument(
            "--masks", nargs="+", metavar="MASK", help="one per style image: bright where on the content it is to show"
        )
    parser.add_argument("--total-variation", type=float, metavar="WEIGHT", dest="total_variation_weight")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, help="(default: lbfgs)")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], help="of the network (default: float32)")
    parser.add_argument("--engine", choices=ENGINES, default="torch", help="what computes (default: torch)")
    parser.add_argument(
        "--memory", type=byte_count, metavar="SIZE", help="such as 4GB, to stay within (default: what is free)"
    )
    parser.add_argument("--formula", choices=get_args(Formula), help="of the losses (default: mean)")
    add_network_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Synthesises with live progress, and saves the best image however it ends."""
    recipe = _recipe(arguments)
    output = arguments.output or _free_name(arguments)
    if output.suffix.lower() != ".png":
        raise ToolkitError(f"{output} must end in .png: the recipe travels inside PNG files.")
    where = device(arguments.device)
    content = getattr(arguments, "content", None)
    styles = getattr(arguments, "styles", [])
    chosen = network(arguments)
    synthesis = Synthesis(
        chosen,
        recipe,
        content=open_image(content) if content else None,
        styles=[open_image(style) for style in styles],
        start=open_image(arguments.start_image) if arguments.start_image else None,
        device=where,
        objective=ENGINES[arguments.engine],
        masks=[open_image(mask)[:, :1] for mask in getattr(arguments, "masks", None) or []],
        memory=arguments.memory or available(where),
    )
    print(f"computing with {synthesis.runs_on}", file=sys.stderr)
    status = 0
    losses: dict[str, float] = {}
    try:
        with tqdm(total=recipe.evaluations, unit="evaluation") as bar:
            for progress in synthesis:
                losses = progress.losses
                bar.set_postfix_str(_summary(progress), refresh=False)
                bar.update()
    except KeyboardInterrupt:
        print("Interrupted: keeping the best image so far.", file=sys.stderr)
        status = 130
    finally:
        # Whatever ended the loop, what was made is kept.
        save_png(synthesis.image, output, synthesis.recipe.to_json())
        for name, loss in losses.items():
            print(f"{name:<20} {loss:.4g}")
        print(f"written to {output}")
    return status


def _summary(progress: Progress) -> str:
    """The objective, and the losses summed by kind, short enough for a line."""
    shown = [f"objective {progress.objective:.4g}"]
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
    if arguments.start_image:
        wishes["start"] = "image"
    if arguments.recipe is None:
        return Recipe.preset(synthesis, **wishes)
    recipe = Recipe.from_json(_recipe_text(Path(arguments.recipe)))
    if recipe.synthesis != synthesis:
        right = next(name for name, command in COMMANDS.items() if command.synthesis == recipe.synthesis)
        raise ToolkitError(f"{arguments.recipe} is the recipe of a {recipe.synthesis}: use the command {right}.")
    return recipe.with_(**wishes)


def _recipe_text(path: Path) -> str:
    if path.suffix.lower() != ".json":
        return read_recipe(path)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ToolkitError(f"Could not read the recipe {path}: {error}.") from error


def _layers(text: str) -> LayerWeights:
    """``relu1_1,relu2_1=0.5``; layers without a weight share one evenly."""
    parts = [part.partition("=") for part in text.replace(" ", "").split(",") if part]
    try:
        return {name: float(weight) if weight else 1 / len(parts) for name, _, weight in parts}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of layers such as relu1_1,relu2_1=0.5") from None


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 0.3,0.7") from None


def _free_name(arguments: argparse.Namespace) -> Path:
    """A name in this folder that says what it is of, and overwrites nothing."""
    sources = [getattr(arguments, "content", None), *getattr(arguments, "styles", [])]
    stem = "-".join(Path(source).stem for source in sources if source)
    stem = stem if arguments.command == "transfer" else f"{stem}-{arguments.command}"
    path, number = Path(f"{stem}.png"), 2
    while path.exists():
        path, number = Path(f"{stem}-{number}.png"), number + 1
    return path
