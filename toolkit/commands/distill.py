"""``distill``: trains a narrow network to imitate a normalised one."""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from .. import __version__
from ..data.sources import list_images
from ..device import find_device
from ..distill import Distillation, Schedule, Student
from ..errors import ToolkitError
from ..files import check_outputs
from ..network import Architecture, fingerprint, load_network, save_network
from .common import add_device_option, add_output_option, positive

WIDTHS = (16, 48, 96, 160, 224)

#: Errors that are shown while it trains.
FOLLOWED = ("conv1_1", "conv3_1", "conv5_1", "gram5_1")


def add_commands(commands: Any) -> None:
    """Adds ``distill``."""
    defaults = Schedule()
    parser = commands.add_parser(
        "distill",
        help="train a narrow network to imitate a normalised one",
        description="Trains a narrow VGG whose features, mapped linearly, are those of a normalised teacher. Ctrl-C "
        "keeps a checkpoint; the same command resumes from it. Normalise the result before using it. "
        "PyTorch compiles the training, which needs a C++ compiler.",
    )
    parser.add_argument("teacher", help="a normalised network with average pooling")
    parser.add_argument("images", help="a folder, an archive or a list of images to train on, as for normalize")
    add_output_option(parser, "the .safetensors to write")
    parser.add_argument(
        "--widths",
        type=_widths,
        default=WIDTHS,
        metavar="W,W,…",
        help=f"filters per block, or per convolution (default: {','.join(map(str, WIDTHS))})",
    )
    parser.add_argument(
        "--steps",
        type=positive,
        default=defaults.steps,
        metavar="N",
        help=f"how many batches of images to learn from (default: {defaults.steps})",
    )
    parser.add_argument(
        "--seed", type=_seed, default=defaults.seed, metavar="N", help="of everything that is random (default: 0)"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="keeps the training, to be resumed (default: the output with .checkpoint)",
    )
    add_device_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Trains, showing the unexplained share of some layers."""
    if arguments.output.suffix != ".safetensors":
        raise ToolkitError(f"{arguments.output} must end in .safetensors.")
    check_outputs([arguments.output])
    teacher = load_network(arguments.teacher)
    if not teacher.mean_activations or teacher.pooling != "average":
        raise ToolkitError(f"{arguments.teacher} can't be the teacher: normalise it with average pooling first.")
    provenance = {"distilled_from": fingerprint(teacher), "teacher": teacher.provenance, "toolkit": __version__}
    torch.manual_seed(arguments.seed)
    architecture = Architecture(teacher.architecture.name, arguments.widths)
    student = Student(architecture, teacher.architecture)
    distillation = Distillation(
        student,
        teacher.to(find_device(arguments.device)),
        list_images(arguments.images),
        Schedule(steps=arguments.steps, seed=arguments.seed),
        arguments.checkpoint or arguments.output.with_suffix(".checkpoint"),
    )
    try:
        with tqdm(total=arguments.steps, initial=distillation.number, unit="step") as bar:
            for step in distillation:
                shown = (f"{name} {share:.1%}" for name, share in step.unexplained.items() if name in FOLLOWED)
                bar.set_postfix_str("unexplained: " + ", ".join(shown), refresh=False)
                bar.update()
    except KeyboardInterrupt:
        distillation.save()
        print(f"Interrupted at step {distillation.number}; run the same command to resume.", file=sys.stderr)
        return 130
    save_network(student.fold(provenance), arguments.output)
    print(f"written to {arguments.output}; normalise it next")
    return 0


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {2**63 - 1}")
    return int(text)


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 16,48,96,160,224") from None
